"""Imputers beside their baselines."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tests.report.readable import assert_readable
from tests.report.sample_tables import render, texts

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import scoreboard_figure

METHODS = {
    ("imputer", "blend"): 0.36,
    ("imputer", "asign"): 0.33,
    ("baseline", "mean"): 0.0,
    ("baseline", "kernel"): 0.26,
    ("baseline", "ridge"): 0.29,
    ("control", "kernel, spots permuted"): 0.0,
    ("oracle", "8 true neighbours"): 0.5,
}


def table(*, samples=1, sections=3, seeds=2, methods=METHODS):
    rows = []
    for (role, method), value in methods.items():
        for sample in range(samples):
            for section in range(sections):
                for seed in range(seeds):
                    # seeds and sections differ, in ways that average to nothing
                    pcc = value + 0.01 * (seed - (seeds - 1) / 2) + 0.02 * (section - (sections - 1) / 2)
                    pcc += 0.03 * (sample - (samples - 1) / 2)
                    place = {"sample": f"p{sample}", "known": "s1", "section": f"s{section + 2}", "seed": seed}
                    figures = {"pcc_mean": pcc, "skill": pcc / 2, "mse": 0.3 - 0.1 * pcc, "coverage": np.nan}
                    rows.append({"role": role, "method": method, **place, **figures})
    return pd.DataFrame(rows)


def marks(ax):
    """(small, large) marks of each row."""
    small, large = ax.collections[0::2], ax.collections[1::2]
    return [part.get_offsets() for part in small], [part.get_offsets()[0] for part in large]


def test_rows_are_ranked_within_roles_and_marks_are_sections():
    figure = render(scoreboard_figure(table()))
    ax = figure.axes[0]
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["blend", "asign", "ridge", "kernel", "mean", "kernel, spots permuted", "8 true neighbours"]
    small, large = marks(ax)
    assert [len(part) for part in small] == [3] * 7
    np.testing.assert_allclose([part[0] for part in large], [0.36, 0.33, 0.29, 0.26, 0, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(sorted(small[0][:, 0]), [0.34, 0.36, 0.38])
    np.testing.assert_allclose(marks(figure.axes[1])[1][0][0], 0.18)
    # the line spans a standard deviation to either side
    spans = [line.get_xdata() for line in ax.lines if len(set(line.get_xdata())) == 2]
    np.testing.assert_allclose(spans[0], [0.36 - 0.02, 0.36 + 0.02])
    assert {"Imputers", "Baselines", "Controls", "Know the truth"} <= set(texts(figure))
    assert "small marks: sections" in " ".join(texts(figure))


def test_with_several_samples_a_mark_is_a_sample_of_equal_weight():
    uneven = table(samples=3)
    more = uneven[(uneven["sample"] == "p2")].assign(section=lambda rows: rows["section"] + "b")
    figure = render(scoreboard_figure(pd.concat([uneven, more])))
    small, large = marks(figure.axes[0])
    np.testing.assert_allclose(sorted(small[0][:, 0]), [0.33, 0.36, 0.39])
    assert large[0][0] == pytest.approx(0.36)
    assert "small marks: samples" in " ".join(texts(figure))


def test_best_baseline_is_marked_by_what_is_better():
    figure = render(scoreboard_figure(table(), metrics=("pcc_mean", "mse")))
    dashed = [next(line for line in ax.lines if line.is_dashed()).get_xdata()[0] for ax in figure.axes]
    assert dashed == pytest.approx([0.29, 0.3 - 0.029])
    by_error = scoreboard_figure(table(), metrics=("mse",))
    assert [tick.get_text() for tick in by_error.axes[0].get_yticklabels()][:2] == ["blend", "asign"]


@pytest.mark.parametrize("samples", [1, 6])
@pytest.mark.parametrize("metrics", [("pcc_mean",), ("pcc_mean", "skill"), ("pcc_mean", "skill", "mse", "coverage")])
def test_scoreboards_are_readable(samples, metrics):
    long = {("imputer", f"an imputer with $ a very long name that fills two lines {i}"): 0.2 for i in range(5)}
    figure = scoreboard_figure(table(samples=samples, methods=METHODS | long), metrics=metrics)
    assert_readable(figure)
    assert ("no value" in texts(figure)) == ("coverage" in metrics)


def test_few_rows_and_a_given_figure():
    figure = Figure()
    assert scoreboard_figure(table(methods={("imputer", "blend"): 0.3}), figure=figure) is figure
    assert_readable(figure)


def test_refusals():
    with pytest.raises(MissingMetadata, match="no column 'skill'; it needs role, method"):
        scoreboard_figure(table().drop(columns="skill"))
    with pytest.raises(InputError, match="A role is one of imputer, baseline, control, oracle; found 'other'"):
        scoreboard_figure(table().assign(role="other"))
    with pytest.raises(InputError, match="no rows to draw"):
        scoreboard_figure(table().head(0))
    with pytest.raises(InputError, match="Draw 'per_spot_pcc_of_mean' beside it"):
        scoreboard_figure(table().assign(per_spot_pcc=0.7), metrics=("per_spot_pcc",))
