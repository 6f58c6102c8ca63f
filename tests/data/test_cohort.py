"""The simulated cohort holds what its truth says, and nothing where the truth says nothing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from insignia.core.errors import InputError
from insignia.data import CohortOptions, detect_space, read, simulate_cohort, standardise_obs, write_h5ad
from insignia.data.cohort_design import CELL_TYPES, HEALTHY, NULL_DISEASES
from insignia.data.cohort_truth import activity
from insignia.genes import bundled, signature

SMALL = {"n_studies": 8, "cells_per_sample": 15, "n_genes": 400}


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(n_studies=28, cells_per_sample=45, n_genes=1200, difficulty=0.25, rng=0)


@pytest.fixture(scope="module")
def scored(cohort):
    """The truth about each cell, with the program's mean log1p CP10k over the genes that its study measured."""
    tables = []
    for study, (_, cells) in zip(cohort.studies, cohort.truth.cells.groupby("study", sort=False), strict=True):
        logged = log1p(study)
        scores = {
            name: logged[:, np.isin(study.var_names, genes)].mean(axis=1)
            for name, genes in cohort.truth.programs.items()
        }
        tables.append(cells.reset_index(drop=True).assign(**scores))
    return pd.concat(tables, ignore_index=True)


def log1p(study):
    dense = study.X.toarray()
    return np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * 1e4)


def auroc(positive, negative):
    both = pd.Series(np.concatenate([positive, negative])).rank().to_numpy()
    n = len(positive)
    return (both[:n].sum() - n * (n + 1) / 2) / (n * len(negative))


def of(scored, disease, cell_type="classical monocyte"):
    return scored[(scored["disease"] == disease) & (scored["cell_type"] == cell_type)]


def separation(scored, disease, program, cell_type="classical monocyte"):
    """Mean over studies of the AUROC of diseased against healthy cells of the same study."""
    pairs = [
        (of(study, disease, cell_type)[program], of(study, HEALTHY, cell_type)[program])
        for _, study in scored.groupby("study")
    ]
    return np.mean([auroc(case, normal) for case, normal in pairs if min(len(case), len(normal)) >= 5])


def test_studies_are_what_an_atlas_takes(cohort):
    assert len(cohort.studies) == 28
    names = set()
    for study in cohort.studies:
        assert detect_space(study.X) == "counts"
        assert study.X.format == "csr"
        assert study.X.dtype == np.float32
        assert study.obs_names.is_unique
        assert study.var_names.is_unique
        assert set(study.obs) == {"study", "sample", "donor", "tissue", "disease", "cell_type"}
        names |= set(standardise_obs(study.obs)["study"])
    assert len(names) == 28


def test_truth_lines_up_with_the_cells(cohort):
    joined = pd.concat([standardise_obs(study.obs) for study in cohort.studies], ignore_index=True)
    pd.testing.assert_frame_equal(joined, cohort.truth.cells[joined.columns], check_dtype=False)
    assert not cohort.truth.cells.duplicated(["study", "barcode"]).any()


def test_the_truth_is_not_in_the_studies(cohort):
    for study in cohort.studies:
        assert not study.uns
        assert not study.layers
        assert not any("activity" in column for column in study.obs)


def test_designs(cohort):
    diseases = cohort.truth.cells.groupby("study")["disease"].agg(set)
    held = diseases.map(lambda names: HEALTHY in names)
    assert 0.5 < held.mean() < 1
    only_one = diseases.map(len) == 1
    assert 0 < only_one.mean() < 0.5
    assert (diseases[~held].map(len) > 1).any()
    assert set.union(*diseases) >= {HEALTHY, *NULL_DISEASES, "septic shock", "Kawasaki disease", "COVID-19"}
    samples = cohort.truth.cells.groupby(["study", "sample"])
    assert (samples[["donor", "tissue", "disease"]].nunique() == 1).all().all()
    per_donor = cohort.truth.cells.groupby(["study", "donor"])["sample"].nunique()
    assert 0.02 < (per_donor > 1).mean() < 0.6
    assert cohort.truth.cells.groupby("sample")["study"].nunique().max() > 10


