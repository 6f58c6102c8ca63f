"""Judge expression that was imputed, with the truth, beside everything that comes for free."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data import SectionStack, hide_counts
from insignia.spatial.assemble import known_sections
from insignia.spatial.evaluation.compare import about, make_job, other_samples
from insignia.spatial.evaluation.entries import baselines_and_methods, control_entries
from insignia.spatial.evaluation.evaluation import Evaluation
from insignia.spatial.evaluation.harness import Predicted, predictions, run
from insignia.spatial.evaluation.scores import Prediction
from insignia.spatial.evaluation.stacks import narrowed
from insignia.spatial.evaluation.tabulate import oracles, scored
from insignia.spatial.evaluation.truth import Truth, truth_stack
from insignia.spatial.panel import choose_panel

__all__ = ["evaluate"]

_PERMUTATIONS: Final = 3


def evaluate(
    imputed: AnnData,
    truth: Truth,
    *,
    known: Collection[str] | None = None,
    others: Sequence[SectionStack] = (),
    gene_symbols: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Compare imputed expression with what was measured, beside the baselines, controls and oracles.

    Parameters
    ----------
    imputed
        From `insignia.spatial.impute`.
    truth
        Raw counts of the sections that were imputed and of the known ones, whose mean is the yardstick: a stack, one
        table with ``obs["section"]``, or tables by section. Positions are ``obsm["spatial"]`` in micrometres; depths
        and poses come from the imputation where the truth has none.
    known
        Sections whose expression the imputation saw; `None` takes its own word.
    others
        Stacks of other samples, for the mean of other samples; with no known section they are the yardstick.
    gene_symbols
        Column of `var` of the truth that holds the names of the genes.
    seed
        Of controls, baselines and the ceiling.

    Raises
    ------
    MissingMetadata
        `imputed` does not say how it was made, or the truth has no sections.
    InputError
        The truth lacks the known sections, or nothing that was imputed.
    GeneMatchError
        The truth measures fewer than half of the imputed genes.
    """
    how = _how(imputed)
    stack = truth_stack(truth, how)
    known = _known(stack, how, known)
    features = _features(how)
    seen = hide_counts(stack, known, features=() if features is None else (features,))
    panel = choose_panel(
        [seen[name].spots for name in known] + [block[name].spots for block in others for name in block.measured],
        [str(gene) for gene in imputed.var_names],
        gene_symbols=gene_symbols,
    )
    seen, others = narrowed(seen, panel), [narrowed(block, panel) for block in others]
    job = make_job(_imputed_part(stack, imputed, known), seen, panel, known=known, training=others, features=features)
    said = predictions(imputed, job.hidden)
    label = str(how.get("method", "imputed"))
    entries = baselines_and_methods(seen, {})
    entries += control_entries(seen, known, {"kernel": "kernel"}, seeds=range(seed, seed + _PERMUTATIONS))
    predicted, seconds, notes = run(job, entries, [seed])
    rng = np.random.default_rng(seed)
    return scored(
        job.hidden,
        [
            Predicted("imputer", label, int(how.get("seed", 0)), said),
            *predicted,
            *(
                Predicted("control", f"{label}, own spots shuffled", again, [_shuffled(one, rng) for one in said])
                for again in range(seed, seed + _PERMUTATIONS)
            ),
            *other_samples(job, panel),
            *oracles(job.hidden),
        ],
        known=known,
        notes=notes,
        about=about(job, panel, seeds=[seed], seconds=seconds),
        seed=seed,
    )


def _how(imputed: AnnData) -> dict[str, Any]:
    if keys.IMPUTATION not in imputed.uns:
        raise MissingMetadata(
            f"uns[{keys.IMPUTATION!r}] is missing, which says how the expression was imputed. "
            "Evaluate what insignia.spatial.impute returned."
        )
    return dict(imputed.uns[keys.IMPUTATION])


def _known(stack: SectionStack, how: dict[str, Any], known: Collection[str] | None) -> tuple[str, ...]:
    names = [str(name) for name in (how["known"] if known is None else known)]
    if missing := [name for name in names if name not in stack.names]:
        raise InputError(
            f"The truth has no section {', '.join(missing)}, which the imputation knew; it has "
            f"{', '.join(stack.names)}. The mean of the known sections is the yardstick, so give their counts as well."
        )
    return known_sections(stack, names)


def _features(how: dict[str, Any]) -> str | None:
    name = str(how.get("features", "none"))
    return None if name == "none" else name


def _imputed_part(stack: SectionStack, imputed: AnnData, known: Collection[str]) -> SectionStack:
    """Leave out measured sections that were not imputed: there is nothing to score."""
    there = {str(name) for name in imputed.obs[keys.SECTION].unique()} | set(known)
    kept = tuple(section for section in stack if section.name in there)
    if not kept:
        raise InputError(
            f"No section of the truth ({', '.join(stack.names)}) was imputed ({', '.join(sorted(there))})."
        )
    return SectionStack(stack.name, kept, stack.pitch_um, stack.notes)


def _shuffled(prediction: Prediction, rng: np.random.Generator) -> Prediction:
    return Prediction(prediction.mean[rng.permutation(len(prediction.mean))])
