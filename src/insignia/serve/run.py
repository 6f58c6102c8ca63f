"""Starting the explorer; the only file that says how it is installed."""

import secrets
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.core.errors import CoverageWarning, InputError
from insignia.core.optional import need
from insignia.serve.options import ServeOptions

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["address", "create_app", "export_page", "new_token", "serve"]

_PURPOSE = "The explorer"


def create_app(atlases: Mapping[str, str | Path], options: ServeOptions | None = None) -> "FastAPI":
    """Make the explorer as an ASGI application.

    Parameters
    ----------
    atlases
        Folders by the names under which they are shown.
    options
        Limits, and the token. `None` takes the defaults.

    Raises
    ------
    MissingDependency
        The extra ``serve`` is not installed.
    AtlasError
        There is no atlas in a folder.
    InputError
        No atlas is named.
    """
    need("fastapi", extra="serve", purpose=_PURPOSE)
    from insignia.serve.app import build

    if not atlases:
        raise InputError("Name at least one atlas to serve.")
    return build({name: Path(path) for name, path in atlases.items()}, options or ServeOptions())


def serve(atlases: Mapping[str, str | Path], options: ServeOptions | None = None) -> None:
    """Serve the explorer until it is interrupted.

    Parameters
    ----------
    atlases
        Folders by the names under which they are shown.
    options
        Where to listen, limits, and the token. `None` takes the defaults.

    Raises
    ------
    MissingDependency
        The extra ``serve`` is not installed.
    AtlasError
        There is no atlas in a folder.
    """
    uvicorn = need("uvicorn", extra="serve", purpose=_PURPOSE)
    options = options or ServeOptions()
    # every answer names the studies that were left out
    warnings.simplefilter("ignore", CoverageWarning)
    app = create_app(atlases, options)
    app.state.insignia.warm()
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        limit_concurrency=4 * options.max_waiting,
    )


def export_page(atlas: str | Path, link: str, path: str | Path) -> Path:
    """Write the view that a link of the explorer opens as one page that needs no server.

    Parameters
    ----------
    atlas
        Folder of the atlas.
    link
        Address of a view, or what stands behind its question mark, e.g. ``"signature=MS1&filter=tissue:blood"``.
    path
        Where to write the page.

    Raises
    ------
    InputError
        The link asks for no search.
    """
    need("fastapi", extra="serve", purpose="Reading a link of the explorer")
    from insignia.serve.downloads import result_page
    from insignia.serve.explore import find
    from insignia.serve.links import question_of
    from insignia.serve.shelf import Shelf

    question = question_of(link)
    folder = Path(atlas)
    name = folder.resolve().name
    found = find(Shelf({name: folder}).get(name), question, max_genes=ServeOptions().max_genes)
    return result_page(found, question, Path(path))


def address(options: ServeOptions) -> str:
    """Address to open, token included."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    token = f"?token={options.token}" if options.token else ""
    return f"http://{host}:{options.port}/{token}"


def new_token() -> str:
    """Make a token that cannot be guessed."""
    return secrets.token_urlsafe(24)