def test_panels_depth_and_gene_order_differ(cohort):
    panels = list(cohort.truth.panels.values())
    for study, panel in zip(cohort.studies, panels, strict=True):
        assert tuple(study.var_names) == panel
    everything = set().union(*panels)
    assert len(everything) == 1200
    assert all(0.5 < len(panel) / 1200 < 0.98 for panel in panels)
    assert len({frozenset(panel) for panel in panels}) == len(panels)
    shared = [gene for gene in panels[0] if gene in set(panels[1])]
    assert shared != [gene for gene in panels[1] if gene in set(shared)]
    measured = np.array([np.median(np.asarray(study.X.sum(axis=1))) for study in cohort.studies])
    assert measured.max() / measured.min() > 1.5
    np.testing.assert_allclose(measured, cohort.truth.studies["depth"], rtol=0.25)


def test_batch_factors_are_in_the_counts(cohort):
    """Within a study, genes are off the mean of all studies by the factor that the truth tells."""
    means = pd.DataFrame(
        {
            name: pd.Series(np.asarray(study.X.mean(axis=0)).ravel(), index=study.var_names)
            for name, study in zip(cohort.truth.studies.index, cohort.studies, strict=True)
        }
    )
    means = means[means.index.str.startswith("GENE") & (means.min(axis=1) > 0.3)]
    logs = np.log(means)
    truth = cohort.truth.batch[means.index].T.where(means.notna())
    found, planted = (table.sub(table.mean(axis=1), axis=0).sub(table.mean()).to_numpy() for table in (logs, truth))
    seen = np.isfinite(found)
    assert seen.sum() > 1000
    assert np.corrcoef(found[seen], planted[seen])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("disease", "program", "least"),
    [
        ("septic shock", "MS1", 0.85),
        ("Kawasaki disease", "MS1", 0.8),
        ("COVID-19", "MS1", 0.6),
        ("systemic lupus erythematosus", "IFN_I", 0.65),
        ("COVID-19", "IFN_I", 0.6),
    ],
)
def test_programs_separate_the_diseases_of_the_strength_table(scored, disease, program, least):
    assert separation(scored, disease, program) > least


def test_strength_orders_the_diseases(scored):
    found = [separation(scored, disease, "MS1") for disease in ("septic shock", "COVID-19", "asthma")]
    assert found == sorted(found, reverse=True)
    assert 0.5 < separation(scored, "septic shock", "MS1", "macrophage") < found[0] - 0.1


@pytest.mark.parametrize("program", ["MS1", "IFN_I"])
@pytest.mark.parametrize("disease", NULL_DISEASES)
def test_nothing_is_found_in_null_diseases(scored, disease, program):
    assert separation(scored, disease, program) == pytest.approx(0.5, abs=0.12)
    assert (scored.loc[scored["disease"].isin([HEALTHY, disease]), activity(program)] == 0).all()


def test_shuffled_labels_give_chance(scored):
    monocytes = scored[scored["cell_type"] == "classical monocyte"]
    shuffled = np.random.default_rng(0).permutation(monocytes["disease"].to_numpy())
    values = monocytes["MS1"].to_numpy()
    assert auroc(values[shuffled == "septic shock"], values[shuffled == HEALTHY]) == pytest.approx(0.5, abs=0.08)


def test_active_cells_score_higher_than_their_neighbours(scored):
    monocytes = of(scored, "septic shock")
    is_active = monocytes[activity("MS1")] > 0
    assert auroc(monocytes["MS1"][is_active], monocytes["MS1"][~is_active]) > 0.9


