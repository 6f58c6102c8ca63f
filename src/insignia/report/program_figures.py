"""Map of gene programs: which genes go together, and which programs each perturbation moves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["program_map_figure"]

_MOST_PIXELS: Final = 600
_ROW: Final = 0.2


def program_map_figure(
    programs: pd.DataFrame,
    effects: pd.DataFrame,
    *,
    correlation: np.ndarray | None = None,
    conditions: Sequence[str] | None = None,
    top: int = 24,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the mean effect of perturbations on every gene program, and the correlation of the genes by program.

    Rows are programs. On the right, columns are conditions, grouped by what they do, and the colour is the mean change
    of the genes of the program; on the left, where correlations are given, genes stand in the order of the programs.

    Parameters
    ----------
    programs
        Indexed by gene, with the column ``program``, empty where a gene has none.
    effects
        (conditions, genes) change of mean log expression; columns are gene names.
    correlation
        (genes, genes) in the order of `programs`.
    conditions
        Conditions to draw; `None` takes the `top` with the largest effects.
    top
        How many.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        There is no column ``program``, or no gene of a program has an effect.
    InputError
        A condition is not in the table, or correlations do not fit the genes.
    """
    if "program" not in programs:
        raise MissingMetadata(f"The table has no column 'program'; it holds: {', '.join(map(str, programs.columns))}.")
    if correlation is not None and np.shape(correlation) != (len(programs), len(programs)):
        raise InputError(f"{len(programs)} genes need as many correlations each, found {np.shape(correlation)}.")
    means = _program_means(programs, _shown(effects, conditions, top))
    n_programs, n_conditions = means.shape
    row = max(_ROW, 3.2 / n_programs)
    side = row * n_programs if correlation is not None else 0.0
    width = 1.6 + side + 0.17 * n_conditions + 0.9
    names = [style.wrapped(name, 26, lines=1) for name in means.columns]
    height = 1.15 + row * n_programs + 0.065 * max(map(len, names))
    if figure is None:
        figure = style.new_figure(max(width, 4.2), height)
    else:
        figure.set_size_inches(max(width, 4.2), height)
        figure.set_layout_engine("constrained")
    if correlation is None:
        axes = [figure.subplots()]
    else:
        axes = list(figure.subplots(1, 2, width_ratios=[side, 0.17 * n_conditions + 0.6]))
        _draw_correlation(axes[0], programs, correlation, list(means.index))
    _draw_means(axes[-1], means, names, with_labels=correlation is None)
    for ax in axes:
        style.use_fonts(ax)
    return figure


def _shown(effects: pd.DataFrame, conditions: Sequence[str] | None, top: int) -> pd.DataFrame:
    if not len(effects):
        raise InputError("There is no effect to draw.")
    if conditions is not None:
        if absent := [name for name in conditions if name not in effects.index]:
            raise InputError(
                f"There is no condition {absent[0]!r}; there are {', '.join(map(str, effects.index[:8]))}."
            )
        return effects.loc[list(conditions)]
    size = np.linalg.norm(effects.to_numpy(dtype=float), axis=1)
    return effects.iloc[np.sort(np.argsort(-size, kind="stable")[:top])]


def _program_means(programs: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """(programs, conditions) mean change of the genes of each, conditions that do alike side by side."""
    known = programs["program"].dropna()
    shared = known[known.index.isin(effects.columns)]
    if not len(shared):
        raise MissingMetadata("No gene of a program has an effect; do both tables use the same gene names?")
    means = effects[shared.index].T.groupby(shared, sort=True, observed=True).mean()
    if means.shape[1] < 3:
        return means
    from scipy.cluster.hierarchy import leaves_list, linkage

    order = leaves_list(linkage(means.T.to_numpy(), "average", optimal_ordering=True))
    ordered: pd.DataFrame = means.iloc[:, order]
    return ordered


def _draw_correlation(ax: "Axes", programs: pd.DataFrame, correlation: np.ndarray, names: Sequence[str]) -> None:
    place = programs["program"].map({name: i for i, name in enumerate(names)}).to_numpy(dtype=float)
    order = np.argsort(np.where(np.isnan(place), np.inf, place), kind="stable")
    order = order[np.isfinite(place[order])]
    matrix = np.abs(np.asarray(correlation, dtype=float)[np.ix_(order, order)])
    np.fill_diagonal(matrix, np.nan)
    limit = float(np.nanquantile(matrix, 0.99)) or 1.0
    # every program takes one row of the map beside, however many genes it has
    edges = np.interp(np.arange(len(order) + 1), *_edges(place[order], len(names)))
    step = -(-len(order) // _MOST_PIXELS)
    if step > 1:
        keep = np.arange(0, len(order), step)
        matrix, edges = matrix[np.ix_(keep, keep)], np.append(edges[keep], edges[-1])
    mesh = ax.pcolormesh(edges, edges, matrix, cmap="Greys", vmin=0, vmax=limit, rasterized=True)
    for edge in range(1, len(names)):
        ax.axhline(edge, color=style.DISTINCT[5], linewidth=0.4)
        ax.axvline(edge, color=style.DISTINCT[5], linewidth=0.4)
    ax.set_xlim(0, len(names))
    ax.set_ylim(len(names), 0)
    ax.set_yticks(np.arange(len(names)) + 0.5, [style.wrapped(name, 24, lines=1) for name in names])
    ax.set_xticks([])
    _finish(ax, f"Correlation of {len(place[np.isfinite(place)]):,} genes, absolute", mesh, wide=True)


def _edges(place: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of genes up to the end of each program, and where those ends lie."""
    counts = np.bincount(place.astype(int), minlength=n)
    return np.append(0, np.cumsum(counts)).astype(float), np.arange(n + 1, dtype=float)


def _draw_means(ax: "Axes", means: pd.DataFrame, names: Sequence[str], *, with_labels: bool) -> None:
    limit = float(np.nanmax(np.abs(means.to_numpy()))) or 1.0
    n_programs, n_conditions = means.shape
    mesh = ax.pcolormesh(
        np.arange(n_conditions + 1), np.arange(n_programs + 1), means.to_numpy(), cmap="PuOr_r", vmin=-limit,
        vmax=limit, edgecolors="white", linewidth=0.3,
    )  # fmt: skip
    ax.set_ylim(n_programs, 0)
    labels = [style.wrapped(name, 24, lines=1) for name in means.index] if with_labels else []
    ax.set_yticks(np.arange(n_programs) + 0.5 if with_labels else [], labels)
    ax.set_xticks(np.arange(n_conditions) + 0.5, list(names), rotation=90)
    _finish(ax, "Mean change of log expression" if n_conditions > 9 else "Mean change", mesh, wide=n_conditions > 9)


def _finish(ax: "Axes", title: str, mesh: object, *, wide: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    style.open_frame(ax, keep=())
    ax.tick_params(length=0, labelsize=style.SMALL)
    bar = style.figure_of(ax).colorbar(mesh, ax=ax, location="top", aspect=30, shrink=0.9, pad=0.015, anchor=(0, 0))  # type: ignore[arg-type]
    bar.ax.tick_params(labelsize=style.SMALL - 0.5)
    bar.set_label(title, fontsize=style.SMALL + 0.5, fontweight="bold", labelpad=4)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5 if wide else 2)
    bar.update_ticks()
