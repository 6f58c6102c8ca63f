"""The figure of attributed effects shows what it says: panels in order, called genes apart, leading genes named."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.report.perturb_tables import attributed_effects

from insignia.core.errors import InputError
from insignia.report import contrast_figure
from insignia.report.contrast_figures import _BY_EXPRESSION, _CALLED


def drawn(figure):
    return [ax for ax in figure.axes if ax.get_title(loc="left")]


def points(ax, colour):
    from matplotlib.colors import to_rgb

    return [one.get_offsets() for one in ax.collections if np.allclose(one.get_facecolor()[:, :3], to_rgb(colour))]


def test_conditions_stand_in_the_order_in_which_they_moved():
    figure = contrast_figure(attributed_effects(), top=2)
    assert [ax.get_title(loc="left").split("\n") for ax in drawn(figure)] == [
        ["JAK2", "moved by 9.0 standard errors"],
        ["STAT2", "moved by 5.0 standard errors"],
    ]
    named = drawn(contrast_figure(attributed_effects(), conditions=["CAV1"]))
    assert [ax.get_title(loc="left").split("\n")[0] for ax in named] == ["CAV1"]


@pytest.mark.parametrize("testable", [True, False])
def test_genes_are_where_their_numbers_are_and_called_ones_have_their_colour(testable):
    effects = attributed_effects(testable=testable)
    ax = drawn(contrast_figure(effects))[0]
    table = effects.of("JAK2")
    called = table[table["attribution_q_cells"] <= 0.05]
    share = table["attribution"] / table["attribution"].abs().sum()
    (orange,) = points(ax, _CALLED)
    np.testing.assert_allclose(orange, np.column_stack([called["z"], share[called.index]]))
    (blue,) = points(ax, _BY_EXPRESSION)
    assert len(blue) == (table["q_cells"] <= 0.05).sum()
    names = {text.get_text() for text in ax.texts}
    assert names
    assert names <= {f"JAK2-{i}" for i in range(6)}


def test_it_draws_in_an_empty_figure_and_says_what_it_lacks():
    figure = Figure()
    assert contrast_figure(attributed_effects(), figure=figure, columns=1) is figure
    assert figure.get_size_inches()[1] > figure.get_size_inches()[0]
    with pytest.raises(InputError, match="no 'NOPE'"):
        contrast_figure(attributed_effects(), conditions=["NOPE"])
    with pytest.raises(InputError, match="nothing to draw"):
        contrast_figure(attributed_effects(), top=0)
