"""Imputed expression as AnnData: values, intervals, how far each spot can be trusted, and how it was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia import __version__
from insignia.core import keys
from insignia.data import SectionStack
from insignia.spatial.contract import Imputed, StackSpots
from insignia.spatial.depth import gaps_to_known
from insignia.spatial.known import support_and_distance
from insignia.spatial.left_out import LeftOut
from insignia.spatial.panel import Panel
from insignia.spatial.signature_scores import SignatureScores
from insignia.spatial.uncertainty import Calibration, is_predictable

__all__ = ["Run", "as_adata"]

_FAR_PITCHES: Final = 1.5


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that one run made.

    Parameters
    ----------
    stack, panel, spots, imputed
        What went in and what came out.
    calibration
        Of the intervals.
    left_out
        Known spots as predicted while hidden; `None` if too few are known to hide any.
    baselines
        Table of imputers on hidden blocks; `None` without hidden blocks.
    settings
        The caller's choices, by name.
    scores
        Signatures to score; `None` for none.
    notes
        What a reader must know, for people.
    """

    stack: SectionStack
    panel: Panel
    spots: StackSpots
    imputed: Imputed
    calibration: Calibration
    left_out: LeftOut | None
    baselines: pd.DataFrame | None
    settings: Mapping[str, Any]
    scores: SignatureScores | None = None
    notes: tuple[str, ...] = ()


def as_adata(run: Run, sections: Sequence[str]) -> AnnData:
    """Bring a run into one object, with the spots of some sections as rows.

    Known spots keep what was measured, with an sd of 0.

    Returns
    -------
    `X`, (spots, genes) float32, ln-normalised over the panel; `layers`: ``sd``, ``lower``, ``upper`` and the imputer's
    parts; `obs`: ``section``, ``spot``, ``z_um``, ``is_known``, ``support``, ``distance_um``, ``extrapolated``,
    ``reg_ok``; `var`: ``source``, ``mean_count``, ``cv_pcc``, ``cv_skill``, ``predictable``; `obsm`: ``spatial`` and
    ``spatial_common``; `uns["imputation"]`. With signatures, `obs` has the score of each by its name, and ``_sd``,
    ``_lower`` and ``_upper`` after it; `varm["signature_weights"]` says what each gene weighs.
    """
    spots = run.spots
    rows = np.flatnonzero(np.isin(spots.section, [spots.sections.index(name) for name in sections]))
    obs = _obs(run, rows)
    support, gaps = obs[keys.SUPPORT].to_numpy(), gaps_to_known(spots)[rows]
    sd, lower, upper = run.calibration.apply(run.imputed.mean[rows], run.imputed.sd[rows], support, gaps)
    values, known = run.imputed.mean[rows].astype(np.float32), spots.is_known[rows]
    values[known] = spots.expression[rows[known]]
    layers = {keys.SD: sd, keys.LOWER: lower, keys.UPPER: upper}
    for name, at_known in ((keys.SD, 0.0), (keys.LOWER, values[known]), (keys.UPPER, values[known])):
        layers[name][known] = at_known
    layers |= {name: part[rows] for name, part in run.imputed.parts.items()}
    varm = {}
    if run.scores is not None:
        columns = run.scores.scored(values, run.imputed.sd[rows], _of_scores(run), support, gaps, is_known=known)
        obs = obs.assign(**columns)
        varm[keys.SIGNATURE_WEIGHTS] = pd.DataFrame(run.scores.weights, list(run.panel.genes), list(run.scores.names))
    own = np.concatenate([section.points_um for section in run.stack])
    return AnnData(
        values,
        obs=obs,
        var=_var(run),
        layers={name: np.asarray(layer, dtype=np.float32) for name, layer in layers.items()},
        varm=varm,
        obsm={keys.SPATIAL: own[rows], keys.SPATIAL_COMMON: spots.xyz_um[rows]},
        uns={keys.IMPUTATION: _how(run, sections)},
    )


def _of_scores(run: Run) -> Calibration:
    assert run.scores is not None
    level, slope = run.calibration.level, run.calibration.depth_slope
    return run.scores.calibration(run.left_out, level=level, depth_slope=slope)


def _obs(run: Run, rows: np.ndarray) -> pd.DataFrame:
    spots = run.spots
    support, distance = support_and_distance(spots, rows)
    in_section = [name for section in run.stack for name in section.spots.obs_names]
    section = pd.Categorical.from_codes(spots.section[rows], categories=pd.Index(spots.sections))
    table = pd.DataFrame({keys.SECTION: section.remove_unused_categories()}, index=spots.names[rows].astype(str))
    table[keys.SPOT] = np.array(in_section, dtype=object)[rows]
    table[keys.Z_UM] = spots.xyz_um[rows, 2]
    table[keys.IS_KNOWN] = spots.is_known[rows]
    table[keys.SUPPORT] = support
    table[keys.DISTANCE_UM] = distance
    table[keys.EXTRAPOLATED] = (distance > _FAR_PITCHES * spots.pitch_um) & ~spots.is_known[rows]
    table[keys.REG_OK] = spots.is_placed[rows]
    return table


def _var(run: Run) -> pd.DataFrame:
    table = pd.DataFrame(index=list(run.panel.genes))
    table["source"] = pd.Categorical(run.panel.sources)
    table["mean_count"] = run.panel.mean_count
    table["cv_pcc"] = np.nan if run.left_out is None else run.left_out.gene_pcc()
    table["cv_skill"] = np.nan if run.left_out is None else run.left_out.gene_skill()
    table[keys.PREDICTABLE] = is_predictable(run.left_out, len(table))
    return table


def _how(run: Run, sections: Sequence[str]) -> dict[str, Any]:
    poses = {section.name: section.pose for section in run.stack if section.pose is not None}
    table = {
        "z_um": [section.z_um for section in run.stack],
        "status": [poses[s.name].status if s.name in poses else "" for s in run.stack],
        "stage": [poses[s.name].stage if s.name in poses else "" for s in run.stack],
        "is_known": [bool(run.spots.is_known[run.spots.section == i].any()) for i in range(len(run.stack))],
        "is_virtual": [section.is_virtual for section in run.stack],
        "spots": [section.spots.n_obs for section in run.stack],
    }
    how = {
        "stack": run.stack.name,
        "pitch_um": run.stack.pitch_um,
        "imputed_sections": list(sections),
        "sections": pd.DataFrame(table, index=list(run.stack.names)),
        "transforms": {name: pose.transform.matrix for name, pose in poses.items()},
        "quality": {name: dict(pose.quality) for name, pose in poses.items() if pose.quality},
        "calibration": {
            "level": run.calibration.level,
            "support_edges": run.calibration.edges,
            "hidden_spots": run.calibration.counts,
            "depth_slope": run.calibration.depth_slope,
        },
        "chosen": dict(run.imputed.record),
        "notes": [*run.stack.notes, *run.notes],
        "version": __version__,
        **run.settings,
    }
    if run.baselines is not None:
        how["baselines"] = run.baselines
    if run.scores is not None:
        how["signatures"] = run.scores.table(run.left_out)
    if run.panel.ambiguous:
        how["ambiguous_genes"] = list(run.panel.ambiguous)
    return {name: _plain(value) for name, value in how.items()}


def _plain(value: Any) -> Any:
    """Make of a value what h5ad can hold: no tuples, no `None`, no lists of nothing."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return np.array(value) if len(value) else np.empty(0, dtype=np.float64)
    return "none" if value is None else value
