"""What maps of genes show of each section: what was measured there, what was imputed, and how well the two agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError
from insignia.report.spatial_maps import common_points
from insignia.stats import column_correlation

if TYPE_CHECKING:
    from anndata import AnnData

    from insignia.data import Section, SectionStack

__all__ = ["SectionMaps", "section_maps"]


@dataclass(frozen=True, eq=False)
class SectionMaps:
    """One section on maps; values are (spots, genes) of the genes that are drawn.

    Parameters
    ----------
    name, z_um
        Which section.
    is_placed
        Whether its registration can be trusted.
    measured_um, measured
        Places, (spots, 2), and values of what was measured; `None` if nothing was.
    imputed_um, imputed, sd
        Places, values and standard deviations of what was imputed; `None` on known sections.
    extrapolated
        (spots,) bool, which imputed spots are far from any known one.
    correlation
        (genes,) over spots that were both measured and imputed.
    """

    name: str
    z_um: float
    is_placed: bool
    measured_um: np.ndarray | None
    measured: np.ndarray | None
    imputed_um: np.ndarray | None
    imputed: np.ndarray | None
    sd: np.ndarray | None
    extrapolated: np.ndarray | None
    correlation: np.ndarray | None

    @property
    def places(self) -> list[np.ndarray]:
        """All places of spots."""
        return [points for points in (self.measured_um, self.imputed_um) if points is not None]

    def moved(self, by_um: np.ndarray) -> "SectionMaps":
        """Return the section elsewhere."""
        measured, imputed = (
            None if points is None else points + by_um for points in (self.measured_um, self.imputed_um)
        )
        return replace(self, measured_um=measured, imputed_um=imputed)


def section_maps(
    imputed: "AnnData",
    genes: list[str],
    measured: "SectionStack | None",
    sections: Sequence[str] | None,
    gene_symbols: str | None,
) -> list[SectionMaps]:
    """Gather what there is of each section, in order of depth; see `insignia.report.gene_maps_figure`.

    A section whose registration failed has no place in the common frame, and is put in the middle of the others.
    """
    common_points(imputed)
    if not genes:
        raise InputError("Name at least one gene to draw.")
    weights = _weights(imputed, genes)
    there = [str(name) for name in imputed.obs[keys.SECTION].astype(str).unique()]
    depths = {name: float(imputed[imputed.obs[keys.SECTION] == name].obsm[keys.SPATIAL_COMMON][0, 2]) for name in there}
    if measured is not None:
        depths = {name: measured[name].z_um for name in measured.measured} | depths
    chosen = list(depths) if sections is None else list(sections)
    if unknown := [name for name in chosen if name not in depths]:
        raise InputError(f"Nothing is known or imputed of section {unknown[0]!r}; there are {', '.join(depths)}.")
    made = []
    for name in sorted(chosen, key=lambda name: depths[name]):
        held = None
        if measured is not None and name in measured.names and measured[name].is_measured:
            held = measured[name]
        made.append(_column(imputed, name, depths[name], genes, weights, held, gene_symbols))
    return _gathered(made)


def _weights(imputed: "AnnData", names: list[str]) -> np.ndarray:
    """Give what each imputed gene weighs in each gene or scored signature that is drawn, (genes, drawn)."""
    scored = imputed.varm.get(keys.SIGNATURE_WEIGHTS, pd.DataFrame(index=imputed.var_names))
    if absent := [name for name in names if name not in imputed.var_names and name not in scored]:
        raise GeneMatchError(
            f"{absent[:5]} were not imputed; the {imputed.n_vars:,} genes that were are like "
            f"{list(imputed.var_names[:5])}, and the signatures {', '.join(map(str, scored)) or 'none'}."
        )
    one = pd.DataFrame({name: imputed.var_names == name for name in names if name not in scored}, imputed.var_names)
    return np.column_stack([one[name] if name in one else scored[name] for name in names]).astype(np.float64)


def _gathered(sections: list[SectionMaps]) -> list[SectionMaps]:
    placed = [points for section in sections if section.is_placed for points in section.places]
    if not placed:
        return sections
    middle = np.concatenate(placed).mean(axis=0)
    return [
        section if section.is_placed else section.moved(middle - np.concatenate(section.places).mean(axis=0))
        for section in sections
    ]


def _column(
    imputed: "AnnData",
    name: str,
    z_um: float,
    genes: list[str],
    weights: np.ndarray,
    held: "Section | None",
    gene_symbols: str | None,
) -> SectionMaps:
    own = imputed[(imputed.obs[keys.SECTION] == name).to_numpy()]
    is_known = own.n_obs == 0 or bool(own.obs.get(keys.IS_KNOWN, pd.Series([False])).all())
    points = values = sd = extrapolated = None
    is_placed = held is None or held.pose is None or held.pose.is_ok
    if own.n_obs and not is_known:
        points, values = np.asarray(own.obsm[keys.SPATIAL_COMMON])[:, :2], np.asarray(own.X) @ weights
        sd = _sd(own, genes)
        extrapolated = own.obs[keys.EXTRAPOLATED].to_numpy(bool) if keys.EXTRAPOLATED in own.obs else None
        is_placed &= bool(own.obs[keys.REG_OK].all()) if keys.REG_OK in own.obs else True
    truth = None if held is None else _normalised(held, imputed, gene_symbols) @ weights
    places = None if held is None else held.common_um[:, :2]
    correlation = None
    if values is not None and truth is not None and held is not None:
        correlation = _correlation(own, values, held, truth)
    return SectionMaps(name, z_um, is_placed, places, truth, points, values, sd, extrapolated, correlation)


def _sd(own: "AnnData", names: list[str]) -> np.ndarray | None:
    """Give the standard deviations of genes and of scores, (spots, drawn); `None` if one has none."""
    columns = []
    for name in names:
        if f"{name}_{keys.SD}" in own.obs:
            columns.append(own.obs[f"{name}_{keys.SD}"].to_numpy())
        elif keys.SD in own.layers and name in own.var_names:
            columns.append(np.asarray(own.layers[keys.SD])[:, own.var_names.get_loc(name)])
        else:
            return None
    return np.column_stack(columns)


def _normalised(section: "Section", imputed: "AnnData", gene_symbols: str | None) -> np.ndarray:
    """Normalise the counts of a section over the imputed genes, as the imputer does, (spots, genes)."""
    from insignia.spatial.panel import Panel, normalise, panel_counts

    panel = Panel(tuple(map(str, imputed.var_names)), "given", np.zeros(imputed.n_vars), (), gene_symbols)
    return normalise(panel_counts(section.spots, panel))


def _correlation(own: "AnnData", values: np.ndarray, held: "Section", truth: np.ndarray) -> np.ndarray | None:
    """Correlation of each gene over the spots that were both measured and imputed; `None` if fewer than three were."""
    place = held.spots.obs_names.get_indexer(pd.Index(own.obs.get(keys.SPOT, own.obs_names)))
    both = place >= 0
    if both.sum() < 3:
        return None
    return column_correlation(values[both], truth[place[both]])
