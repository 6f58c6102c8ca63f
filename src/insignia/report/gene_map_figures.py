"""Figure of gene maps: measured beside imputed expression with its uncertainty, section by section."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.core import keys
from insignia.report import style
from insignia.report.section_maps import SectionMaps, section_maps
from insignia.report.spatial_maps import (
    EXPRESSION,
    FAILED,
    UNCERTAINTY,
    Frame,
    Sheet,
    colour_bar,
    depth,
    draw_spots,
    limits,
    pitch_um,
    scale_bar,
    shortened,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import SectionStack

__all__ = ["gene_maps_figure"]

_RIGHT, _TOP, _BAR, _LINE = 1.05, 0.98, 0.36, 0.16
_GAP, _BETWEEN = 0.1, 0.3
_DIM: Final = "#8a8a8a"
_MEASURED, _IMPUTED, _SD = "measured", "imputed", "uncertainty"
_LEAST_SPAN: Final = 0.25
"""Of the scale of the uncertainty: what differs less than this over the tissue must not look as if it differed much."""
_BELOW: Final = {_MEASURED: 0.07, _IMPUTED: 0.2, _SD: 0.0}
"""Room below a map."""


def gene_maps_figure(
    imputed: "AnnData",
    genes: Sequence[str],
    *,
    measured: "SectionStack | None" = None,
    sections: Sequence[str] | None = None,
    gene_symbols: str | None = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw genes over the sections: what was measured, what was imputed, and how uncertain that is.

    One column a section, in order of depth, in the common frame, and three rows a gene. Measured and imputed
    expression of a gene share one colour scale. Below the imputed map stands the correlation with what was measured
    on the same spots; spots far from any known one have a ring. Known sections show what was measured alone. The scale
    of the uncertainty goes from the least to the most, and spans at least a quarter of the most: it seldom starts at 0.

    Parameters
    ----------
    imputed
        What `insignia.spatial.impute` returned.
    genes
        Genes to draw, of those that were imputed, and signatures, of those that were scored.
    measured
        Registered sections with counts, known or held back, to be shown beside; `None` leaves the row out.
    sections
        Names of the sections to show; `None` shows all that have something to show.
    gene_symbols
        Column of `var` of the measured sections with the names of the genes.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        The input is not what `impute` returns.
    GeneMatchError
        A gene was not imputed, nor is it a signature that was scored.
    InputError
        There is nothing to draw, or no section of that name.
    """
    columns = section_maps(imputed, list(genes), measured, sections, gene_symbols)
    rows = [_MEASURED] if any(column.measured is not None for column in columns) else []
    rows += [_IMPUTED, _SD] if keys.SD in imputed.layers else [_IMPUTED]
    frame = Frame.around([points for column in columns for points in column.places], pitch_um(imputed))
    units = ["ln share" if gene in imputed.var_names else "score" for gene in genes]
    return _Plan(columns, list(genes), units, rows, frame, pitch_um(imputed)).draw(figure)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Where everything goes, in inches."""

    columns: list[SectionMaps]
    genes: list[str]
    units: list[str]
    rows: list[str]
    frame: Frame
    pitch_um: float

    @property
    def side(self) -> float:
        """Width of a map."""
        return float(np.clip(8.0 / len(self.columns), 0.95, 1.6))

    @property
    def left(self) -> float:
        """Width of the column of labels."""
        return 0.35 + max(0.95, max(0.082 * min(len(gene), 18) for gene in self.genes))

    @property
    def tall(self) -> float:
        """Height of a map."""
        return self.side * self.frame.aspect

    def draw(self, figure: "Figure | None") -> "Figure":
        n = len(self.columns)
        block = sum(self.tall + _BELOW[kind] for kind in self.rows) + _BETWEEN
        notes = self._notes()
        bottom = _BAR + _LINE * len(notes)
        width = self.left + n * self.side + (n - 1) * _GAP + _RIGHT
        sheet = Sheet.of(figure, max(width, 4.3), _TOP + len(self.genes) * block - _BETWEEN + bottom)
        sheet.text(0.12, 0.1, self._title(), fontsize=style.TITLE, fontweight="bold")
        for number, column in enumerate(self.columns):
            self._heading(sheet, column, self.left + number * (self.side + _GAP))
        for number, _ in enumerate(self.genes):
            self._block(sheet, number, _TOP + number * block)
        sheet.text(self.left, sheet.height - 0.08, "\n".join(notes), va="bottom", color=style.MUTED)
        for ax in sheet.figure.axes:
            style.use_fonts(ax)
        for text in sheet.figure.texts:
            text.set_fontfamily(style.font_families())
        return sheet.figure

    def _title(self) -> str:
        return "Measured and imputed expression" if _MEASURED in self.rows else "Imputed expression"

    def _notes(self) -> list[str]:
        parts = ["ringed: far from any known spot"] if any(_any(column.extrapolated) for column in self.columns) else []
        if any(column.correlation is not None for column in self.columns):
            parts.append("r: over the spots of the section")
        return parts

    def _heading(self, sheet: Sheet, column: SectionMaps, left: float) -> None:
        colour = style.INK if column.is_placed else FAILED
        middle, letters = left + self.side / 2, max(8, int(self.side / 0.078))
        name = shortened(column.name, letters)
        sheet.text(middle, _TOP - 0.4, name, ha="center", va="bottom", fontsize=style.TEXT, color=colour)
        below = depth(column.z_um) if column.is_placed else "not registered"
        sheet.text(middle, _TOP - 0.36, below, ha="center", color=style.MUTED if column.is_placed else FAILED)

    def _block(self, sheet: Sheet, number: int, top: float) -> None:
        place = top
        for row, kind in enumerate(self.rows):
            colours = self._colours(number, kind)
            middle = place + self.tall / 2
            if row == 0:
                name = style.wrapped(self.genes[number], 18, lines=2)
                sheet.text(0.12, place, name, fontsize=style.TEXT, fontweight="bold", va="bottom")
            sheet.text(self.left - 0.12, middle, kind, ha="right", va="center")
            for column_number, column in enumerate(self.columns):
                left = self.left + column_number * (self.side + _GAP)
                ax = sheet.axes(left, place, self.side, self.tall)
                self._map(ax, column, number, kind, colours)
                is_last = number == len(self.genes) - 1 and row == len(self.rows) - 1
                if is_last and column_number == 0:
                    scale_bar(ax, self.frame)
            self._bar(sheet, kind, place, colours, self.units[number])
            place += self.tall + _BELOW[kind]

    def _bar(self, sheet: Sheet, kind: str, place: float, colours: Any, unit: str) -> None:
        if kind == _IMPUTED and _MEASURED in self.rows:
            return  # shares the scale of the measured row
        left = self.left + len(self.columns) * (self.side + _GAP) + 0.05
        ax = sheet.axes(left, place + 0.16 * self.tall, 0.1, 0.8 * self.tall)
        colour_bar(ax, colours, ("sd, not from 0" if colours.norm.vmin > 0 else "sd") if kind == _SD else unit)

    def _colours(self, number: int, kind: str) -> Any:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        names = ("sd",) if kind == _SD else ("measured", "imputed")
        values = [getattr(column, name) for column in self.columns for name in names]
        shown = np.concatenate([part[:, number] for part in values if part is not None] or [np.zeros(0)])
        low, high = limits(shown, least_span=_LEAST_SPAN if kind == _SD else 0.0)
        return ScalarMappable(Normalize(low, high), colormaps[UNCERTAINTY if kind == _SD else EXPRESSION])

    def _map(self, ax: "Axes", column: SectionMaps, number: int, kind: str, colours: Any) -> None:
        self.frame.apply(ax)
        values = {_MEASURED: column.measured, _IMPUTED: column.imputed, _SD: column.sd}[kind]
        points = column.measured_um if kind == _MEASURED else column.imputed_um
        if values is None or points is None:
            words = {_MEASURED: "not measured", _IMPUTED: "known", _SD: ""}[kind]
            ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", fontsize=style.SMALL, color=_DIM)
            return
        rings = None if kind == _MEASURED else column.extrapolated
        draw_spots(ax, points, colours.to_rgba(values[:, number]), size=0.96 * self.pitch_um, rings=rings)
        if kind == _IMPUTED and column.correlation is not None:
            ax.set_xlabel(_said(column.correlation[number]), fontsize=style.SMALL, color=style.INK, labelpad=1.5)


def _said(correlation: float) -> str:
    # adding zero turns -0.00 into 0.00
    return (
        f"r = {round(correlation, 2) + 0.0:.2f}".replace("-", "\u2212") if np.isfinite(correlation) else "r: no value"
    )


def _any(values: np.ndarray | None) -> bool:
    return values is not None and bool(values.any())
