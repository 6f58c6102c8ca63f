"""Options of commands that choose cells by quality and origin."""

from typing import Annotated

import typer

__all__ = [
    "InVivoOption",
    "KeepUnknownOption",
    "MaxDistanceOption",
    "MaxGapOption",
    "MaxGenesOption",
    "MaxMitoOption",
    "MinCountsOption",
    "MinGenesOption",
    "PrimaryOption",
]

_PANEL = "Cells"

MinGenesOption = Annotated[float | None, typer.Option(help="Fewest detected genes.", rich_help_panel=_PANEL)]
MaxGenesOption = Annotated[float | None, typer.Option(help="Most detected genes.", rich_help_panel=_PANEL)]
MinCountsOption = Annotated[float | None, typer.Option(help="Fewest counts.", rich_help_panel=_PANEL)]
MaxMitoOption = Annotated[
    float | None, typer.Option("--max-pct-mito", help="Most mitochondrial counts, in percent.", rich_help_panel=_PANEL)
]
MaxGapOption = Annotated[
    float | None, typer.Option(help="Largest completeness gap of the attribution.", rich_help_panel=_PANEL)
]
MaxDistanceOption = Annotated[
    float | None, typer.Option(help="Largest distance to the nearest annotated cell.", rich_help_panel=_PANEL)
]
InVivoOption = Annotated[
    bool, typer.Option("--in-vivo", help="Only cells straight from a body.", rich_help_panel=_PANEL)
]
PrimaryOption = Annotated[
    bool, typer.Option("--primary", help="Only primary data, each cell once.", rich_help_panel=_PANEL)
]
KeepUnknownOption = Annotated[
    bool,
    typer.Option("--keep-unknown", help="Keep cells for which a filter lacks the value.", rich_help_panel=_PANEL),
]
