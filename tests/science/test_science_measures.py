"""The measures behind docs/science.md find what is planted, and nothing where nothing is."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from benchmarks.science.disturb import NOISES, disturbed
from benchmarks.science.fits import Fits
from benchmarks.science.interferon import by_donor_and_type
from benchmarks.science.measures import marker_measures, usable, with_random_genes
from benchmarks.science.noise import artefacts, correlations, stability
from benchmarks.science.recipes import Recipe, attributed
from benchmarks.science.scores import SCORES, scored
from benchmarks.science.studies import Study, gate, shared_genes
from benchmarks.science.transfer import compared
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

TYPES = ("a", "b", "c")


def cells(n=90, n_genes=60, seed=0, strength=20):
    """Three types; genes 0-4, 5-9 and 10-14 are theirs, the other genes are everybody's."""
    rng = np.random.default_rng(seed)
    types = np.arange(n) % 3
    rate = np.full((n, n_genes), 6.0)
    rate[:, :15] = 1.0
    for kind in range(3):
        rate[np.ix_(types == kind, range(5 * kind, 5 * kind + 5))] = strength
    obs = pd.DataFrame({"cell_type": np.array(TYPES)[types], "donor": "one"}, index=[f"c{i}" for i in range(n)])
    var = pd.DataFrame(index=[f"GENE{i}" for i in range(n_genes)])
    return Study("planted", AnnData(csr_matrix(rng.poisson(rate).astype(np.float32)), obs, var))


@pytest.fixture(scope="module")
def study():
    return cells()


@pytest.fixture(scope="module")
def own(study):
    lists = {kind: frozenset(f"GENE{5 * i + j}" for j in range(5)) for i, kind in enumerate(TYPES)}
    return usable(lists, study.types, study.genes)


def test_markers_are_found_and_genes_drawn_in_their_place_are_not(study, own):
    found = marker_measures(study.logged, study.types, own).drop(columns="type").mean()
    control = with_random_genes(own, study.logged, np.random.default_rng(0))
    other = marker_measures(study.logged, study.types, control).drop(columns="type").mean()
    assert found["against"] == found["alone"] == 1.0
    assert found["first_against"] == found["first_alone"] == 5
    assert found["typing"] > 0.99
    assert 0.3 < other["against"] < 0.7
    assert abs(other["typing"] - 0.5) < 0.15


def test_a_share_is_that_of_the_positive_score(study, own):
    values = np.random.default_rng(0).normal(size=study.cells.shape)
    row = marker_measures(values, study.types, own).set_index("type").loc["b"]
    here = np.clip(values[study.types == "b"], 0, None)
    assert row["share"] == pytest.approx(100 * np.mean(here[:, 5:10].sum(1) / here.sum(1)))


def test_drawn_genes_are_no_markers_and_as_many_and_as_often_detected(study, own):
    drawn = with_random_genes(own, study.logged, np.random.default_rng(0))
    markers = np.any(list(own.values()), axis=0)
    for kind in TYPES:
        assert drawn[kind].sum() == own[kind].sum()
        assert not (drawn[kind] & markers).any()


def test_types_with_few_cells_or_few_markers_are_not_measured(study):
    few = np.array(["a"] * 84 + ["b"] * 6)
    lists = {"a": frozenset(["GENE0", "GENE1"]), "b": frozenset(study.genes[:9])}
    assert usable(lists, few, study.genes) == {}


def test_a_score_that_does_not_change_is_stable_and_a_permuted_one_is_not(study):
    values = study.logged
    same = stability(values, values, study)
    assert same["cell_rank"] == same["type_rank"] == same["difference_rank"] == pytest.approx(1.0)
    assert same["shift"] == 0.0
    other = stability(values, values[:, np.random.default_rng(0).permutation(60)], study)
    assert abs(other["type_rank"]) < 0.4
    assert other["shift"] > 0.1


def test_rank_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.poisson(2, (3, 30)), rng.poisson(2, (2, 30))
    expected = [[spearmanr(a, b).statistic for b in second] for a in first]
    np.testing.assert_allclose(correlations(first, second), expected, rtol=1e-10)


def test_noise_that_lifts_all_genes_is_an_artefact_and_no_noise_is_none(study, monkeypatch):
    monkeypatch.setattr("benchmarks.science.noise.hallmarks", lambda: {"ONE": frozenset(study.genes[20:40])})
    found = artefacts(study.logged, study.logged + 5.0, study, 0)
    assert found["artefact"] == pytest.approx(0.5)
    assert found["artefact_control"] < 0.2
    assert artefacts(study.logged, study.logged, study, 0)["artefact"] == found["artefact_control"]


