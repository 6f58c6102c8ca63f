"""`insignia perturb rank`: which perturbation moves cells towards or away from a signature."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.output import JsonFlag, emit, pairs

__all__ = ["rank"]


def rank(
    model: Annotated[Path, typer.Argument(help="Folder of `perturb fit`.")],
    signature: Annotated[str, typer.Argument(help="Bundled name, genes with commas, FILE.gmt:SET or FILE.toml.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV to write.")],
    condition: Annotated[
        list[str] | None,
        typer.Option(help="What to rank, e.g. KLF1+MAP2K6; repeat. Singles learned from, if none."),
    ] = None,
    pairs_of_best: Annotated[int, typer.Option(help="Also rank all pairs among this many best singles.")] = 0,
    away: Annotated[bool, typer.Option("--away", help="The largest fall comes first, not the largest rise.")] = False,
    baseline: Annotated[
        list[str] | None, typer.Option(help="NAME=FOLDER of another fitted model, to stand beside; repeat for more.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option(help="Screen of `perturb check -o`: measured changes, errors and intervals beside.")
    ] = None,
    min_coverage: Annotated[float, typer.Option(help="Least share of the signature's genes that was measured.")] = 0.5,
    n_controls: Annotated[
        int, typer.Option("--controls", help="Hold each gene against this many of equal abundance, e.g. 20; 0: none.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Rank perturbations by the change of a signature that they are predicted to bring."""
    from insignia import perturb
    from insignia.cli.signatures import parse_signature
    from insignia.core.files import atomic_file

    found = perturb.rank(
        perturb.load_model(model),
        parse_signature(signature),
        cast("Any", condition or None),
        direction="away" if away else "towards",
        pairs_of_best=pairs_of_best,
        baselines={name: perturb.load_model(folder) for name, folder in pairs(baseline, "--baseline").items()},
        measured=None if measured is None else shared.open_screen(measured, None, None, None, None, None),
        min_coverage=min_coverage,
        n_controls=n_controls,
    )
    with atomic_file(output) as temporary:
        found.table.to_csv(temporary, index=False)
    emit({"output": str(output)} | found.record(), as_json=as_json, text=f"{found}\nThe table is in {output}.")
