"""What genes add to a score: the parts make the whole, for cells and for groups."""

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import cells, dense_divisor, dense_parts, make_atlas

from insignia.core.errors import InputError, MissingMetadata

WEIGHTS = {"GENE8": 0.5, "GENE3": 1.0, "GENE30": -2.0, "GENE5": 2.0, "GENE39": 1.5}
AGGS = ("mean", "sum", "weighted_mean")


@pytest.fixture(scope="module")
def studies():
    return [cells("S1", 90), cells("S2", 60, seed=4, genes=range(35)), cells("S3", 40, genes=[3, 5, 8, 20])]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory, studies):
    return make_atlas(tmp_path_factory.mktemp("c") / "a", studies, max_cells_per_segment=70)


@pytest.mark.parametrize("agg", AGGS)
@pytest.mark.parametrize("where", [None, "cell_type <> 'B cell'"])
def test_contributions_of_a_cell_add_up_to_its_score(atlas, agg, where):
    result = atlas.search(WEIGHTS, agg=agg, min_coverage=0.3, where=where)
    matrix, genes = result.cell_contributions()
    assert genes == ("GENE3", "GENE5", "GENE8", "GENE30", "GENE39")
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)).ravel(), result.scores, rtol=2e-5, atol=2e-5)


def test_contributions_of_a_cell_are_those_of_dense_numpy(atlas, studies):
    matrix, _ = atlas.search(WEIGHTS, min_coverage=0.3).cell_contributions()
    weighted = dense_parts(studies, WEIGHTS)[0] / dense_divisor(studies, WEIGHTS, "mean")[:, None]
    np.testing.assert_allclose(matrix.toarray(), weighted[:, [1, 3, 0, 2, 4]], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("unit", ["cell", "donor"])
@pytest.mark.parametrize("agg", AGGS)
def test_contributions_of_a_group_add_up_to_its_mean_score(atlas, agg, unit):
    result = atlas.search(WEIGHTS, agg=agg, min_coverage=0.3)
    found = result.contributions(["cell_type", "disease"], unit=unit)
    obs = result.obs.assign(score=result.scores.astype(float))
    by = ["cell_type", "disease"]
    if unit == "donor":
        obs = obs.groupby([*by, "study", "donor"], observed=True)["score"].mean().reset_index()
    expected = obs.groupby(by, observed=True)["score"].mean()
    np.testing.assert_allclose(found.groups.set_index(by)["score"], expected, rtol=1e-5)
    np.testing.assert_allclose(found.values.sum(axis=1), expected, rtol=1e-5)
    np.testing.assert_allclose(found.matrix().sum(), expected, rtol=1e-5)
    assert found.labels[0] == "B cell · normal"


def test_means_are_over_what_was_measured(atlas):
    result = atlas.search(WEIGHTS, min_coverage=0.3)
    found = result.contributions("disease", unit="cell")
    matrix, obs, match = atlas.gene_matrix(list(WEIGHTS))
    values = pd.DataFrame(matrix.toarray(), columns=match.query).groupby(obs["disease"].astype(str))
    # NaN where a gene was not measured: pandas leaves it out, as it should be
    columns = list(found.genes)
    np.testing.assert_allclose(found.attribution, values.mean()[columns], rtol=1e-5)
    present = values.apply(lambda part: (part > 0).sum() / part.notna().sum())[columns]
    np.testing.assert_allclose(found.detection, present, rtol=1e-6)
    np.testing.assert_allclose(found.measured, values.apply(lambda part: part.notna().mean())[columns], rtol=1e-6)
    assert 0 < found.measured[0, -1] < 1


def test_studies_without_a_score_count_nowhere(atlas, recwarn):
    result = atlas.search(WEIGHTS, min_coverage=0.9)
    found = result.contributions("study", unit="cell")
    assert list(found.groups["study"]) == ["S1"]
    by_type = result.contributions("cell_type", unit="cell").groups
    assert by_type["unscored"].sum() == 100
    assert by_type["cells"].sum() == 90


def test_tables(atlas):
    found = atlas.search(WEIGHTS, min_coverage=0.3).contributions("disease")
    frame = found.frame()
    assert len(frame) == 2 * 5
    first = frame[frame["disease"] == "sepsis"]
    assert first["contribution"].is_monotonic_decreasing
    assert first["share"].sum() == pytest.approx(1)
    apart = found.difference("sepsis", "normal")
    scores = found.groups.set_index("disease")["score"]
    assert apart["difference"].sum() == pytest.approx(scores["sepsis"] - scores["normal"])
    assert apart["difference"].abs().is_monotonic_decreasing
    assert list(found.groups["donors"]) == [6, 6]


def test_equal_donor_names_of_two_studies_are_two_donors(tmp_path):
    one, two = cells("S1", 10, donor="d", disease="x"), cells("S2", 30, donor="d", disease="x")
    result = make_atlas(tmp_path / "a", [one, two]).search(WEIGHTS)
    found = result.contributions("disease")
    assert found.groups.loc[0, "donors"] == 2
    assert found.groups.loc[0, "score"] == pytest.approx((result.scores[:10].mean() + result.scores[10:].mean()) / 2)


def test_refusals(atlas, tmp_path):
    result = atlas.search(WEIGHTS, min_coverage=0.3)
    with pytest.raises(MissingMetadata, match="no column 'celltype' to group cells by"):
        result.contributions("celltype")
    with pytest.raises(InputError, match="unit of 'donor' or 'cell'"):
        result.contributions(unit="sample")
    with pytest.raises(InputError, match=r"There is no group 'flu'\. There are: normal, sepsis"):
        result.contributions().row("flu")
    pooled = make_atlas(tmp_path / "a", cells("S1", donor="pooled")).search(WEIGHTS)
    with pytest.raises(InputError, match=r"Pass unit='cell'"):
        pooled.contributions()
    assert len(pooled.contributions(unit="cell").groups) == 2