def test_fractions_vary_between_donors_around_the_strength(cohort):
    table = cohort.truth.samples("MS1")
    table = table[(table["cell_type"] == "classical monocyte") & (table["cells"] >= 10)]
    septic = table[table["disease"] == "septic shock"]["fraction"]
    assert septic.mean() == pytest.approx(0.7, abs=0.15)
    assert septic.std() > 0.08
    assert table[table["disease"] == HEALTHY]["fraction"].max() == 0
    cells = cohort.truth.cells
    one = table.iloc[0]
    mine = cells[(cells["study"] == one["study"]) & (cells["sample"] == one["sample"])]
    mine = mine[mine["cell_type"] == one["cell_type"]]
    assert (one["cells"], one["active"]) == (len(mine), (mine[activity("MS1")] > 0).sum())


def test_donors_share_their_effect_over_samples():
    """Two samples of one donor agree on the active fraction, though samples of two donors differ."""
    strengths = {("flu", cell_type, "TOY"): 0.7 for cell_type in CELL_TYPES}
    programs = {"TOY": ["TOY1"]}
    sizes = {"n_studies": 30, "samples_per_study": 6, "cells_per_sample": 40, "n_genes": 300}
    cohort = simulate_cohort(**sizes, difficulty=1.0, programs=programs, strengths=strengths, rng=1)
    flu = cohort.truth.cells[cohort.truth.cells["disease"] == "flu"]
    fractions = (flu[activity("TOY")] > 0).groupby([flu["study"], flu["donor"], flu["sample"]]).mean()
    pairs = np.array([group.to_numpy()[:2] for _, group in fractions.groupby(level=[0, 1]) if len(group) > 1])
    assert len(pairs) > 8
    assert np.corrcoef(pairs.T)[0, 1] > 0.7
    assert fractions.std() > 0.15


def test_markers_mark_their_type(cohort):
    study = cohort.studies[0]
    logged = pd.DataFrame(log1p(study), columns=study.var_names)
    means = logged.groupby(study.obs["cell_type"].to_numpy().astype(str)).mean()
    for cell_type in ("classical monocyte", "CD4 T cell", "B cell"):
        for gene in set(cohort.truth.markers[cell_type]) & set(means):
            assert means.loc[cell_type, gene] > means[gene].median() + 0.5, (cell_type, gene)


def test_housekeeping_genes_are_alike_in_all_types(cohort):
    study = cohort.studies[0]
    genes = study.var_names.isin(cohort.truth.housekeeping)
    score = log1p(study)[:, genes].mean(axis=1)
    monocyte = (study.obs["cell_type"] == "classical monocyte").to_numpy()
    assert auroc(score[monocyte], score[~monocyte]) == pytest.approx(0.5, abs=0.12)
    assert set(cohort.truth.housekeeping) == set(signature("housekeeping").genes)


def test_default_programs_are_the_bundled_ones(cohort):
    assert set(cohort.truth.programs) == {"MS1", "IFN_I"} <= set(bundled())
    assert cohort.truth.programs["MS1"] == signature("MS1").genes
    assert set(cohort.truth.loadings.index) == {"MS1", "IFN_I"}
    loaded = cohort.truth.loadings.loc["MS1"]
    assert set(loaded[loaded > 0].index) == set(signature("MS1").genes)


def test_strength_table_is_complete(cohort):
    table = cohort.truth.strengths
    assert not table.duplicated(["disease", "cell_type", "program"]).any()
    assert cohort.truth.strength("septic shock", "classical monocyte", "MS1") == 1.0
    assert cohort.truth.strength("asthma", "classical monocyte", "MS1") == 0.0
    assert (table.loc[table["disease"] == HEALTHY, "strength"] == 0).all()
    with pytest.raises(InputError, match="no combination of 'flu', 'B cell' and 'MS1'"):
        cohort.truth.strength("flu", "B cell", "MS1")


