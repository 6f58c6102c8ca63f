"""Options of the commands that put cells into an atlas."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AtlasPath", "CellsArgument", "ColumnOption", "ConstantOption", "ExtraOption", "ModelOption"]

AtlasPath = Annotated[Path, typer.Argument(help="Folder of the atlas.")]
CellsArgument = Annotated[
    Path, typer.Argument(help="Attributed h5ad or a folder of parts, or raw cells together with --model.")
]
ModelOption = Annotated[Path | None, typer.Option("-m", "--model", help="The atlas's model, to attribute raw cells.")]
ColumnOption = Annotated[
    list[str] | None, typer.Option("--column", help="Your obs column = ours, e.g. patient=donor. Repeatable.")
]
ConstantOption = Annotated[
    list[str] | None, typer.Option("--constant", help="One value for all cells, e.g. study=GSE1. Repeatable.")
]
ExtraOption = Annotated[list[str] | None, typer.Option("--extra", help="Further obs column to keep. Repeatable.")]
