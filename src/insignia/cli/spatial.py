"""`insignia spatial`: expression imputed over serial sections."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from insignia.cli.output import JsonFlag, OutputOption, emit, one_place
from insignia.cli.signatures import parse_signature
from insignia.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from insignia.data import SectionStack

__all__ = ["app"]

app = typer.Typer(
    help="Impute expression over serial sections of which one or a few are measured.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NOT_REGISTERED = 5
"""Exit code when a section could not be registered."""

Stack = Annotated[
    Path, typer.Argument(help="Folder of a stack: insignia's own, her2st, Space Ranger, HEST, SpatialData ...")
]
Layout = Annotated[str | None, typer.Option("--layout", help="How the files are laid out; recognised by default.")]
Donor = Annotated[str | None, typer.Option(help="Which donor, where a folder holds several.")]
OutputStack = Annotated[Path, typer.Option("-o", "--output", help="Folder of the stack to write.")]
Known = Annotated[
    list[str] | None,
    typer.Option(help="Section whose expression may be seen; repeat for more. All measured ones by default."),
]
Seed = Annotated[int, typer.Option(help="Seed; equal seeds give equal results.")]


@app.command("check")
def check(stack: Stack, layout: Layout = None, donor: Donor = None, as_json: JsonFlag = False) -> None:
    """Say what a stack holds: sections, depths, spots, genes, images, scales, and what was assumed."""
    from insignia import spatial

    read = _open(stack, layout, donor)
    table = spatial.check(read)
    _emit_table(
        {"stack": read.name, "pitch_um": read.pitch_um, "notes": list(read.notes)},
        table,
        name="sections",
        as_json=as_json,
    )


@app.command("register")
def register(
    stack: Stack,
    output: OutputStack,
    reference: Annotated[str | None, typer.Option(help="Section whose frame is common; measured by default.")] = None,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="Sections may lie upside down.")] = False,
    figures: Annotated[Path | None, typer.Option(help="Folder for an overlay figure per section.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Exit with 0 even if a section failed.")] = False,
    layout: Layout = None,
    donor: Donor = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring all sections into one frame, and say how well that went."""
    from insignia import spatial
    from insignia.data import write_stack

    placed = spatial.register(
        _open(stack, layout, donor), reference=reference, mirrored=mirrored, show_progress=_show(as_json)
    )
    write_stack(placed, output)
    facts: dict[str, Any] = {"output": str(output), "failed": [s.name for s in placed if s.pose and not s.pose.is_ok]}
    if figures is not None:
        facts["figures"] = [str(path) for path in _registration_figures(placed, figures)]
    _emit_table(facts, spatial.registration_table(placed), name="sections", as_json=as_json)
    if facts["failed"] and not force:
        raise typer.Exit(NOT_REGISTERED)


@app.command("features")
def features(
    stack: Stack,
    output: OutputStack,
    encoder: Annotated[
        str, typer.Option(help="handcrafted, precomputed:FILE, hf:FOLDER or vit:FILE of a pretrained network.")
    ] = "handcrafted",
    scale_um: Annotated[list[float] | None, typer.Option(help="Edge of a patch; repeat for more scales.")] = None,
    layout: Layout = None,
    donor: Donor = None,
    as_json: JsonFlag = False,
) -> None:
    """Describe the picture around every spot, at several physical scales."""
    from insignia import spatial
    from insignia.data import write_stack

    scales = tuple(scale_um or (110.0, 260.0, 520.0))
    read = _open(stack, layout, donor)
    made = spatial.features(read, encoder=encoder, scales_um=scales, show_progress=_show(as_json))
    write_stack(made, output)
    columns = {
        name: value.shape[1] for section in made for name, value in section.spots.obsm.items() if name[:2] == "X_"
    }
    emit({"output": str(output), "features": columns, "sections": list(made.names)}, as_json=as_json)


@app.command("impute")
def impute(
    stack: Stack,
    output: Annotated[Path, typer.Option("-o", "--output", help="The h5ad file to write.")],
    known: Known = None,
    method: Annotated[
        str, typer.Option(help="Imputer: blend, asign, propagate, ridge, kernel, nearest, mean.")
    ] = "blend",
    genes: Annotated[int, typer.Option(help="Genes to impute, those with the largest mean counts.")] = 250,
    sections: Annotated[
        list[str] | None, typer.Option(help="Section to write; repeat for more. All that are not known by default.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="Encoder of the images, or none.")] = "handcrafted",
    training: Annotated[
        list[Path] | None, typer.Option(help="Stack of another donor, measured in full; repeat for more.")
    ] = None,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="Sections may lie upside down.")] = False,
    signature: Annotated[
        list[str] | None,
        typer.Option(help="Score a signature in every spot: a name, genes with commas, FILE.gmt:SET; repeat for more."),
    ] = None,
    min_coverage: Annotated[float, typer.Option(help="Least share of a signature's genes that was measured.")] = 0.5,
    seed: Seed = 0,
    layout: Layout = None,
    donor: Donor = None,
    as_json: JsonFlag = False,
) -> None:
    """Impute expression; sections are registered and pictures described on the way if that was not done."""
    from insignia.data import write_h5ad
    from insignia.workflows import impute_stack

    imputed = impute_stack(
        _open(stack, layout, donor),
        known=known,
        method=method,
        genes=genes,
        sections=sections or "unmeasured",
        encoder=None if encoder == "none" else encoder,
        training=[_open(path, None, None) for path in training or []],
        mirrored=mirrored,
        signatures=[parse_signature(text) for text in signature or []],
        min_coverage=min_coverage,
        seed=seed,
        show_progress=_show(as_json),
    )
    write_h5ad(imputed, output)
    emit(
        {
            "output": str(output),
            "method": method,
            "spots": imputed.n_obs,
            "genes": imputed.n_vars,
            "predictable_genes": int(imputed.var["predictable"].sum()),
            **({"signatures": _scored(imputed)} if signature else {}),
            "sections": list(dict.fromkeys(imputed.obs["section"].astype(str))),
            "failed_registration": sorted(set(imputed.obs["section"][~imputed.obs["reg_ok"].astype(bool)].astype(str))),
        },
        as_json=as_json,
    )


