"""Impute expression over a registered stack: the runner of all imputers, and the verb."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from anndata import AnnData

import insignia.spatial.imputers  # noqa: F401 - registers them
from insignia.core.errors import InputError
from insignia.data import SectionStack
from insignia.genes import Signature
from insignia.spatial.assemble import assemble, known_sections
from insignia.spatial.baselines import baseline_table
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.depth import depth_slope
from insignia.spatial.known import mean_and_sd, support_and_distance
from insignia.spatial.left_out import judge
from insignia.spatial.outputs import Run, as_adata
from insignia.spatial.panel import Panel, choose_panel
from insignia.spatial.signature_scores import Signatures, SignatureScores, read_signatures, wanted_genes
from insignia.spatial.uncertainty import calibrate

__all__ = ["impute", "imputers"]

_MOST_TRAINING: Final = 3


def impute(
    stack: SectionStack,
    *,
    known: Collection[str] | None = None,
    method: str | Imputer = "blend",
    genes: int | Sequence[str] = 250,
    sections: str | Collection[str] = "unmeasured",
    features: str | None = "handcrafted",
    training: Sequence[SectionStack] = (),
    gene_symbols: str | None = None,
    level: float = 0.9,
    baselines: bool = True,
    signatures: Signatures = (),
    min_coverage: float = 0.5,
    seed: int = 0,
) -> AnnData:
    """Impute the expression of the spots of serial sections from the sections whose expression is known.

    Counts of sections that are not known are never read.

    Parameters
    ----------
    stack
        Registered sections. A section whose registration failed takes part by its image alone.
    known
        Names of the sections whose expression may be seen; `None` for all that are measured. Naming some of them makes
        the others unmeasured.
    method
        Name of a registered imputer, or one that is made.
    genes
        Size of the panel, the genes with the largest mean count in what may be seen; or their names.
    sections
        ``"unmeasured"`` for all sections that are not known, ``"all"``, or names. What is asked for does not change
        what is imputed.
    features
        Encoder whose features of the image are used, ``obsm["X_<features>"]``; `None` for none.
    training
        Stacks of other donors, measured in full.
    gene_symbols
        Column of `var` that holds the names of the genes; `None` for `var_names`.
    level
        Share of values that the intervals shall hold.
    baselines
        Try the plain imputers on the same hidden blocks, and write the table; `False` saves their time.
    signatures
        Names of bundled signatures, `Signature` objects, or a mapping from name to genes or weights. Their measured
        genes and controls join a panel of the most abundant ones. Each spot is scored, with intervals that are
        calibrated on the scores of hidden spots; see `insignia.spatial.signature_scores.SignatureScores`.
    min_coverage
        Share of a signature's genes below which it is refused.
    seed
        Of whatever is random; equal seeds give equal results.

    Returns
    -------
    AnnData with the spots of `sections` as rows, see `insignia.spatial.outputs.as_adata`.

    Raises
    ------
    InputError
        A section has no pose, nothing is known, there is nothing to impute, or the method needs features.
    GeneMatchError, DuplicateNames, InputSpaceError
        The counts cannot be brought to a panel, or too little of a signature was measured.
    UnknownName
        No such method.
    """
    known = known_sections(stack, known)
    wanted = _wanted(stack, known, sections)
    imputer = imputers[method]() if isinstance(method, str) else method
    asked = read_signatures(signatures)
    panel = _panel(stack, known, training, genes=genes, gene_symbols=gene_symbols, signatures=asked)
    scores = SignatureScores.of(asked, panel, min_coverage=min_coverage) if asked else None
    spots = assemble(stack, panel, known=known, features=features)
    others = [assemble(other, panel, features=features) for other in training]
    _refuse_no_features(imputer, spots, method=str(method), features=features)
    imputer = imputer.tuned(spots, training=others, seed=seed)
    imputed = widen_unmatched(imputer.impute(spots, training=others, seed=seed), spots)
    left_out = judge(imputer, spots, training=others, seed=seed)
    name = method if isinstance(method, str) else type(method).__name__.lower()
    calibration = calibrate(left_out, len(panel), level=level)
    slope = depth_slope(imputer, others[:_MOST_TRAINING], calibration, seed=seed) if spots.is_known.any() else None
    run = Run(
        stack=stack,
        panel=panel,
        spots=spots,
        imputed=imputed,
        calibration=calibration if slope is None else calibration.with_depth(slope),
        left_out=left_out,
        baselines=baseline_table(spots, beside={name: left_out}, training=others, seed=seed)
        if left_out is not None and baselines
        else None,
        settings={
            "method": name,
            "known": list(known),
            "features": features if spots.features is not None else None,
            "training": [other.name for other in training],
            "seed": seed,
        },
        scores=scores,
        notes=_notes(spots, imputed, is_calibrated=left_out is not None, knows_depth=slope is not None),
    )
    return as_adata(run, wanted)


def widen_unmatched(imputed: Imputed, spots: StackSpots) -> Imputed:
    """Make spots that no known spot can be matched with at least as unsure as the mean profile is.

    Hidden known spots cannot tell how wrong they are: what images seem to say within a known section is in part what
    lies there.
    """
    _, distance = support_and_distance(spots, np.arange(len(spots)))
    unmatched = np.isinf(distance)
    if not spots.is_known.any() or not unmatched.any():
        return imputed
    sd = imputed.sd.copy()
    sd[unmatched] = np.maximum(sd[unmatched], mean_and_sd(spots)[1])
    return replace(imputed, sd=sd)


def _panel(
    stack: SectionStack,
    known: Sequence[str],
    training: Sequence[SectionStack],
    *,
    genes: int | Sequence[str],
    gene_symbols: str | None,
    signatures: Sequence[Signature],
) -> Panel:
    seen = [stack[name].spots for name in known]
    seen += [other[name].spots for other in training for name in other.measured]
    if not seen:
        raise InputError(
            f"Nothing is known of stack {stack.name!r}: no section was measured, and there are no training stacks."
        )
    also = partial(wanted_genes, signatures) if signatures else None
    return choose_panel(seen, genes, gene_symbols=gene_symbols, also=also)


def _wanted(stack: SectionStack, known: Sequence[str], sections: str | Collection[str]) -> tuple[str, ...]:
    if isinstance(sections, str) and sections not in ("unmeasured", "all"):
        sections = (sections,)
    if sections == "all":
        return stack.names
    if sections == "unmeasured":
        rest = tuple(name for name in stack.names if name not in known)
        if not rest:
            raise InputError(
                f"All {len(stack)} sections are known, so there is nothing to impute. Name those that may be seen with "
                "known=, or ask for sections='all'."
            )
        return rest
    return tuple(name for name in stack.names if name in {stack[wanted].name for wanted in sections})


def _refuse_no_features(imputer: Imputer, spots: StackSpots, *, method: str, features: str | None) -> None:
    if imputer.needs_features and spots.features is None:
        raise InputError(
            f"{method} needs features of the image, and no section has obsm['X_{features}']. Run the features step "
            "first, or use a method without images: propagate, kernel, nearest or mean."
        )


def _notes(spots: StackSpots, imputed: Imputed, *, is_calibrated: bool, knows_depth: bool) -> tuple[str, ...]:
    notes = list(imputed.notes)
    if not is_calibrated:
        notes.append(
            "too few spots are known to hide any: intervals are those of a normal distribution, not calibrated"
        )
    n_known = len(np.unique(spots.section[spots.is_known]))
    if n_known == 0 and is_calibrated:
        notes.append("intervals are calibrated on training stacks that were hidden whole")
    if n_known == 1 and not knows_depth:
        notes.append("one section is known: how errors grow with depth cannot be learnt from it, nor be calibrated")
    return tuple(notes)
