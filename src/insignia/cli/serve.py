"""`insignia serve` and `insignia export-page`: the explorer in the browser, and a view of it as one page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.cell_options import AtlasPath
from insignia.cli.output import JsonFlag, emit

__all__ = ["export_page", "serve"]


def serve(
    atlases: Annotated[list[Path], typer.Argument(help="Folders of the atlases, one or several.")],
    host: Annotated[str, typer.Option(help="Interface to bind to; another than this machine needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to bind to.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(help="Token that callers must show; made where one is needed.", envvar="INSIGNIA_TOKEN"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Queries at the same time; 0 takes the number of threads.")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds after which a query is given up.")] = 30.0,
    max_genes: Annotated[int, typer.Option(help="Genes that a signature may have.")] = 1000,
) -> None:
    """Explore atlases in the browser; nothing is changed, and nothing leaves this machine."""
    from insignia.serve import ServeOptions, address, new_token
    from insignia.serve import serve as run
    from insignia.serve.shelf import names_of

    if token is None and not ServeOptions(host=host, token="x" * 16).is_local:
        token = new_token()
    options = ServeOptions(host=host, port=port, token=token, workers=workers, timeout_s=timeout, max_genes=max_genes)
    named = names_of(atlases)
    print(f"Explore {', '.join(named)} at {address(options)}  (Ctrl+C ends it)", file=sys.stderr, flush=True)
    run(dict(named), options)


def export_page(
    atlas: AtlasPath,
    link: Annotated[
        str, typer.Argument(help="Address of a view in the explorer, or e.g. 'signature=MS1&filter=tissue:blood'.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Page to write, .html.")],
    as_json: JsonFlag = False,
) -> None:
    """Write the view that a link of the explorer opens as one page, to share."""
    from insignia.serve import export_page as write

    emit({"page": str(write(atlas, link, output))}, as_json=as_json)
