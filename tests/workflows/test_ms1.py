"""The MS1 workflow finds the planted diseases of the simulated cohort, and says what it did and did not do."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from tests.report.pages import Page, assert_self_contained
from tests.workflows.ms1_atlas import NULL, PLANTED, STRONG, cohort_atlas

from insignia.atlas import CellFilters
from insignia.core.errors import FilterError, InputError
from insignia.workflows import Ms1Options, ms1

SMALL = Ms1Options(min_cells=10)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return cohort_atlas(tmp_path_factory.mktemp("ms1") / "atlas", 3, n_studies=16)[0]


def is_right(answer):
    """Whether the planted diseases rank first, the strongly planted are called, and no null disease is."""
    first, called = set(answer.ranking["group"].head(len(PLANTED))), set(answer.called())
    return first == set(PLANTED) and set(STRONG) <= called and not called & set(NULL)


def right_seeds(folder, seeds):
    return [seed for seed in seeds if is_right(ms1(cohort_atlas(folder / str(seed), seed)[0], options=SMALL))]


def test_planted_diseases_come_first_and_null_diseases_are_not_called(tmp_path):
    """40 studies of difficulty 0.5, MS1 as strong as `PLANTED` says: written down before the first run."""
    assert right_seeds(tmp_path, range(3)) == [0, 1, 2]


@pytest.mark.full
def test_they_do_in_19_of_20_cohorts(tmp_path):
    assert len(right_seeds(tmp_path, range(20))) >= 19


def test_without_the_program_nothing_is_called(tmp_path):
    """The control: an equal cohort in which MS1 acts nowhere."""
    strengths = {("COVID-19", "classical monocyte", "IFN_I"): 0.6}
    assert ms1(cohort_atlas(tmp_path / "a", 0, strengths=strengths)[0], options=SMALL).called() == []


def test_files_hold_what_the_answer_holds(small, tmp_path):
    answer = ms1(small, tmp_path / "out", replace(SMALL, leave_out=False), command="insignia ms1 <atlas>")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "ranking.csv", "samples.csv", "samples.png", "forest.png", "summary.json"}
    ranking = pd.read_csv(tmp_path / "out" / "ranking.csv")
    assert ranking["group"].tolist() == answer.ranking["group"].tolist()
    assert len(pd.read_csv(tmp_path / "out" / "samples.csv")) == len(answer.samples)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["called"] == answer.called()
    assert summary["cells"] == len(answer.result)
    page = Page(tmp_path / "out" / "report.html")
    assert_self_contained(page)
    assert "insignia ms1 <atlas>" in page.said
    assert "Uncertain cell types were not left out: no column pred_distance." in page.said


def test_only_monocytes_and_macrophages_are_searched(small):
    types = ms1(small, options=SMALL).result.metadata(["cell_type"])["cell_type"].unique()
    assert sorted(types) == ["classical monocyte", "macrophage", "non-classical monocyte"]
    one = ms1(small, options=Ms1Options(min_cells=5, cell_types=("macrophage",), where="tissue = 'lung'"))
    obs = one.result.metadata(["cell_type", "tissue"])
    assert set(obs["cell_type"]) == {"macrophage"}
    assert set(obs["tissue"]) == {"lung"}


def test_the_published_filters_are_used_where_the_atlas_has_their_columns(tmp_path):
    def add_columns(study):
        study.obs["in_vivo"] = ["false" if i % 5 == 0 else "true" for i in range(study.n_obs)]
        study.obs["prediction_nn_dist"] = [0.05 if i % 7 == 0 else 0.01 for i in range(study.n_obs)]

    atlas, _ = cohort_atlas(tmp_path / "a", 0, n_studies=6, change=add_columns, extra=["in_vivo", "prediction_nn_dist"])
    answer = ms1(atlas, options=SMALL)
    steps = answer.result.filter_table.set_index("name")
    assert set(steps.index) == {"in_vivo", "max_distance"}
    assert (steps["dropped"] > 0).all()
    obs = answer.result.metadata(["in_vivo", "prediction_nn_dist"])
    assert set(obs["in_vivo"].astype(str)) == {"true"}
    assert obs["prediction_nn_dist"].max() <= 0.02
    assert [note.split(":")[0] for note in answer.notes] == ["cells that several studies share were not left out"]
    own = ms1(atlas, options=Ms1Options(min_cells=10, filters=CellFilters(max_distance=0.1)))
    assert own.notes == ()
    assert len(own.result) > len(answer.result)


def test_what_cannot_be_asked_is_refused_and_nothing_is_left(small, tmp_path):
    with pytest.raises(FilterError, match="No cell of the atlas has"):
        ms1(small, tmp_path / "out", Ms1Options(cell_types=("astrocyte",)))
    with pytest.raises(InputError, match="No donor has disease 'healthy' to compare with"):
        ms1(small, tmp_path / "out", Ms1Options(reference="healthy"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="There is something at"):
        ms1(small, tmp_path / "out", SMALL)
