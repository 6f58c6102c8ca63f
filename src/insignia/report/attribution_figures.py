"""Figures of genes in groups of cells: attribution beside expression."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from insignia.report.dot_panels import DotPanel, attribution_panel, cell_panels, draw_panels

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

    from insignia.atlas import Contributions
    from insignia.data import InputSpace
    from insignia.genes import GeneVocabulary, Signature

__all__ = ["attribution_dots_figure", "top_genes_figure"]


def attribution_dots_figure(
    things: "AnnData | Contributions",
    genes: "str | Signature | Sequence[str] | None" = None,
    groupby: str = keys.CELL_TYPE,
    *,
    key: str = keys.ATTRIBUTION,
    top: int | None = 30,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the attribution of genes in groups of cells beside their expression, as dots.

    Colour is the mean and the area of a dot the fraction of cells in which the value is not 0. Genes stand with the
    group in which their attribution is highest, the strongest first. An atlas holds no expression, so that its
    contributions make one panel; a cross stands where no study of the group measured the gene.

    Parameters
    ----------
    things
        Attributed cells, or what `SearchResult.contributions` gave.
    genes
        Name of a bundled signature, a `Signature` or a list of genes; `None` takes all genes of contributions.
    groupby
        The `obs` column of groups, for cells.
    key
        Name of the attribution layer, for cells.
    top
        Genes to show, those with the highest mean attribution in any group; `None` shows all.
    layer, input_space
        Where expression is, as for `top_genes_figure`.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        The cells have no such column, or were not attributed.
    GeneMatchError
        None of the genes is there.
    InputError
        Genes must be named for cells, or `top` is below 1.
    """
    if top is not None and top < 1:
        raise InputError(f"top is how many genes to show, at least 1; found {top}.")
    if hasattr(things, "obs"):
        panels, names, groups = _dots_of_cells(things, genes, groupby, key, layer, input_space)
    else:
        panels, names, groups = _dots_of_groups(things, genes)
    order, edges = _by_group(panels[0].means, top)
    kept = [replace(panel, means=panel.means[order], fractions=panel.fractions[order]) for panel in panels]
    return draw_panels(kept, [names[k] for k in order], groups, edges=edges, figure=figure)


def _dots_of_cells(
    adata: "AnnData",
    genes: "str | Signature | Sequence[str] | None",
    groupby: str,
    key: str,
    layer: str | None,
    input_space: "InputSpace | None",
) -> tuple[list[DotPanel], list[str], list[str]]:
    from insignia.genes import GeneVocabulary

    if genes is None:
        raise InputError("Name the genes to draw: a signature, or a list of genes.")
    if groupby not in adata.obs:
        raise MissingMetadata(f"adata.obs has no column {groupby!r}. It has {list(adata.obs)[:12]}.")
    if key not in adata.layers:
        raise MissingMetadata(f"adata has no layer {key!r} (layers: {list(adata.layers)}). Run ins.tl.attribute first.")
    found = _found(genes, GeneVocabulary.from_var(adata.var))
    names = [str(adata.var_names[k]) for k in found]
    groups = sorted(map(str, adata.obs[groupby].dropna().unique()))
    return cell_panels(adata, groupby, key, names, groups, layer=layer, input_space=input_space), names, groups


def _dots_of_groups(
    contributions: "Contributions", genes: "str | Signature | Sequence[str] | None"
) -> tuple[list[DotPanel], list[str], list[str]]:
    from insignia.genes import GeneVocabulary

    names = list(contributions.genes)
    kept = list(range(len(names))) if genes is None else _found(genes, GeneVocabulary.from_names(names))
    panel = attribution_panel(contributions.attribution[:, kept].T, contributions.detection[:, kept].T)
    return [panel], [names[k] for k in kept], contributions.labels


def _found(genes: "str | Signature | Sequence[str]", vocabulary: "GeneVocabulary") -> list[int]:
    from insignia.genes import signature

    match = signature(genes).match(vocabulary)
    if not match.n_found:
        raise GeneMatchError(f"None of the {len(match.query):,} genes is there: {match.summary()}.")
    return [int(k) for k in match.index[match.found]]


def _by_group(means: np.ndarray, top: int | None) -> tuple[list[int], list[int]]:
    """Order of the leading genes, by the group where each is highest, and the rows at which a new group starts."""
    known = np.nan_to_num(means, nan=-np.inf)
    # genes that nobody measured stand last
    peak, group = known.max(axis=1), np.where(np.isnan(means).all(axis=1), means.shape[1], known.argmax(axis=1))
    leading = np.argsort(-peak, kind="stable")[:top]
    order = leading[np.lexsort((-peak[leading], group[leading]))]
    return order.tolist(), (np.flatnonzero(np.diff(group[order])) + 1).tolist()


def top_genes_figure(
    adata: "AnnData",
    groupby: str,
    *,
    key: str = keys.RANK_GENES,
    n_genes: int = 6,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the top genes of each group of cells: mean attribution beside mean expression.

    One row a gene, in the order of the groups whose top genes they are (a gene of several groups stands with the
    first), and one column a group. Colour is the mean over all cells of the group: attribution in units of the row sum
    of 1,000, on a square-root scale, and expression as log1p CP10k. The area of a dot is the fraction of cells in which
    the value is not 0.

    Parameters
    ----------
    adata
        Attributed cells with ranked genes.
    groupby
        The `obs` column that genes were ranked by.
    key
        Entry of `uns` that `rank_genes` wrote.
    n_genes
        Genes of each group.
    layer, input_space
        Where expression is, and whether it is ``"counts"`` or ``"log1p"``. `None` reads `adata.X` and looks.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        Genes were not ranked, or ranked by another column.
    InputSpaceError
        The values are neither counts nor log1p.
    """
    ranked = _ranked(adata, groupby, key)
    tops = _top_genes(ranked, n_genes)
    groups = list(tops)
    genes = [gene for own in tops.values() for gene in own]
    panels = cell_panels(adata, groupby, ranked["params"]["layer"], genes, groups, layer=layer, input_space=input_space)
    edges = np.cumsum([len(own) for own in tops.values()])[:-1].tolist()
    return draw_panels(panels, genes, groups, edges=edges, figure=figure)


def _ranked(adata: "AnnData", groupby: str, key: str) -> Any:
    if key not in adata.uns:
        raise MissingMetadata(
            f"adata.uns has no entry {key!r} (entries: {list(adata.uns)[:10]}). "
            f"Run ins.tl.rank_genes(adata, {groupby!r}) first."
        )
    ranked = adata.uns[key]
    by = str(ranked["params"]["groupby"])
    if by != groupby:
        raise MissingMetadata(
            f"The genes in adata.uns[{key!r}] were ranked by {by!r}, and {groupby!r} was asked for. "
            f"Run ins.tl.rank_genes(adata, {groupby!r}), or ask for {by!r}."
        )
    return ranked


def _top_genes(ranked: Any, n_genes: int) -> dict[str, list[str]]:
    """Genes of each group, each gene once, with the first group that it belongs to."""
    if n_genes < 1:
        raise InputError(f"n_genes is how many genes to show for each group, at least 1; found {n_genes}.")
    seen: set[str] = set()
    tops: dict[str, list[str]] = {}
    for group in ranked["names"].dtype.names:
        names = [str(name) for name in ranked["names"][group][:n_genes]]
        scores = ranked["scores"][group][:n_genes]
        own = [name for name, score in zip(names, scores, strict=True) if score > 0 and name not in seen]
        tops[str(group)] = own
        seen.update(own)
    if not seen:
        raise InputError("No gene has a higher attribution in one group than in the others; there is nothing to draw.")
    return tops
