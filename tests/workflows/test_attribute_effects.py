"""Perturbed cells attributed against their controls: what was planted is found, and nothing is made of noise."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from tests.perturb.screen_truth import guides_of

from insignia.core.errors import InputError
from insignia.data import Condition, read_screen, screen_to_anndata, simulate_screen
from insignia.models import fit_pca
from insignia.perturb import gene_effects
from insignia.workflows import attribute_effects
from insignia.workflows.contrast_cells import ContrastCells, folds_of, null_cells, thinned
from insignia.workflows.contrast_shift import shift_p

SIZE = {"n_genes": 96, "n_programs": 8, "n_perturbations": 6, "n_doubles": 0, "cells_per_condition": 80}
FAST = {"n_steps": 2, "show_progress": False}
"""Two nodes are exact for principal components, along which nothing bends."""


def pca_of(data, **options):
    return fit_pca(screen_to_anndata(data), input_space="log1p", n_components=10, **options)


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(rng=3, zero_effect=0.4, n_controls=300, **SIZE)


@pytest.fixture(scope="module")
def model(screen):
    return pca_of(screen.data)


@pytest.fixture(scope="module")
def found(screen, model):
    return attribute_effects(screen.data, model, nulls=["controls"], **FAST)


@pytest.fixture(scope="module")
def quiet():
    """A screen in which no perturbation does anything."""
    sizes = SIZE | {"n_perturbations": 24, "cells_per_condition": 40}
    return simulate_screen(rng=0, zero_effect=1.0, n_controls=400, systematic=0.0, **sizes)


def components(model):
    """(genes, latent) of a linear encoder, from what it makes of single genes."""
    return model.first_layer.weight.detach().numpy().T


def test_attributions_are_what_a_linear_model_says(screen, model, found):
    """Of each replicate: the difference of means, times what the other replicate's contrast weighs the gene."""
    data, one = screen.data, Condition.parse("PERT002")
    cells, controls = data.rows(one, "context1"), data.controls("context1")
    values = data.expression.toarray().astype(np.float64)
    # the model scales its cells to 10,000 before the logarithm
    amounts = np.expm1(values)
    values = np.log1p(amounts / amounts.sum(axis=1, keepdims=True) * 1e4)
    turned = components(model)
    off, weight = [], []
    for replicate in (0, 1):
        case, other = (rows[data.replicate[rows] == replicate] for rows in (cells, controls))
        off.append(values[case].mean(axis=0) - values[other].mean(axis=0))
        weight.append(1 / (1 / len(case) + 1 / len(other)))
    by_hand = np.average(
        [off[0] * (turned @ (off[1] @ turned)), off[1] * (turned @ (off[0] @ turned))], axis=0, weights=weight
    )
    table = found.of("PERT002").set_index("gene").loc[list(data.genes)]
    np.testing.assert_allclose(table["attribution"], by_hand, rtol=1e-3, atol=1e-4 * np.abs(by_hand).max())
    assert found.conditions.loc[("PERT002", "context1"), "shift"] == pytest.approx(by_hand.sum(), rel=1e-3)
    assert (found.conditions["divided"] == "replicates").all()
    assert (found.conditions["gap"] < 1e-3).all()


def test_genes_that_were_planted_come_first_and_cells_that_moved_are_told_from_controls(screen, found):
    moving = 0
    for condition in found.conditions.index.get_level_values(0):
        effect = screen.truth.effect(Condition.parse(condition))
        row = found.conditions.loc[(condition, "context1")]
        if not effect.any():
            assert abs(row["shift_z"]) < 3
            continue
        moving += 1
        # another experiment on the same cells, whose noise is its own
        again = gene_effects(screen.replicate, [condition]).of(condition).set_index("gene")["effect"].abs()
        assert again[found.of(condition)["gene"].head(10)].mean() > 1.8 * again.mean()
        assert row["shift_z"] > 4
        assert row["p_null"] == pytest.approx(1 / 7)
        assert row["by"] == "cells"
    assert moving >= 3
    assert len(found.nulls) == 6
    assert found.nulls["genes"].max() <= 2
    assert "With nothing to find (controls, 6 comparisons)" in str(found)


@pytest.mark.parametrize("by_guides", [False, True])
def test_nothing_is_made_of_noise(quiet, by_guides):
    """Without any effect the distance is 0 on average; cells that chose their own direction would always have moved."""
    units = guides_of(quiet.data, 0) if by_guides else None
    nulls = [] if by_guides else ["shuffled"]
    found = attribute_effects(quiet.data, pca_of(quiet.data), units=units, nulls=nulls, **FAST)
    z = found.conditions["shift_z"].to_numpy()
    assert abs(z.mean()) < 3 * z.std(ddof=1) / np.sqrt(len(z)) + 0.1
    assert (z < 0).sum() >= 5
    # both sides tell of one product; taken for two, they would be 1.4 times as sure
    assert 0.6 < z.std(ddof=1) < 1.3
    assert found.conditions["genes"].mean() < 1
    if not by_guides:
        assert found.null_summary().loc["shuffled", "comparisons"] == 24


