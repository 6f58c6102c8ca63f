"""`insignia perturb evaluate` and `benchmark`: scoreboards with baselines, controls and ceilings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.output import JsonFlag, emit, pairs
from insignia.core.errors import InputError

__all__ = ["benchmark", "evaluate"]

Split = Annotated[Path, typer.Option(help="File of `perturb split`.")]
Folder = Annotated[Path | None, typer.Option("-o", "--output", help="Folder for tables, JSON and a page.")]


def evaluate(
    screen: shared.Screen,
    split: Split,
    model: Annotated[list[Path] | None, typer.Option(help="Folder of `perturb fit`; repeat for more.")] = None,
    pred: Annotated[
        list[str] | None, typer.Option(help="LABEL=FILE of predicted cells or means, by anyone; repeat for more.")
    ] = None,
    pred_control: Annotated[
        list[str] | None, typer.Option(help="Label of controls, or of an empty place, in the files of --pred.")
    ] = None,
    pred_layout: Annotated[str | None, typer.Option(help="How the files of --pred are labelled.")] = None,
    against: Annotated[
        str, typer.Option(help="Effects of --pred against control cells of the screen, or their own.")
    ] = "screen",
    output: Folder = None,
    control: shared.Control = None,
    layout: shared.Layout = None,
    context: shared.Context = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    priors: shared.Priors = None,
    embedding: shared.Embedding = None,
    gene_sets: shared.GeneSets = None,
    string_links: shared.StringLinks = None,
    string_info: shared.StringInfo = None,
    as_json: JsonFlag = False,
) -> None:
    """Score fitted models and anyone's predictions on the test side of a split, always beside all baselines."""
    from insignia import perturb
    from insignia.data import read_split

    data = shared.open_screen(screen, control, layout, context, where, genes)
    known, _ = shared.open_priors(data, priors, embedding, gene_sets, string_links, string_info)
    if against not in ("screen", "own"):
        raise InputError(f"--against takes screen or own; found {against!r}.")
    found: dict[str, Any] = {path.name: perturb.load_model(path) for path in model or []}
    for label, file in pairs(pred, "--pred").items():
        found[label] = perturb.read_predictions(
            file,
            data,
            control=pred_control or None,
            layout=pred_layout,
            against="own" if against == "own" else "screen",
        )
    show = False if as_json else None
    board = perturb.evaluate(data, read_split(split), found, priors=known, show_progress=show)
    if output is not None:
        board.write(output)
    emit(board.record(), as_json=as_json, text=str(board))


def benchmark(
    screen: shared.Screen,
    split: Annotated[Path, typer.Option(help="File of `perturb split`; folds are scored one by one and joined.")],
    method: Annotated[list[str] | None, typer.Option(help="Predictor; repeat for more. flow by default.")] = None,
    option: shared.Options = None,
    seeds: Annotated[int, typer.Option(help="How many seeds each method is run with.")] = 3,
    output: Folder = None,
    control: shared.Control = None,
    layout: shared.Layout = None,
    context: shared.Context = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    priors: shared.Priors = None,
    embedding: shared.Embedding = None,
    gene_sets: shared.GeneSets = None,
    string_links: shared.StringLinks = None,
    string_info: shared.StringInfo = None,
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Fit methods and all baselines on the training side of a split, and score them on its test side."""
    from insignia import perturb
    from insignia.data import read_splits
    from insignia.perturb.contract import make_predictor

    if seeds < 1:
        raise InputError(f"--seeds must be at least 1; found {seeds}.")
    data = shared.open_screen(screen, control, layout, context, where, genes)
    known, _ = shared.open_priors(data, priors, embedding, gene_sets, string_links, string_info)
    options = shared.parse_options(option)
    names = method or ["flow"]
    boards = [
        perturb.benchmark(
            data,
            one,
            methods={name: make_predictor(name, options) for name in names},
            priors=known,
            seeds=tuple(range(seed, seed + seeds)),
            show_progress=False if as_json else None,
        )
        for one in read_splits(split)
    ]
    board = boards[0] if len(boards) == 1 else perturb.Scoreboard.join(boards)
    if output is not None:
        board.write(output)
    emit(board.record(), as_json=as_json, text=str(board))
