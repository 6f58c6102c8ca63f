"""Figure of perturbed cells attributed against their controls, beside plain differences of expression."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.label_places import name_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.workflows import AttributedEffects

__all__ = ["contrast_figure"]

_REST, _CALLED, _BY_EXPRESSION = "#b9b9b9", "#D55E00", "#0072B2"
_PANEL: Final = 3.1


def contrast_figure(
    effects: "AttributedEffects",
    *,
    conditions: Sequence[str] | None = None,
    top: int = 6,
    columns: int = 3,
    n_genes: int = 6,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw what each gene carries of a perturbation against its difference of expression, one panel a condition.

    Right and left is the difference of expression in standard errors, up is what the gene carries of the distance that
    cells moved in the embedding, as a share of all. Genes called by attribution are orange, those called by expression
    alone are blue.

    Parameters
    ----------
    effects
        What `insignia.workflows.attribute_effects` gave.
    conditions
        Which; `None` takes the `top` that moved the farthest, in standard errors.
    top, columns
        Most panels, and panels of a row.
    n_genes
        How many genes to name in each.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    InputError
        There is nothing to draw, or a condition is not in the table.
    """
    groups = _groups(effects, conditions, top)
    if not groups or columns < 1:
        raise InputError("There is nothing to draw: name conditions, or pass top and columns of at least 1.")
    columns = min(columns, len(groups))
    rows = -(-len(groups) // columns)
    if figure is None:
        figure = style.new_figure(_PANEL * columns + 0.4, _PANEL * rows + 0.5)
    else:
        figure.set_size_inches(_PANEL * columns + 0.4, _PANEL * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    several = effects.table[keys.CONTEXT].nunique() > 1
    drawn = []
    for ax, (condition, context) in zip(panels, groups, strict=False):
        table = effects.of(condition, context)
        _draw(ax, table, effects.alpha)
        moved = float(effects.conditions["shift_z"].loc[(condition, context)])
        title = condition + (f", {context}" if several else "")
        ax.set_title(
            f"{style.wrapped(title, 28, lines=1)}\nmoved by {moved:.1f} standard errors",
            loc="left",
            fontsize=style.TEXT,
        )
        drawn.append((ax, table))
    for ax in panels[len(groups) :]:
        ax.set_axis_off()
    figure.supxlabel("Difference of expression (standard errors)", fontsize=style.TEXT)
    figure.supylabel(f"Share of the distance in {style.plain(effects.model)}", fontsize=style.TEXT)
    for ax, _ in drawn:
        style.use_fonts(ax)
    # names need to know where the axes are
    figure.draw_without_rendering()
    for ax, table in drawn:
        first = table.head(n_genes)
        name_points(ax, _points(first, table), first["gene"].tolist())
    return figure


def _groups(effects: "AttributedEffects", conditions: Sequence[str] | None, top: int) -> list[tuple[str, str]]:
    order = effects.conditions.sort_values("shift_z", ascending=False, kind="stable").index
    found = [(str(condition), str(context)) for condition, context in order]
    if conditions is None:
        return found[: max(top, 0)]
    absent = [name for name in conditions if name not in {condition for condition, _ in found}]
    if absent:
        raise InputError(f"There is no {absent[0]!r} among {len(found):,} conditions, e.g. {found[0][0]!r}.")
    return [one for name in conditions for one in found if one[0] == name]


def _points(rows: pd.DataFrame, table: pd.DataFrame) -> np.ndarray:
    total = float(np.abs(table["attribution"]).sum())
    return np.column_stack([rows["z"].fillna(0.0), rows["attribution"] / (total or 1.0)])


def _draw(ax: "Axes", table: pd.DataFrame, alpha: float) -> None:
    column = "q" if table["testable"].any() else "q_cells"
    called = (table[f"attribution_{column}"] <= alpha).to_numpy()
    other = (table[column] <= alpha).to_numpy() & ~called
    points = _points(table, table)
    ax.axhline(0, color=style.MUTED, linewidth=0.7)
    ax.axvline(0, color=style.MUTED, linewidth=0.7)
    for chosen, colour, marker in (
        (~called & ~other, _REST, "o"),
        (other, _BY_EXPRESSION, "s"),
        (called, _CALLED, "^"),
    ):
        ax.scatter(points[chosen, 0], points[chosen, 1], s=14, color=colour, marker=marker, linewidth=0, alpha=0.85)
    style.open_frame(ax)
    ax.tick_params(labelsize=style.SMALL)