@app.command("evaluate")
def evaluate(
    imputed: Annotated[Path, typer.Argument(help="What `spatial impute` wrote.")],
    truth: Annotated[Path, typer.Argument(help="The same sections with their measured counts: a stack, or an h5ad.")],
    known: Known = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for tables, JSON and a page.")] = None,
    layout: Layout = None,
    donor: Donor = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare imputed with measured expression, always beside baselines, controls and ceilings."""
    from insignia import spatial
    from insignia.data import read

    measured = read(truth) if truth.suffix == ".h5ad" else _open(truth, layout, donor)
    found = spatial.evaluate(read(imputed), measured, known=known)
    if output is not None:
        found.write(output)
    emit(found.record(), as_json=as_json, text=str(found))


@app.command("simulate")
def simulate(
    output: Annotated[Path | None, typer.Argument(help="Folder of the stack to write.")] = None,
    output_option: OutputOption = None,
    sections: Annotated[int, typer.Option(help="Number of sections.")] = 5,
    known: Annotated[
        list[str] | None, typer.Option(help="Section that keeps its counts; repeat for more. All by default.")
    ] = None,
    seed: Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Simulate serial sections with images, counts and known truth."""
    from insignia.data import SerialOptions, hide_counts, simulate_sections, write_stack

    place = one_place(output, output_option)
    stack = simulate_sections(SerialOptions(n_sections=sections), rng=seed).stack
    write_stack(hide_counts(stack, known) if known else stack, place)
    emit(
        {"output": str(place), "sections": list(stack.names), "spots": sum(s.spots.n_obs for s in stack)},
        as_json=as_json,
    )


@app.command("bench")
def bench(
    protocol: Annotated[str, typer.Argument(help="her2st, dlpfc or st-data.")],
    root: Annotated[Path, typer.Option(help="Folder of the downloaded data set.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for tables, JSON and a page.")],
    setting: Annotated[
        str, typer.Option(help="3d: one section of each donor is known; 2d: none is, other donors are learned from.")
    ] = "3d",
    method: Annotated[list[str] | None, typer.Option(help="Imputer; repeat for more. All by default.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a published protocol on your download: every imputer, baseline and control."""
    from insignia.spatial.protocols import run_protocol

    if setting not in ("2d", "3d"):
        raise InputError(f"--setting takes 2d or 3d; found {setting!r}.")
    way: Literal["2d", "3d"] = "2d" if setting == "2d" else "3d"
    found = run_protocol(protocol, root, output, setting=way, methods=method or None, show_progress=_show(as_json))
    emit(found.record(), as_json=as_json, text=str(found))


def _scored(imputed: "AnnData") -> dict[str, str]:
    """Say what was scored, and whether hidden spots could be scored."""
    table = imputed.uns["imputation"]["signatures"]
    return {
        str(name): f"coverage {row.coverage:.0%}, correlation where hidden {row.cv_pcc:.2f}"
        + ("" if row.predictable else ", not better than chance")
        for name, row in table.iterrows()
    }


def _open(path: Path, layout: str | None, donor: str | None) -> "SectionStack":
    from insignia.data import read_stacks

    stacks = {stack.name: stack for stack in read_stacks(path, kind=layout)}
    if donor is None and len(stacks) == 1:
        return next(iter(stacks.values()))
    if donor not in stacks:
        raise InputError(f"{path} holds the donors {', '.join(stacks)}. Choose one with --donor; found {donor}.")
    return stacks[donor]


def _show(as_json: bool) -> bool | None:
    return False if as_json else None


def _emit_table(facts: dict[str, Any], table: "pd.DataFrame", *, name: str, as_json: bool) -> None:
    if as_json:
        emit(facts | {name: table.reset_index().to_dict(orient="records")}, as_json=True)
        return
    emit(facts, as_json=False)
    print(table.to_string(float_format=lambda value: f"{value:.3g}"))


def _registration_figures(stack: "SectionStack", folder: Path) -> list[Path]:
    from insignia.report import registration_figure, save_figure

    paths = []
    for section in stack:
        if section.pose is not None and section.pose.status != "reference":
            paths.append(folder / f"{section.name}.png")
            save_figure(registration_figure(stack, section.name), paths[-1])
    return paths
