"""One harness for all imputers: the truth is taken away first, and every one meets the same baselines and controls."""

import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from insignia import __version__
from insignia.core.errors import InputError
from insignia.core.files import sha256_text
from insignia.data import SectionStack, hide_counts
from insignia.spatial.assemble import assemble, known_sections
from insignia.spatial.baselines import BASELINES
from insignia.spatial.contract import Imputer
from insignia.spatial.evaluation.entries import baselines_and_methods, chosen_methods, control_entries
from insignia.spatial.evaluation.evaluation import Evaluation
from insignia.spatial.evaluation.harness import Job, Predicted, run
from insignia.spatial.evaluation.stacks import narrowed
from insignia.spatial.evaluation.tabulate import constant, oracles, scored
from insignia.spatial.evaluation.truth import hidden_sections
from insignia.spatial.known import mean_and_sd
from insignia.spatial.panel import Panel, choose_panel

__all__ = [
    "Comparison",
    "about",
    "compare_imputers",
    "make_job",
    "other_samples",
    "predict_hidden",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What every method says of the hidden sections, before it is scored.

    Parameters
    ----------
    job
        What the methods shared, with the truth.
    panel
        The genes.
    predicted
        A prediction of every hidden section by every method and seed.
    notes
        Methods that are left out, and why.
    about
        What a table needs to be repeated.
    """

    job: Job
    panel: Panel
    predicted: tuple[Predicted, ...]
    notes: tuple[str, ...]
    about: Mapping[str, Any]

    def evaluate(self, truth: SectionStack | None = None) -> Evaluation:
        """Score what was said.

        Parameters
        ----------
        truth
            Another truth of the same spots, e.g. the expected counts that a simulator knows; `None` takes what was
            measured.
        """
        hidden = self.job.hidden
        if truth is not None:
            hidden = hidden_sections(truth, self.job.known, self.panel, hidden[0].reference)
        return scored(
            hidden,
            [*self.predicted, *oracles(hidden)],
            known=self.job.known,
            notes=self.notes,
            about=self.about,
            seed=self.about["seeds"][0],
        )


def compare_imputers(
    stack: SectionStack,
    *,
    known: Collection[str],
    methods: Collection[str] | Mapping[str, str | Imputer] | None = None,
    controls: Collection[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    genes: int | Sequence[str] = 250,
    features: str | None = "handcrafted",
    training: Sequence[SectionStack] = (),
    gene_symbols: str | None = None,
) -> Evaluation:
    """Compare imputers on the measured sections of a stack that they do not see.

    Counts, and everything else that may carry them, are taken from the hidden sections before any imputer is made.
    The plain baselines, the permuted and misaligned controls, and the oracles always stand in the table.

    Parameters
    ----------
    stack
        Registered sections; those that are measured and not known are scored.
    known
        Sections whose expression may be seen; none for prediction from other donors alone, which needs `training`.
    methods
        Registered imputers to compare, or imputers by label; `None` takes all that are registered.
    controls
        Methods, by label, that are also run with the known spots permuted and without registration; `None` for the
        kernel and every method that is not a baseline. The kernel always is.
    seeds
        Seeds to run each method on.
    genes
        Size of the panel, chosen on what may be seen; or names.
    features
        Encoder whose features are used; no other feature of hidden sections is kept.
    training
        Stacks of other donors, measured in full.
    gene_symbols
        Column of `var` that holds the names of the genes.

    Raises
    ------
    InputError
        No measured section is hidden, a section has no pose, or the stack itself is among those for training.
    UnknownName
        No such method.
    """
    return predict_hidden(
        stack,
        known=known,
        methods=methods,
        controls=controls,
        seeds=seeds,
        genes=genes,
        features=features,
        training=training,
        gene_symbols=gene_symbols,
    ).evaluate()


def predict_hidden(
    stack: SectionStack,
    *,
    known: Collection[str],
    methods: Collection[str] | Mapping[str, str | Imputer] | None = None,
    controls: Collection[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    genes: int | Sequence[str] = 250,
    features: str | None = "handcrafted",
    training: Sequence[SectionStack] = (),
    gene_symbols: str | None = None,
) -> Comparison:
    """Do all of `compare_imputers` but the scoring; parameters and errors are the same."""
    known = known_sections(stack, known)
    chosen = chosen_methods(methods)
    seen = hide_counts(stack, known, features=() if features is None else (features,))
    panel = choose_panel(
        [seen[name].spots for name in known] + [block[name].spots for block in training for name in block.measured],
        genes,
        gene_symbols=gene_symbols,
    )
    seen, training = narrowed(seen, panel), [narrowed(block, panel) for block in training]
    job = make_job(stack, seen, panel, known=known, training=training, features=features)
    checked = (set(chosen) - set(BASELINES) if controls is None else set(controls)) | {"kernel"}
    entries = [
        *baselines_and_methods(seen, chosen),
        *control_entries(seen, known, {label: chosen.get(label, label) for label in sorted(checked)}, seeds=seeds),
    ]
    predicted, seconds, notes = run(job, entries, seeds)
    described = about(job, panel, seeds=list(seeds), seconds=seconds)
    return Comparison(job, panel, (*predicted, *other_samples(job, panel)), tuple(notes), described)


def other_samples(job: Job, panel: Panel) -> list[Predicted]:
    """Predict the mean profile of the other samples, each counting the same; nothing without other samples."""
    if not job.training:
        return []
    others = [assemble(block, panel, features=None) for block in job.training]
    profile = np.mean([block.expression[block.is_known].mean(axis=0, dtype=np.float64) for block in others], axis=0)
    return [constant("mean of other samples", profile, job.hidden)]


def about(job: Job, panel: Panel, *, seeds: list[int], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Say what a table needs to be repeated."""
    return {
        "genes": len(panel),
        "panel": panel.source,
        "panel_sha256": sha256_text("\n".join(panel.genes))[:16],
        "reference_of_skill": "mean of the known sections" if job.known else "mean of the other samples",
        "features": job.features or "none",
        "training": [block.name for block in job.training],
        "seeds": seeds,
        "seconds": dict(seconds),
        "software": {
            "insignia": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }


def make_job(
    stack: SectionStack,
    seen: SectionStack,
    panel: Panel,
    *,
    known: tuple[str, ...],
    training: Sequence[SectionStack],
    features: str | None,
) -> Job:
    """Put together what all methods share: `seen` is what they are given, `stack` what they are scored with.

    Raises
    ------
    InputError
        The stack itself is among those for training.
    """
    if stack.name in {block.name for block in training}:
        raise InputError(
            f"Stack {stack.name!r} is among the training stacks, whose counts are all seen, so that nothing of it "
            "would be hidden. Leave it out, or give donors names of their own."
        )
    spots = assemble(seen, panel, known=known, features=None)
    others = [assemble(block, panel, features=None) for block in training]
    reference = mean_and_sd(spots, others)[0].astype(np.float32)
    hidden = hidden_sections(stack, known, panel, reference)
    return Job(known, panel.genes, training, features, panel.gene_symbols, hidden)