def test_what_one_guide_does_beside_its_target_is_called_by_no_unit(quiet):
    """Thirty genes are raised in one of four guides: by cells the population moves, by guides no gene is called."""
    data = quiet.data
    guides = guides_of(data, np.random.default_rng(0))
    values = data.expression.toarray()
    values[np.ix_(np.flatnonzero(guides == "PERT001g1"), np.arange(30))] += 4
    changed = replace(data, expression=csr_matrix(values))
    model = pca_of(changed)
    by_guides = attribute_effects(changed, model, ["PERT001"], units=guides, nulls=[], min_cells=5, **FAST)
    row = by_guides.conditions.loc[("PERT001", "context1")]
    assert (row["units"], row["control_units"], row["divided"], row["by"]) == (4, 8, "guides", "units")
    assert row["genes"] == row["genes_by_expression"] == 0
    assert row["shift_p"] > 0.05
    by_cells = attribute_effects(changed, model, ["PERT001"], nulls=[], min_cells=5, **FAST)
    row = by_cells.conditions.iloc[0]
    assert row["shift_z"] > 1.5
    assert row["genes_by_expression"] > 20


def test_sides_share_no_guide_and_nulls_are_as_large_as_what_they_stand_for():
    rng = np.random.default_rng(0)
    is_case = np.repeat([True, False], [60, 140])
    unit = np.array([f"{'t' if case else 'n'}{n}" for case, n in zip(is_case, rng.integers(0, 4, 200), strict=True)])
    replicate = np.array(["a", "b"], dtype=object)[rng.integers(2, size=200)]
    cells = ContrastCells(np.arange(200), is_case, replicate, unit.astype(object), True)
    side, divided = folds_of(cells, rng)
    assert divided == "guides"
    assert not set(unit[side == 0]) & set(unit[side == 1])
    assert all(set(side[is_case == kind]) == {0, 1} for kind in (True, False))
    plain = replace(cells, has_units=False, unit=replicate)
    side, divided = folds_of(plain, rng)
    assert (divided, len(set(zip(side, replicate, strict=True)))) == ("replicates", 2)
    shuffled = null_cells(plain, "shuffled", rng)
    for name in "ab":
        assert shuffled.is_case[replicate == name].sum() == is_case[replicate == name].sum()
    assert 0 < (shuffled.is_case & is_case).sum() < 60
    played = null_cells(plain, "controls", rng)
    assert not is_case[played.rows].any()
    assert played.is_case.sum() == pytest.approx(60, abs=8)
    by_guide = null_cells(cells, "controls", rng)
    assert len(set(by_guide.unit[by_guide.is_case])) == 2
    assert not set(by_guide.unit[by_guide.is_case]) & set(by_guide.unit[~by_guide.is_case])
    few = thinned(cells, 50, rng)
    assert (few.is_case.sum(), (~few.is_case).sum()) == (60, 50)
    assert np.ptp([((few.replicate == name) & ~few.is_case).sum() for name in "ab"]) <= 1


def made_up(rng, *, shift=0.0, has_units=True):
    """Cells whose guides differ as much as cells do; the perturbed ones are moved by `shift`."""
    is_case = np.repeat([True, False], [60, 120])
    number = np.where(is_case, rng.integers(0, 4, 180), rng.integers(4, 10, 180))
    replicate = np.array([f"r{k}" for k in rng.integers(0, 2 if has_units else 6, 180)], dtype=object)
    unit = np.array([f"g{k}" for k in number], dtype=object) if has_units else replicate
    beside = rng.normal(size=(10, 5)) if has_units else np.zeros((10, 5))
    embedding = rng.normal(size=(180, 5)) + beside[number] + shift * is_case[:, None]
    return ContrastCells(np.arange(180), is_case, replicate, unit, has_units), embedding


@pytest.mark.parametrize("has_units", [True, False])
def test_the_p_value_of_the_distance_keeps_its_level_and_finds_what_moved(has_units):
    rng = np.random.default_rng(0)

    def drawn(shift):
        cells, embedding = made_up(rng, shift=shift, has_units=has_units)
        return shift_p(cells, *folds_of(cells, rng), embedding, rng)

    still = np.array([drawn(0.0) for _ in range(200)])
    assert (still <= 0.1).mean() < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 200)
    assert 0.4 < still.mean() < 0.7
    moved = np.array([drawn(4.0) for _ in range(20)])
    # two of five guides of a side, or the signs of three replicates of a side, both sides, either way round
    least = 1 / 10**2 if has_units else 2 / 2**6
    assert np.median(moved) == pytest.approx(least)
    assert moved.min() > 0


