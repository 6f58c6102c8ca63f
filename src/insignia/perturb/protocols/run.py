"""Run a protocol on a download: read it, divide it, compare all predictors, write the results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from insignia.core.errors import InputError
from insignia.core.progress import progress
from insignia.data import write_splits
from insignia.data.gene_priors import GenePriors
from insignia.perturb.contract import Predictor
from insignia.perturb.evaluation import Scoreboard, benchmark
from insignia.perturb.priors import match_priors
from insignia.perturb.protocols.contract import protocols

__all__ = ["run_protocol"]

FIRST_SEED = 42


def run_protocol(
    name: str,
    path: str | Path,
    output: str | Path | None = None,
    *,
    methods: Sequence[str] | Mapping[str, Predictor] = ("flow",),
    priors: GenePriors | None = None,
    seeds: Sequence[int] = (0,),
    n_splits: int | None = None,
    genes: int | None = 2000,
    control: str | None = None,
    show_progress: bool | None = None,
) -> Scoreboard:
    """Compare predictors on a published screen that the user has downloaded.

    Parameters
    ----------
    name
        ``"norman-additive"``, ``"norman-holdout"``, ``"rpe1"``, ``"k562"``, ``"adamson"`` or another entry of
        `protocols`.
    path
        File of the download.
    output
        Folder for the splits (JSON), the tables (CSV), the averages (JSON) and a page (Markdown); `None` writes
        nothing.
    methods, seeds
        As for `insignia.perturb.benchmark`; the baselines always stand beside them.
    priors
        What is known about genes; names are matched to those of the screen.
    n_splits
        How many splits or folds; `None` takes those of the protocol.
    genes
        Genes to keep, those with the highest mean in control cells; `None` keeps all.
    control
        Label of the control cells, where it is none of those that the screen is shared with.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    The scoreboard of all splits. A condition that several of them test is averaged over them before conditions are.

    Raises
    ------
    InputError
        The file is not there, has no control cells, or genes are to be predicted of which nothing is known.
    """
    protocol = protocols[name]
    if protocol.needs_embedding and (priors is None or priors.embedding is None):
        raise InputError(
            f"{protocol.title}: genes are predicted that were never perturbed in training, so an embedding of genes is "
            "needed. Read one with perturb.read_embedding, or make one from gene sets with perturb.from_gene_sets."
        )
    data = protocol.read(path, control=control, genes=genes)
    known = None if priors is None else match_priors(priors, data)
    splits = protocol.splits(data, n_splits or protocol.n_splits, FIRST_SEED)
    boards = []
    with progress(protocol.title, len(splits), show=show_progress) as advance:
        for split in splits:
            boards.append(
                benchmark(
                    data,
                    split,
                    methods=methods,
                    priors=None if known is None else known.priors,
                    seeds=seeds,
                    show_progress=False,
                )
            )
            advance(1)
    board = Scoreboard.join(boards)
    board = replace(board, notes=(protocol.title, *data.notes, *board.notes))
    if output is not None:
        board.write(output)
        write_splits(splits, Path(output) / "splits.json")
    return board
