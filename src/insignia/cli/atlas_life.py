"""`insignia atlas`: replace, remove, pack, check and export what an atlas holds."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.attribution_options import DeviceOption
from insignia.cli.cell_options import AtlasPath, CellsArgument, ColumnOption, ConstantOption, ExtraOption, ModelOption
from insignia.cli.output import JsonFlag, emit, pairs
from insignia.core.errors import AtlasDamaged

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the group of the atlas."""
    for command in (replace, remove, compact, verify, export):
        app.command()(command)


def replace(
    atlas: AtlasPath,
    cells: CellsArgument,
    model: ModelOption = None,
    column: ColumnOption = None,
    constant: ConstantOption = None,
    extra: ExtraOption = None,
    mapping: Annotated[str | None, typer.Option(help="Mapping of columns and values, as for add.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Add cells in place of the studies of the same names, in one step."""
    from insignia.atlas import Atlas
    from insignia.workflows import add_cells

    report = add_cells(
        Atlas.open(atlas),
        cells,
        model=model,
        columns=pairs(column, "--column"),
        constants=pairs(constant, "--constant"),
        extra=extra or (),
        mapping=mapping,
        device=device,
        replaces=True,
        show_progress=False if as_json else None,
    )
    emit(asdict(report), as_json=as_json)


def remove(
    atlas: AtlasPath,
    studies: Annotated[list[str], typer.Argument(help="Studies to remove.")],
    as_json: JsonFlag = False,
) -> None:
    """Remove studies, so that nothing of them is left on disk."""
    from insignia.atlas import Atlas

    report = Atlas.open(atlas).remove(studies, progress=False if as_json else None)
    emit(asdict(report), as_json=as_json, text=report.summary())


def compact(atlas: AtlasPath, as_json: JsonFlag = False) -> None:
    """Pack small segments into larger ones, so that searches read fewer pieces."""
    from insignia.atlas import Atlas

    report = Atlas.open(atlas).compact(progress=False if as_json else None)
    emit(asdict(report), as_json=as_json, text=report.summary())


def verify(
    atlas: AtlasPath,
    quick: Annotated[bool, typer.Option("--quick", help="Look at sizes and headers only.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Look at every byte of an atlas; exit code 4 if something is not as it was written."""
    from insignia.atlas.verify import verify_atlas

    report = verify_atlas(atlas, full=not quick, show=False if as_json else None)
    emit(report.to_dict(), as_json=as_json, text=report.summary())
    if not report.is_sound:
        raise AtlasDamaged(f"{atlas} is damaged in {len(report.problems):,} places. Put back copies of what is named.")


def export(
    atlas: AtlasPath,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="New .h5ad file, .zarr folder, or folder of one file a gene set.")
    ],
    where: Annotated[str | None, typer.Option(help="Which cells, e.g. \"tissue = 'blood'\".")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write cells as AnnData: attributions, metadata, and how they were made."""
    from insignia.atlas import Atlas

    report = Atlas.open(atlas).export(output, where=where, progress=False if as_json else None)
    emit({**asdict(report), "files": [str(file) for file in report.files]}, as_json=as_json, text=report.summary())
