"""The plots: axes or figures come back, nothing is shown unless asked, and nothing stays open after a failure."""

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insignia import pl
from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError, MissingMetadata
from tests.report.contribution_tables import contributions
from tests.report.perturb_tables import attributed_effects, program_effects, programs, ranking, summary, view
from tests.report.sample_tables import attributed_cells, compared_cells, sample_table
from tests.report.screen_tables import screen_comparison
from tests.report.stacks import imputed, simulated
from tests.report.test_scoreboard_figure import table as scores

TABLE = sample_table({"a": [0.1, 0.2, 0.3], "b": [0.3, 0.3, 0.4]})
STRATA = sample_table({("a", "T"): [0.1, 0.2, 0.3], ("b", "T"): [0.3, 0.3, 0.4]}, stratum="cell_type")
STACK = simulated(2)
IMPUTED = imputed(STACK, all_sections=True)
FIGURES = (
    "attributed_effects",
    "attribution_dots",
    "cells",
    "compare_scores",
    "effects",
    "gene_maps",
    "prediction_scores",
    "program_map",
    "scoreboard",
    "stack",
    "top_genes",
)


class Board:
    """Has the summary of a scoreboard."""

    def summary(self, metrics):
        return summary(metrics=tuple(metrics))


DRAW = {
    "attributed_effects": lambda **options: pl.attributed_effects(attributed_effects(), **options),
    "samples": lambda **options: pl.samples(TABLE, **options),
    "strata": lambda **options: pl.strata(STRATA, **options),
    "forest": lambda **options: pl.forest(TABLE.compare(reference="a"), **options),
    "attribution_dots": lambda **options: pl.attribution_dots(attributed_cells(), ["G0-0", "G1-1"], **options),
    "contributions": lambda **options: pl.contributions(contributions(), **options),
    "completeness": lambda **options: pl.completeness(attributed_cells(), **options),
    "cells": lambda **options: pl.cells(view(), **options),
    "compare_scores": lambda **options: pl.compare_scores(compared_cells(), "s", **options),
    "effects": lambda **options: pl.effects(view(), **options),
    "perturbation_ranking": lambda **options: pl.perturbation_ranking(ranking(), **options),
    "prediction_scores": lambda **options: pl.prediction_scores(Board(), **options),
    "program_map": lambda **options: pl.program_map(programs(), program_effects(), **options),
    "gene_maps": lambda **options: pl.gene_maps(IMPUTED, ["A01"], **options),
    "scoreboard": lambda **options: pl.scoreboard(scores(), **options),
    "stack": lambda **options: pl.stack(STACK, **options),
    "stack_3d": lambda **options: pl.stack_3d(IMPUTED, "A01", **options),
    "volcano": lambda **options: pl.volcano(screen_comparison(), **options),
    "top_genes": lambda **options: pl.top_genes(attributed_cells(), keys.CELL_TYPE, **options),
}


@pytest.fixture(autouse=True)
def pyplot(monkeypatch):
    mpl.use("agg")
    from matplotlib import pyplot

    # tests of other files may leave figures open
    pyplot.close("all")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(True))
    pyplot.shown = shown
    yield pyplot
    pyplot.close("all")


def test_all_is_sorted_and_complete():
    assert pl.__all__ == sorted(DRAW)


@pytest.mark.parametrize("name", sorted(DRAW))
def test_a_plot_comes_back_and_is_not_shown(name, pyplot):
    found = DRAW[name]()
    assert isinstance(found, Figure if name in FIGURES else Axes)
    figure = found if isinstance(found, Figure) else found.figure
    assert pyplot.get_fignums() == [figure.number]
    assert not pyplot.shown


@pytest.mark.parametrize("name", sorted(DRAW))
def test_show_and_save(name, pyplot, tmp_path):
    assert DRAW[name](show=True, save=tmp_path / "plot.pdf") is None
    assert pyplot.shown == [True]
    assert (tmp_path / "plot.pdf").read_bytes().startswith(b"%PDF")
    DRAW[name](save=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plot.pdf", "plot.png"]


@pytest.mark.parametrize("name", ["completeness", "contributions", "samples", "stack_3d", "strata", "volcano"])
def test_they_draw_on_given_axes(name, pyplot):
    axes = Figure().subplots(1, 2)
    assert DRAW[name](ax=axes[1]) is axes[1]
    assert axes[1].has_data() or axes[1].patches
    assert not pyplot.get_fignums()


def test_options_arrive():
    assert len(pl.samples(TABLE, by="study", top=2, min_samples=1).get_yticks()) == 2
    assert len(pl.top_genes(attributed_cells(), keys.CELL_TYPE, n_genes=2).axes[0].get_yticks()) == 6
    assert len(pl.scoreboard(scores(), metrics=("mse",)).axes) == 1
    assert pl.stack_3d(IMPUTED, "A01", layer="sd").get_figure().axes[0].child_axes[0].get_title(loc="left") == "sd"
    shown = [text.get_text() for text in pl.gene_maps(IMPUTED, ["A01"], measured=STACK, sections=["s2"]).texts]
    assert "s2" in shown
    assert "s1" not in shown
    assert "measured" in shown
    assert len({ax.get_position().x0 for ax in pl.stack(STACK, columns=2).axes[:4]}) == 2


def test_failures_leave_no_figure_open(pyplot):
    with pytest.raises(MissingMetadata, match=r"ins\.tl\.rank_genes"):
        pl.top_genes(attributed_cells(ranked=False), keys.CELL_TYPE)
    with pytest.raises(InputError, match="no strata"):
        pl.strata(TABLE)
    with pytest.raises(MissingMetadata, match="no_gap"):
        pl.completeness(attributed_cells(), key="no")
    with pytest.raises(GeneMatchError, match="NOPE"):
        pl.gene_maps(IMPUTED, ["NOPE"])
    assert not pyplot.get_fignums()