def test_equal_seeds_are_bit_equal_and_others_differ():
    first, again, other = (simulate_cohort(**SMALL, rng=seed) for seed in (5, np.random.default_rng(5), 6))
    for one, two in zip(first.studies, again.studies, strict=True):
        np.testing.assert_array_equal(one.X.toarray(), two.X.toarray())
        pd.testing.assert_frame_equal(one.obs, two.obs)
        assert list(one.var_names) == list(two.var_names)
    pd.testing.assert_frame_equal(first.truth.cells, again.truth.cells)
    assert first.truth.panels != other.truth.panels


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_cohort(**SMALL, rng=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_own_programs_and_strengths():
    programs = {"TOY": [f"TOY{n}" for n in range(12)]}
    cohort = simulate_cohort(
        **SMALL, difficulty=0.0, programs=programs, strengths={("flu", "B cell", "TOY"): 1.0}, rng=2
    )
    assert set(cohort.truth.cells["disease"]) <= {HEALTHY, "flu", *NULL_DISEASES}
    active = cohort.truth.cells[cohort.truth.cells[activity("TOY")] > 0]
    assert set(zip(active["disease"], active["cell_type"], strict=True)) == {("flu", "B cell")}
    nowhere = simulate_cohort(**SMALL, programs=programs, rng=2)
    assert (nowhere.truth.cells[activity("TOY")] == 0).all()


def test_difficulty_makes_every_part_harder():
    easy, hard = CohortOptions(difficulty=0.0), CohortOptions(difficulty=1.0)
    for name in ("batch_log_sd", "study_depth_log_sd", "cell_depth_log_sd", "donor_sd", "unmeasured"):
        assert getattr(easy, name) < getattr(hard, name)
    assert easy.effect_log > hard.effect_log > 0
    cohorts = [simulate_cohort(**SMALL, difficulty=difficulty, rng=0) for difficulty in (0.0, 1.0)]
    spread = [cohort.truth.batch.to_numpy().std() for cohort in cohorts]
    assert spread == pytest.approx([easy.batch_log_sd, hard.batch_log_sd], rel=0.1)
    assert cohorts[0].options == CohortOptions(8, 4, 15, 400, 0.0)


def test_options_are_plain():
    options = CohortOptions()
    assert CohortOptions(**json.loads(json.dumps(options.to_dict()))) == options
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.n_studies = 3


def test_impossible_wishes_are_refused():
    with pytest.raises(InputError, match=r"difficulty must be from 0 to 1, not 1\.5"):
        simulate_cohort(difficulty=1.5)
    with pytest.raises(InputError, match="n_studies must be at least 1, not 0"):
        simulate_cohort(n_studies=0)
    with pytest.raises(InputError, match=r"n_genes=100 is too few: programs, markers and housekeeping genes are \d+"):
        simulate_cohort(n_genes=100)
    with pytest.raises(
        InputError, match=r"strengths name the cell type 'monocyte'\. The cohort has: classical monocyte"
    ):
        simulate_cohort(**SMALL, strengths={("flu", "monocyte", "MS1"): 1.0})
    with pytest.raises(InputError, match=r"strengths name the program 'MS2'\. The cohort has: MS1, IFN_I"):
        simulate_cohort(**SMALL, strengths={("flu", "B cell", "MS2"): 1.0})
    with pytest.raises(InputError, match=r"strength of MS1 in flu, B cell must be 0 to 1, not 1\.2"):
        simulate_cohort(**SMALL, strengths={("flu", "B cell", "MS1"): 1.2})


def test_a_study_goes_through_a_file(tmp_path):
    study = simulate_cohort(**SMALL).studies[0]
    write_h5ad(study, tmp_path / "study.h5ad")
    back = read(tmp_path / "study.h5ad")
    pd.testing.assert_frame_equal(standardise_obs(back.obs), standardise_obs(study.obs))
    np.testing.assert_array_equal(back.X.toarray(), study.X.toarray())


def test_one_study_of_one_sample():
    cohort = simulate_cohort(n_studies=1, samples_per_study=1, cells_per_sample=5, n_genes=400)
    assert len(cohort.studies) == 1
    assert cohort.studies[0].n_obs > 0
