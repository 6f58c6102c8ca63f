"""Options that several perturbation commands share, and how they open a screen, priors, a split and a predictor."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from insignia.cli.output import pairs
from insignia.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from insignia.data import GenePriors, PerturbationData

__all__ = [
    "Batch",
    "Conditions",
    "Context",
    "Control",
    "Embedding",
    "GeneSets",
    "Genes",
    "Layout",
    "Level",
    "MinCells",
    "OptionalSplit",
    "Options",
    "Perturbation",
    "Priors",
    "Scale",
    "Screen",
    "Seed",
    "StringInfo",
    "StringLinks",
    "TableFile",
    "Unit",
    "Where",
    "open_priors",
    "open_screen",
    "parse_options",
    "parse_scale",
    "unit_column",
]

Screen = Annotated[
    Path, typer.Argument(help="Screen: h5ad, 10x or zarr; one that `perturb check -o` wrote needs no options.")
]
Control = Annotated[
    list[str] | None, typer.Option(help="Label that means nothing was perturbed; repeat for more. Never guessed.")
]
Layout = Annotated[str | None, typer.Option(help="gears, scperturb, pairs, cell_eval or plain; recognised by default.")]
Context = Annotated[
    list[str] | None, typer.Option(help="obs column whose values have controls of their own; repeat for more.")
]
Where = Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE that cells to read have; repeat for more.")]
Genes = Annotated[int | None, typer.Option(help="Keep this many genes, those with the highest mean in control cells.")]
Priors = Annotated[Path | None, typer.Option(help="Folder of saved priors.")]
Embedding = Annotated[
    Path | None, typer.Option(help="Vectors of the perturbed genes: npz, parquet, csv, tsv, safetensors or pt.")
]
GeneSets = Annotated[
    list[Path] | None, typer.Option(help="GMT file; repeat for more. Without --embedding they make one.")
]
StringLinks = Annotated[Path | None, typer.Option(help="protein.links file of STRING.")]
StringInfo = Annotated[Path | None, typer.Option(help="protein.info file of STRING.")]
OptionalSplit = Annotated[Path | None, typer.Option(help="File of `perturb split`; its test side is not learned from.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", help="NAME=VALUE of the predictor, e.g. epochs=20; repeat for more.")
]
Batch = Annotated[str | None, typer.Option(help="obs column of replicates or batches.")]
Perturbation = Annotated[str | None, typer.Option(help="obs column of the labels, where it is unusual.")]
Unit = Annotated[
    str | None, typer.Option(help="obs column of the guides, which are the units of tests; replicates by default.")
]
Conditions = Annotated[list[str] | None, typer.Option("--condition", help="e.g. KLF1+MAP2K6; repeat. All by default.")]
TableFile = Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv, .tsv or .parquet.")]
Level = Annotated[float, typer.Option(help="False discovery rate within a condition.")]
MinCells = Annotated[int, typer.Option(help="Guides or replicates with fewer cells are left out of tests over them.")]
Scale = Annotated[str | None, typer.Option(help="Total that counts are scaled to, or median of controls.")]
Seed = Annotated[int, typer.Option(help="Seed; equal seeds give equal results.")]


def open_screen(
    screen: Path,
    control: list[str] | None,
    layout: str | None,
    context: list[str] | None,
    where: list[str] | None,
    genes: int | None,
    **more: Any,
) -> "PerturbationData":
    """Read a screen with the options that all commands have."""
    from insignia.data import read_screen

    return read_screen(
        screen,
        control=control or None,
        layout=layout,
        context=context or None,
        where=pairs(where, "--where"),
        genes=genes,
        **more,
    )


def unit_column(screen: Path, column: str | None) -> "pd.Series | None":
    """Read the guide of each cell from the `obs` of a screen.

    Raises
    ------
    MissingMetadata
        There is no such column.
    """
    from insignia.core.errors import MissingMetadata
    from insignia.data import read

    if column is None:
        return None
    obs = read(screen, backed=screen.suffix == ".h5ad").obs
    if column not in obs:
        raise MissingMetadata(
            f"obs of {screen} has no column {column!r}; it has {list(obs.columns)[:10]}. A file of `perturb check -o` "
            "holds no guides: name the file that it was made of."
        )
    found: pd.Series = obs[column]
    return found


def open_priors(
    data: "PerturbationData",
    folder: Path | None,
    embedding: Path | None,
    gene_sets: list[Path] | None,
    links: Path | None,
    info: Path | None,
) -> tuple["GenePriors | None", dict[str, Any]]:
    """Read priors under the names of a screen, and say what they cover; nothing where nothing is named."""
    from insignia.perturb import match_priors, read_priors

    if not any((folder, embedding, gene_sets, links, info)):
        return None, {}
    read = read_priors(
        folder=folder, embedding=embedding, gene_sets=gene_sets or (), string_links=links, string_info=info
    )
    matched = match_priors(read, data)
    return matched.priors, {str(name): dict(row) for name, row in matched.table.to_dict(orient="index").items()}


def parse_options(texts: list[str] | None) -> dict[str, Any]:
    """Read ``NAME=VALUE``, where a value is a number, true, false, or a text."""
    return {name: _value(text) for name, text in pairs(texts, "--option").items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_scale(text: str | None) -> float | Literal["median"] | None:
    """Read a number or ``median``.

    Raises
    ------
    InputError
        It is neither.
    """
    if text is None:
        return None
    if text == "median":
        return "median"
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--scale takes a number or median; found {text!r}.") from None
