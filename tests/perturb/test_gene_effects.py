"""Effects of perturbations on genes and programs: tested over guides or replicates, and given as signatures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu, spearmanr, wilcoxon
from tests.perturb.screen_truth import expected, guides_of

from insignia.core.errors import GeneMatchError, InputError
from insignia.data import Condition, read, read_screen, simulate_screen
from insignia.genes import Signature, read_gmt, write_gmt
from insignia.perturb import fit, gene_effects, predicted_effects, program_effects, rank

SIZE = {"n_perturbations": 6, "n_doubles": 0, "cells_per_condition": 240, "n_controls": 640, "n_genes": 96}


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(rng=3, zero_effect=0.4, n_programs=8, **SIZE)


@pytest.fixture(scope="module")
def guides(screen):
    return guides_of(screen.data, np.random.default_rng(0))


@pytest.fixture(scope="module")
def found(screen, guides):
    return gene_effects(screen.data, units=guides)


def test_effects_and_tests_are_those_of_plain_tools(screen, guides, found):
    """One gene and condition worked out by hand: within replicates, guides against guides of the controls."""
    data, gene = screen.data, screen.data.genes[5]
    one = next(condition for condition in data.conditions if not condition.is_control)
    values = data.expression[:, 5].toarray().ravel()
    frame = pd.DataFrame({"value": values, "replicate": data.replicate, "guide": guides.to_numpy()})
    frame["is_case"] = data.condition == data.conditions.index(one)
    frame = frame[frame["is_case"] | (data.condition == data.conditions.index(Condition()))]
    level = frame[~frame["is_case"]].groupby("replicate")["value"].mean()
    arms = frame.groupby(["replicate", "is_case"])["value"].agg(["mean", "size"]).unstack()
    weight = 1 / (1 / arms["size"]).sum(axis=1)
    row = found.of(str(one)).set_index("gene").loc[gene]
    assert row["effect"] == pytest.approx(
        np.average(arms["mean"][True] - arms["mean"][False], weights=weight), rel=1e-3
    )
    frame["off"] = frame["value"] - frame["replicate"].map(level)
    means = frame.groupby(["is_case", "guide"])["off"].mean()
    expected = mannwhitneyu(means[True], means[False], method="exact").pvalue
    assert row["p"] == pytest.approx(expected)
    assert found.conditions.loc[(str(one), "context1"), ["units", "control_units"]].tolist() == [4, 8]


def test_replicates_are_units_where_there_are_no_guides(screen):
    six = np.random.default_rng(1).integers(0, 6, len(screen.data))
    data = replace(screen.data, replicates=tuple("abcdef"), replicate=six)
    one = next(condition for condition in data.conditions if not condition.is_control)
    table = gene_effects(data, [one], min_cells=5).of(str(one)).set_index("gene")
    cells, controls = data.rows(one, "context1"), data.controls("context1")
    off = [
        data.expression[cells[six[cells] == k], 7].mean() - data.expression[controls[six[controls] == k], 7].mean()
        for k in range(6)
    ]
    assert table.loc[data.genes[7], "p"] == pytest.approx(wilcoxon(off, method="exact").pvalue)
    two = gene_effects(screen.data)
    assert not two.table["testable"].any()
    assert two.table["q"].isna().all()
    assert "too few replicates to test (2 at most)" in str(two)


def test_what_was_planted_is_found_and_shuffled_guides_find_nothing(screen, guides, found):
    moving = total = 0
    for condition in found.conditions.index.get_level_values(0):
        true = expected(screen, Condition.parse(condition))
        rows = found.of(condition).set_index("gene").loc[list(screen.data.genes)]
        changed = int(found.conditions.loc[condition, "changed"].iloc[0])
        if not true.any():
            assert changed == 0
            continue
        moving += 1
        called = rows["q"].to_numpy() <= 0.05
        total += changed
        assert changed == called.sum()
        if changed:
            assert (np.sign(rows["effect"].to_numpy()[called]) == np.sign(true[called])).mean() > 0.95
            assert np.abs(true[called]).mean() > 2 * np.abs(true[~called]).mean()
    assert 2 <= moving < len(found.conditions)
    assert total > 15 * moving
    mixed = replace(screen.data, condition=np.random.default_rng(2).permutation(screen.data.condition))
    nothing = gene_effects(mixed, units=guides_of(mixed, np.random.default_rng(3)))
    assert nothing.conditions["changed"].sum() == 0


def test_what_one_guide_does_beside_its_target_is_no_effect_of_the_target(screen, guides):
    """Forty genes are raised in the cells of one of four guides: cells call them, guides do not."""
    still = next(c for c in screen.data.conditions if not c.is_control and not screen.truth.effect(c).any())
    values = screen.data.expression.toarray()
    rows = screen.data.rows(still, "context1")
    odd = rows[guides.iloc[rows].str.endswith("g0")]
    values[np.ix_(odd, np.arange(40))] += 1.5
    made = gene_effects(replace(screen.data, expression=csr_matrix(values)), [still], units=guides)
    assert made.conditions["changed_by_cells"].iloc[0] > 30
    assert made.conditions["changed"].iloc[0] == 0
    with pytest.raises(InputError, match="None of 1 conditions moves"):
        made.signatures()
    assert len(gene_effects(replace(screen.data, expression=csr_matrix(values)), [still]).signatures()[0]) >= 30


def test_what_a_replicate_does_is_no_effect(screen):
    """One replicate raises all genes, and perturbed cells are mostly of it; its own controls are as high."""
    data, rng = screen.data, np.random.default_rng(4)
    still = next(c for c in data.conditions if not c.is_control and not screen.truth.effect(c).any())
    replicate = (rng.random(len(data)) < np.where(data.condition == data.conditions.index(still), 0.8, 0.2)).astype(int)
    values = data.expression.toarray() + 2.0 * replicate[:, None]
    moved = replace(data, expression=csr_matrix(values), replicate=replicate)
    found = gene_effects(moved, [still], units=guides_of(moved, rng))
    assert found.conditions[["changed", "changed_by_cells"]].iloc[0].tolist() == [0, 0]
    assert found.table["effect"].abs().max() < 0.3


def test_signatures_hold_what_moves_with_its_direction(screen, found, tmp_path):
    made = {one.name: one for one in found.signatures(n_genes=20)}
    moving = [str(c) for c in screen.data.conditions if not c.is_control and screen.truth.effect(c).any()]
    assert set(made) <= set(moving)
    assert len(made) == len(moving)
    for name, one in made.items():
        true = dict(zip(screen.data.genes, expected(screen, Condition.parse(name)), strict=True))
        signs = [np.sign(true[gene]) == weight for gene, weight in zip(one.genes, one.weight_array, strict=True)]
        assert np.mean(signs) >= 0.95
        assert set(one.weight_array.tolist()) <= {1.0, -1.0}
        assert "tested over guides" in one.description
    turned = {one.name: one for one in found.signatures(n_genes=20, opposite=True)}
    for name, one in made.items():
        assert dict(zip(one.genes, one.weight_array, strict=True)) == {
            gene: -weight for gene, weight in zip(turned[name].genes, turned[name].weight_array, strict=True)
        }
    write_gmt(made.values(), tmp_path / "effects.gmt")
    again = read_gmt(tmp_path / "effects.gmt", merge_up_down=True)
    for name, one in made.items():
        assert again[name].genes == one.genes
        np.testing.assert_array_equal(again[name].weight_array, one.weight_array)


def test_the_perturbed_gene_is_no_part_of_its_own_signature(screen, guides):
    """That the target falls says that the perturbation worked, and would give itself away in any search."""
    target = str(next(c for c in screen.data.conditions if not c.is_control and screen.truth.effect(c).any()))
    values = screen.data.expression.toarray()
    values[screen.data.rows(Condition.parse(target), "context1"), 3] = 0
    values[screen.data.controls("context1"), 3] += 3
    genes = (*screen.data.genes[:3], target, *screen.data.genes[4:])
    data = replace(screen.data, genes=genes, expression=csr_matrix(values))
    found = gene_effects(data, [target], units=guides)
    assert found.of(target)["gene"].iloc[0] == target
    assert target not in found.signatures()[0].genes


def test_programs_that_move_are_found_and_expanded(screen, guides):
    world = screen.truth
    genes = np.array(screen.data.genes)
    programs = []
    for k in range(world.options.n_programs):
        own = np.flatnonzero(world.program == k)
        programs.append(Signature.from_genes(genes[own], f"p{k}", weights=np.sign(world.loadings[k, own])))
    found = program_effects(screen.data, programs, units=guides)
    assert found.matrix().shape == (6, 8)
    for condition in found.conditions.index.get_level_values(0):
        true = expected(screen, Condition.parse(condition))
        moved = [true[world.program == k] @ np.sign(world.loadings[k, world.program == k]) for k in range(8)]
        rows = found.of(condition).set_index("program").loc[[one.name for one in programs]]
        if true.any():
            assert spearmanr(rows["effect"], moved).statistic > 0.8
            assert rows["q"].min() <= 0.05
        else:
            assert not (rows["q"] <= 0.05).any()
    top = found.signatures(n_genes=1)[0]
    rows = found.called(found.of(top.name))
    largest = rows.loc[rows["effect"].abs().idxmax()]
    own = programs[int(largest["program"][1:])]
    turned = {g: w * np.sign(largest["effect"]) for g, w in zip(own.genes, own.weight_array, strict=True)}
    assert dict(zip(top.genes, top.weight_array, strict=True)) == turned


def test_predicted_effects_have_the_form_of_measured_ones(screen):
    model = fit(screen.data, method="additive", show_progress=False)
    named = model.parse_conditions(str(screen.data.conditions[1]))
    found = predicted_effects(model, named)
    rows = found.of(str(named[0])).set_index("gene").loc[list(model.genes), "effect"]
    np.testing.assert_allclose(rows, model.effect(named[0], "context1").delta)
    assert found.table["p"].isna().all()
    assert (np.diff(found.table["effect"].abs()) <= 1e-12).all()
    made = found.signatures(n_genes=15, prefix="predicted ")[0]
    assert made.name == f"predicted {named[0]}"
    assert "predicted" in made.description
    ranking = rank(model, made)
    assert ranking.table["condition"].iloc[0] == str(named[0])


def test_what_cannot_be_compared_is_said(screen, guides):
    with pytest.raises(InputError, match="no perturbed cells of NOPE"):
        gene_effects(screen.data, ["NOPE"])
    with pytest.raises(InputError, match="one label for each of"):
        gene_effects(screen.data, units=["a", "b"])
    with pytest.raises(InputError, match="1 of them have none"):
        gene_effects(screen.data, units=guides.iloc[1:])
    with pytest.raises(InputError, match="names of cells"):
        gene_effects(screen.data, units=pd.concat([guides, guides]))
    with pytest.raises(InputError, match="different names"):
        program_effects(screen.data, [])
    with pytest.raises(GeneMatchError, match="lower it to measure its effect"):
        program_effects(screen.data, [Signature.from_genes(["NOPE1", "NOPE2"], "x")])
    still = [c for c in screen.data.conditions if not c.is_control and not screen.truth.effect(c).any()]
    with pytest.raises(InputError, match="None of 1 conditions moves"):
        gene_effects(screen.data, still[:1], units=guides).signatures()
    alone = replace(screen.data, replicate=(screen.data.condition == 1).astype(int))
    first = str(screen.data.conditions[1])
    if not screen.data.conditions[1].is_control:
        with pytest.raises(InputError, match="no replicate has two of its cells and two controls"):
            gene_effects(alone, [first])
        assert f"{first} in context1" in gene_effects(alone).left_out


def test_guides_call_the_interferon_receptor_and_nothing_of_what_does_nothing(real_data):
    """Papalexi's screen: IFNGR1 is the strongest of its targets, CAV1, CD86 and MARCH8 do nothing that is known."""
    adata = read(real_data("perturb/papalexi2021_dev.h5ad"))
    options = {"control": "non-targeting", "perturbation": "target", "batch": "bio_rep", "scale": "median"}
    data = read_screen(adata, **options)
    found = gene_effects(data, ["IFNGR1", "CAV1", "CD86", "MARCH8"], units=adata.obs["grna"])
    assert found.unit == "grna"
    changed = found.conditions["changed"].droplevel("context")
    assert changed["IFNGR1"] >= 30
    assert changed[["CAV1", "CD86", "MARCH8"]].sum() == 0
    falls = found.of("IFNGR1").head(4)
    assert {"STAT1", "JAK2", "PSMB9"} <= set(falls["gene"])
    assert (falls["effect"] < 0).all()
    assert [one.name for one in found.signatures()] == ["IFNGR1"]
