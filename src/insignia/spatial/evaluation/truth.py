"""The truth of an evaluation: measured sections that no imputer sees, brought to the scale of the predictions."""

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.data import Pose, Section, SectionStack, Transform, check_space
from insignia.spatial.assemble import spot_names
from insignia.spatial.evaluation.scores import HiddenSection
from insignia.spatial.panel import Panel, gene_names, panel_counts

__all__ = ["Truth", "hidden_sections", "truth_stack"]

Truth: TypeAlias = SectionStack | AnnData | Mapping[str, AnnData]
"""Measured sections: a stack; one table with ``obs["section"]``; or tables by section."""


def hidden_sections(
    stack: SectionStack, known: Collection[str], panel: Panel, reference: np.ndarray
) -> tuple[HiddenSection, ...]:
    """Collect what was measured on the sections that are not known.

    Parameters
    ----------
    stack
        With the counts of all measured sections.
    known
        Names of the sections that imputers may see.
    panel
        The genes that are imputed.
    reference
        (genes,) mean profile that skill is compared with.

    Raises
    ------
    InputError
        Every measured section is known, so there is nothing to score.
    GeneMatchError
        A section measures fewer than half of the panel.
    InputSpaceError
        A section does not hold raw counts.
    """
    names = [name for name in stack.measured if name not in set(known)]
    if not names:
        raise InputError(
            f"Nothing can be scored: stack {stack.name!r} has no measured section beside the known "
            f"({', '.join(known) or 'none'}). Give the truth of a section that was imputed."
        )
    depths = [stack[name].z_um for name in known]
    return tuple(_hidden(stack.name, stack[name], depths, panel, reference) for name in names)


def truth_stack(truth: Truth, how: Mapping[str, Any]) -> SectionStack:
    """Bring the truth into a stack, with the depths and poses that the imputation recorded where it has none.

    Parameters
    ----------
    truth
        Measured sections, in any of the accepted forms; positions are ``obsm["spatial"]`` in micrometres.
    how
        ``uns["imputation"]`` of the imputed expression.

    Raises
    ------
    MissingMetadata
        A table has no ``obs["section"]``.
    InputError
        A section is unknown to the imputation and the truth does not say where it lies.
    """
    if isinstance(truth, SectionStack):
        posed = {s.name: Section(**{**vars(s), "pose": s.pose or _pose(how, s.name)}) for s in truth}
        return truth.with_sections(posed)
    if isinstance(truth, AnnData):
        if keys.SECTION not in truth.obs:
            raise MissingMetadata(
                f"The truth needs obs[{keys.SECTION!r}], the section of each spot; it has: {', '.join(truth.obs)}. "
                "A stack, or a table for each section by name, will do as well."
            )
        labels = truth.obs[keys.SECTION].astype(str)
        truth = {str(name): truth[(labels == name).to_numpy()].copy() for name in labels.unique()}
    sections = tuple(
        Section(name, _depth(how, name), _named(spots), pose=_pose(how, name)) for name, spots in truth.items()
    )
    return SectionStack(str(how.get("stack", "truth")), sections, float(how["pitch_um"]))


def _hidden(sample: str, section: Section, depths: list[float], panel: Panel, reference: np.ndarray) -> HiddenSection:
    spots = section.spots
    check_space(
        spots.X, "counts", what=f"section {section.name!r} of the truth", names=(spots.obs_names, spots.var_names)
    )
    there = set(gene_names(spots, panel.gene_symbols))
    is_counted = np.array([gene in there for gene in panel.genes])
    if is_counted.mean() < 0.5:
        raise GeneMatchError(
            f"Section {section.name!r} of the truth measures {int(is_counted.sum()):,} of the {len(panel):,} imputed "
            f"genes, e.g. not {[gene for gene in panel.genes if gene not in there][:3]}. "
            "If its genes go by other names, say where they are with gene_symbols=."
        )
    # a gene that the file leaves out was counted nowhere in it; it counts as 0 in the total, and is not scored
    counts = np.zeros((spots.n_obs, len(panel)))
    measured = Panel(
        tuple(np.array(panel.genes, dtype=object)[is_counted]),
        "given",
        panel.mean_count[is_counted],
        (),
        panel.gene_symbols,
    )
    counts[:, is_counted] = panel_counts(spots, measured)
    return HiddenSection(
        sample=sample,
        name=section.name,
        spots=spot_names(section),
        points_um=section.points_um,
        genes=panel.genes,
        counts=counts,
        is_counted=is_counted,
        reference=np.asarray(reference, dtype=np.float32),
        distance_um=min((abs(section.z_um - depth) for depth in depths), default=float("nan")),
        registration="" if section.pose is None else section.pose.status,
        quality={} if section.pose is None else {name: float(v) for name, v in section.pose.quality.items()},
    )


def _named(spots: AnnData) -> AnnData:
    """Name spots as within their section, where they are named as within the stack."""
    if keys.SPOT in spots.obs:
        spots = spots.copy()
        spots.obs_names = spots.obs[keys.SPOT].astype(str)
    return spots


def _pose(how: Mapping[str, Any], name: str) -> Pose | None:
    matrix = how.get("transforms", {}).get(name)
    if matrix is None:
        return None
    return Pose(
        Transform(np.asarray(matrix)),
        str(how["sections"].loc[name, "status"]),
        str(how["sections"].loc[name, "stage"]),
        {key: float(value) for key, value in how.get("quality", {}).get(name, {}).items()},
    )


def _depth(how: Mapping[str, Any], name: str) -> float:
    table = how["sections"]
    if name not in table.index:
        raise InputError(
            f"The imputation knows nothing of section {name!r} of the truth; its sections are "
            f"{', '.join(map(str, table.index))}. Give the truth as a stack, or leave the section out."
        )
    return float(table.loc[name, "z_um"])
