"""Options of the commands that attribute cells, described once."""

from typing import Annotated

import typer

__all__ = [
    "DeviceOption",
    "GeneIdsOption",
    "GeneSymbolsOption",
    "InputSpaceOption",
    "InterpolateOption",
    "LayerOption",
    "MethodOption",
    "MinOverlapOption",
    "PrecisionOption",
    "SignedFlag",
    "StepsOption",
    "TargetOption",
]

DeviceOption = Annotated[str, typer.Option(help="auto (CUDA, then MPS, else CPU), cpu, cuda, cuda:1 or mps.")]
GeneIdsOption = Annotated[str | None, typer.Option(help="var column with Ensembl ids.")]
GeneSymbolsOption = Annotated[str | None, typer.Option(help="var column with gene symbols.")]
InputSpaceOption = Annotated[str | None, typer.Option(help="counts or log1p; detected by default.")]
InterpolateOption = Annotated[
    str, typer.Option(help="What moves on a straight line: the network's values, or amounts before log1p.")
]
LayerOption = Annotated[str | None, typer.Option(help="Layer with counts or log1p; X by default.")]
MethodOption = Annotated[str, typer.Option(help="Attribution method.")]
MinOverlapOption = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the model's genes that the data must measure.")
]
PrecisionOption = Annotated[
    str, typer.Option(help="float32; float64 to check it; bf16, faster on a GPU. Their differences are measured.")
]
SignedFlag = Annotated[bool, typer.Option("--signed", help="Keep the sign.")]
StepsOption = Annotated[str, typer.Option(help="Steps on the path, or auto.")]
TargetOption = Annotated[str, typer.Option(help="What is attributed: self, or self_abs as in the published atlas.")]