@pytest.mark.parametrize(
    ("noise", "kept"),
    [("thinned to 30 %", 0.3), ("thinned to 10 %", 0.1), ("dropout of half", 0.5), ("another batch", 0.5)],
)
def test_noise_takes_the_share_of_counts_that_it_says(study, noise, kept):
    after = disturbed(study, noise, np.random.default_rng(0)).cells.X
    assert after.sum() / study.cells.X.sum() == pytest.approx(kept, abs=0.08)
    assert (after.toarray() <= study.cells.X.toarray()).all()
    assert noise in NOISES


def test_types_are_found_in_another_unit_and_shuffled_ones_are_not(study):
    other = cells(seed=1)
    found = compared((study.logged, study.types), (other.logged, other.types))
    assert found["types"] == 3
    assert found["cosine"] == found["cosine_centred"] == found["rank"] == 1.0
    assert found["cells_centred"] > 0.95
    assert found["cells_control"] < 0.75
    assert found["margin_centred"] > 1.0
    assert compared((study.logged, study.types), (other.logged[:1], other.types[:1])) == {}


def test_a_planted_response_is_found_and_shuffled_conditions_are_not(study):
    stimulated = np.arange(90) % 2 == 0
    values = study.logged.copy()
    values[np.ix_(stimulated, range(40, 50))] += 1.0
    cells_ = study.cells.copy()
    cells_.obs["condition"] = np.where(stimulated, "stim", "ctrl")
    sets = {"INTERFERON_ALPHA_RESPONSE": np.isin(range(60), range(40, 50)), "OTHER": np.isin(range(60), range(20, 30))}
    rows, differences = by_donor_and_type(values, Study("both", cells_), sets)
    assert len(rows) == len(differences) == 3
    assert rows["genes"].min() > 0.95
    assert (rows["set_rank"] == 1).all()
    assert rows["first"].min() >= 9
    assert abs(rows["genes_control"].mean() - 0.5) < 0.3


def test_specificity_is_one_for_a_gene_of_one_type_and_zero_for_everybodys(study):
    fits = Fits(study)
    fits.type_means = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(fits.specificity[:2], [1.0, 0.0])


def test_every_score_gives_a_finite_number_a_cell_and_gene_and_the_seed_matters_where_it_says():
    small = cells(n=45, n_genes=40)
    fits = Fits(small)
    names = tuple(name for name in SCORES if name not in {"PCA"})
    light = [name for name in names if SCORES[name].family != "encoder"] + ["untrained encoder"]
    found = {(name, seed): values for name, seed, values in scored(fits, small, range(2), tuple(light))}
    for (_, seed), values in found.items():
        assert values.shape == small.cells.shape
        assert np.isfinite(values).all()
        assert seed in {0, 1}
    assert ("expression", 1) not in found
    assert not np.allclose(found["untrained encoder", 0], found["untrained encoder", 1])


def test_from_the_mean_absent_genes_are_credited_unless_only_expressed_ones_are_kept():
    small = cells(n=45, n_genes=40)
    fits = Fits(small)
    everything = attributed(Recipe("untrained", baseline="mean", expressed=False), fits, small, 0)
    kept = attributed(Recipe("untrained", baseline="mean"), fits, small, 0)
    absent = small.logged == 0
    assert absent.any()
    assert (everything[absent] > 0).mean() > 0.5
    assert (kept[absent] == 0).all()
    np.testing.assert_array_equal(kept[~absent], everything[~absent])


def test_shared_genes_are_in_all_and_detected_in_three_cells_of_each():
    first, second = cells(n=9, n_genes=20), cells(n=9, n_genes=18, seed=1)
    dense = second.cells.X.toarray()
    dense[2:, 7] = 0
    second.cells.X = csr_matrix(dense)
    genes = shared_genes(first, second)
    assert "GENE7" not in genes
    assert "GENE19" not in genes
    assert len(genes) == 17


def test_proteins_name_cells_and_doubtful_ones_stay_unnamed():
    high, low = 500.0, 5.0
    rows = {"T4": "CD3 CD4", "T8": "CD3 CD8a", "B": "CD19", "M": "CD14 CD4", "N": "CD56", "doublet": "CD3 CD19"}
    names = ["CD3", "CD4", "CD8a", "CD19", "CD14", "CD56"]
    table = pd.DataFrame({n: [high if n in held.split() else low for held in rows.values()] * 3 for n in names})
    expected = ["CD4 T", "CD8 T", "B", "CD14 monocyte", "NK", ""] * 3
    assert list(gate(table)) == expected