def test_a_condition_is_attributed_alike_in_any_company(screen, model, found):
    alone = attribute_effects(screen.data, model, ["PERT003"], nulls=[], **FAST)
    both = [one.of("PERT003").set_index("gene")["attribution"] for one in (alone, found)]
    pd.testing.assert_series_equal(*both)
    assert np.isnan(alone.conditions["p_null"].iloc[0])
    assert not len(alone.null_summary())


def test_where_paths_start_is_no_matter_to_a_linear_model(screen, model):
    """Sides have directions of their own: cells of one are never held against controls of the other."""
    guides = guides_of(screen.data, 1, of_control=3)
    tables = [
        attribute_effects(
            screen.data, model, ["PERT002"], units=guides, start=start, nulls=[], min_cells=5, **FAST
        ).table.set_index("gene")
        for start in ("controls", "zero")
    ]
    first, second = (table["attribution"] for table in tables)
    np.testing.assert_allclose(second[first.index], first, rtol=1e-3, atol=1e-4 * first.abs().max())
    assert first.abs().max() > 0


def test_a_gene_that_the_model_does_not_know_is_unknown_and_not_zero(screen):
    genes = screen.data.genes
    found = attribute_effects(screen.data, pca_of(screen.data.with_genes(genes[:80])), ["PERT002"], nulls=[], **FAST)
    table = found.of("PERT002")
    assert set(table["gene"].tail(16)) == set(genes[80:])
    unknown = table["gene"].isin(genes[80:])
    assert table.loc[unknown, ["attribution", "attribution_z", "attribution_q_cells"]].isna().all(axis=None)
    assert table.loc[~unknown, "attribution"].notna().all()
    assert table["effect"].notna().all()
    assert "does not know 16 of 96 genes" in str(found)


def test_counts_give_what_logs_of_them_give(screen):
    counts = np.round(np.expm1(screen.data.expression.toarray()) * 20)
    labels = [str(one) for one in screen.data.conditions]
    obs = pd.DataFrame({"condition": np.array(labels)[screen.data.condition]}, index=screen.data.cells)
    obs["batch"] = screen.data.replicate.astype(str)
    adata = AnnData(csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=list(screen.data.genes)))
    data = read_screen(adata, control="control", layout="plain", batch="batch")
    model = fit_pca(adata, n_components=10)
    shuffled = adata[np.random.default_rng(0).permutation(len(obs))].copy()
    tables = [
        attribute_effects(data, model, ["PERT002"], counts=given, nulls=[], **FAST).of("PERT002").set_index("gene")
        for given in (None, shuffled)
    ]
    np.testing.assert_allclose(
        tables[1]["attribution"].loc[tables[0].index], tables[0]["attribution"], rtol=2e-3, atol=1e-4
    )
    with pytest.raises(InputError, match="counts lacks 1 of"):
        attribute_effects(data, model, counts=adata[1:], nulls=[], **FAST)


@pytest.mark.full
def test_other_processes_find_the_same(screen, tmp_path):
    pca_of(screen.data, output=tmp_path / "pca")
    one, two = (
        attribute_effects(screen.data, tmp_path / "pca", ["PERT002", "PERT003"], executor=n, **FAST) for n in (1, 2)
    )
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.nulls, two.nulls)


def test_what_cannot_be_attributed_is_said(screen, model):
    with pytest.raises(InputError, match="nulls are controls and shuffled"):
        attribute_effects(screen.data, model, nulls=["cells"], **FAST)
    with pytest.raises(InputError, match="start is controls or zero"):
        attribute_effects(screen.data, model, start="mean", **FAST)
    with pytest.raises(InputError, match="give its directory"):
        attribute_effects(screen.data, model, executor=2, **FAST)
    with pytest.raises(InputError, match="no perturbed cells of NOPE"):
        attribute_effects(screen.data, model, ["NOPE"], **FAST)
    apart = replace(screen.data, replicate=(screen.data.condition == 1).astype(np.int64))
    name = str(screen.data.conditions[1])
    with pytest.raises(InputError, match="No condition can be attributed against controls"):
        attribute_effects(apart, model, [name], **FAST)
    assert list(attribute_effects(apart, model, nulls=[], **FAST).left_out) == [f"{name} in context1"]
