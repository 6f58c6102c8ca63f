"""Gene programs: exact balance, sources, planted programs found, and what is said about them."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from anndata import AnnData, read_h5ad
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.stats import fisher_exact
from sklearn.metrics import adjusted_rand_score

from insignia.core.errors import GeneMatchError, InputError
from insignia.data import Condition, GeneEmbedding, GeneNetwork, GenePriors, PerturbationData, simulate_screen
from insignia.data.perturbation_splits import additive_split
from insignia.genes import read_gmt
from insignia.perturb.programs import (
    Programs,
    annotate_programs,
    check_programs,
    induce_programs,
    program_cohesion,
    program_enrichment,
    program_sources,
    report_programs,
)
from insignia.perturb.programs.balanced_kmeans import kmeans_labels
from insignia.perturb.programs.contract import SourceOptions
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.expression import correlation_axes, residual_correlation
from insignia.perturb.programs.transport import balanced_assignment

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def screens():
    size = {"n_perturbations": 20, "n_doubles": 20, "cells_per_condition": 60, "n_controls": 300}
    return [simulate_screen(rng=seed, **size) for seed in SEEDS]


@pytest.fixture(scope="module")
def odd():
    """250 genes in 16 programs: sizes cannot be equal."""
    return simulate_screen(
        n_genes=250, n_perturbations=8, n_doubles=4, cells_per_condition=30, n_controls=100, rng=0
    )  # fmt: skip


def found(screen, source, *, n=16, **options):
    return induce_programs(screen.data, source=source, n_programs=n, priors=screen.priors, **options)


def ari(screen, programs):
    return adjusted_rand_score(screen.truth.program, programs.program)


def test_assignment_costs_what_replicated_columns_cost():
    rng = np.random.default_rng(0)
    cost = rng.random((120, 6)) ** 2 + rng.random(6)
    label = balanced_assignment(cost, 20, 20)
    rows, columns = linear_sum_assignment(np.repeat(cost, 20, axis=1))
    assert np.bincount(label).tolist() == [20] * 6
    assert cost[np.arange(120), label].sum() == pytest.approx(cost[rows, columns // 20].sum(), rel=1e-12)


@pytest.mark.parametrize("bounds", [(2, 3), (1, 4), (0, 7), (0, 3)])
def test_bounded_assignment_is_the_cheapest_of_all(bounds):
    for seed in range(5):
        cost = np.random.default_rng(seed).normal(size=(7, 3)) + np.arange(3)
        lowest = min(
            sum(cost[row, column] for row, column in enumerate(chosen))
            for chosen in product(range(3), repeat=7)
            if all(bounds[0] <= chosen.count(column) <= bounds[1] for column in range(3))
        )
        label = balanced_assignment(cost, *bounds)
        assert cost[np.arange(7), label].sum() == pytest.approx(lowest)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="7 genes cannot be given to 3 programs of 3 to 4"):
        balanced_assignment(np.zeros((7, 3)), 3, 4)


@pytest.mark.parametrize("source", sorted(program_sources))
def test_every_source_divides_all_genes_alike_in_any_order(odd, source):
    programs = found(odd, source)
    assert sorted(gene for members in programs.members.values() for gene in members) == sorted(odd.data.genes)
    if source != "kmeans":
        assert programs.sizes.max() - programs.sizes.min() <= 1
    assert programs.about.get("converged", True)
    order = np.random.default_rng(1).permutation(len(odd.data.genes))
    genes = tuple(odd.data.genes[i] for i in order)
    shuffled = replace(odd.data, genes=genes, expression=odd.data.expression[:, order])
    again = induce_programs(shuffled, source=source, n_programs=16, priors=odd.priors)
    assert again.genes == genes
    assert again.members == programs.members


def test_programs_come_back_from_expression(screens):
    """Planted; the plain clustering of the same points is no better, and nothing is found once genes are unlinked."""
    for screen in screens:
        programs = found(screen, "expression")
        assert ari(screen, programs) >= 0.85
        points, _ = correlation_axes(Evidence.make(screen.data, None), 16)
        plain = kmeans_labels(points, SourceOptions(16))
        assert ari(screen, programs) >= adjusted_rand_score(screen.truth.program, plain)
        assert abs(ari(screen, found(screen, "random"))) < 0.05
    rng = np.random.default_rng(0)
    mixed = screens[0].data.expression.toarray()
    for rows in (screens[0].data.rows(*group) for group in screens[0].data.groups):
        mixed[rows] = rng.permuted(mixed[rows], axis=0)
    unlinked = replace(screens[0], data=replace(screens[0].data, expression=csr_matrix(mixed)))
    assert abs(ari(screens[0], found(unlinked, "expression"))) < 0.05


def test_effects_of_perturbations_are_not_mistaken_for_programs(odd):
    """A shift of half the genes in one condition leaves their residuals alone."""
    cells = odd.data.expression.toarray()
    cells[odd.data.rows(odd.data.groups[3][0], "context1"), :125] += 5
    moved = replace(odd.data, expression=csr_matrix(cells))
    before, after = residual_correlation(odd.data)[0], residual_correlation(moved)[0]
    assert np.abs(before - after).max() < 0.15
    assert np.abs(np.corrcoef(cells.T) - np.corrcoef(odd.data.expression.toarray().T)).max() > 0.5


def test_smoothing_over_interactions_beats_the_embedding_and_the_added_cost(screens):
    scores = {
        source: [ari(one, found(one, source)) for one in screens]
        for source in ("embedding", "grc", "kmeans", "smoothed")
    }
    for other in ("embedding", "grc", "kmeans"):
        assert np.mean(scores["smoothed"]) >= np.mean(scores[other]) + 0.05
    assert np.mean(scores["grc"]) > np.mean(scores["kmeans"])


def test_fused_keeps_what_is_stable(screens):
    programs = found(screens[0], "fused")
    assert ari(screens[0], programs) >= 0.85
    assert programs.about["chosen"] in ("expression", "both")
    assert programs.about["stability"]["expression"] > programs.about["stability"]["priors"]


def test_the_objective_never_rises(screens):
    for source in ("expression", "smoothed"):
        objective = found(screens[1], source).about["objective"]
        assert all(np.diff(objective) < 1e-9)


@pytest.mark.parametrize(("balance", "low", "high"), [("exact", 16, 16), ("bounded", 8, 32), ("none", 1, 256)])
def test_balance_bounds_the_sizes(screens, balance, low, high):
    sizes = found(screens[0], "grc", balance=balance).sizes
    assert low <= sizes.min()
    assert sizes.max() <= high
    assert (np.ptp(sizes) > 0) == (balance != "exact")


def test_a_gene_without_evidence_has_no_program(odd):
    embedding, network = odd.priors.gene_embedding, odd.priors.network
    linked = int(np.argmax(network.adjacency.getnnz(axis=1)))
    alone = int(np.argmin(network.adjacency.getnnz(axis=1)))
    kept = np.setdiff1d(np.arange(250), [linked, alone])
    fewer = GeneEmbedding(tuple(embedding.genes[i] for i in kept), embedding.matrix[kept])
    priors = GenePriors(gene_embedding=fewer, network=network)
    for source, without in (("embedding", {linked, alone}), ("smoothed", {alone}), ("grc", {alone})):
        programs = induce_programs(odd.data, source=source, n_programs=16, priors=priors)
        assert set(np.flatnonzero(programs.program < 0)) == without
        assert programs.of(odd.data.genes[alone]) is None
        assert programs.about["coverage"]["embedding"] == 248
        assert programs.sizes.max() - programs.sizes.min() <= 1


def test_what_a_source_lacks_is_said(odd):
    with pytest.raises(InputError, match="needs an embedding of the measured genes"):
        induce_programs(odd.data, source="grc")
    with pytest.raises(InputError, match="needs interactions"):
        induce_programs(odd.data, source="grc", priors=GenePriors(gene_embedding=odd.priors.gene_embedding))
    strange = GeneEmbedding(("x", "y"), np.ones((2, 3), dtype=np.float32))
    with pytest.raises(GeneMatchError, match="knows 0 of 250 measured genes"):
        induce_programs(odd.data, source="embedding", priors=GenePriors(gene_embedding=strange))
    with pytest.raises(InputError, match="n_programs must lie between"):
        induce_programs(odd.data, n_programs=251)
    with pytest.raises(InputError, match="balance takes"):
        induce_programs(odd.data, balance="some")
    with pytest.raises(KeyError, match="no source of programs 'grcs'"):
        induce_programs(odd.data, source="grcs")


def test_test_cells_are_refused(odd):
    split = additive_split(odd.data, rng=0)
    with pytest.raises(InputError, match="among the training cells"):
        induce_programs(odd.data, n_programs=16, split=split)
    with pytest.raises(InputError, match="induced from cells of"):
        check_programs(induce_programs(odd.data, n_programs=16), split)
    train = odd.data.without([Condition.parse(unit) for unit in split.test])
    check_programs(induce_programs(train, n_programs=16, split=split), split)


def test_enrichment_is_fishers_test_and_corrects_for_everything(screens):
    screen = screens[0]
    programs = found(screen, "expression")
    table = program_enrichment(programs, dict(screen.priors.gene_sets) | {"two": screen.data.genes[:2]})
    assert len(table) == 16 * 16
    top = table.groupby("gene_set")["p"].idxmin()
    assert (table.loc[top, "q"] < 1e-6).all()
    row = table.iloc[20]
    inside, outside = row.overlap, row.set_size - row.overlap
    others = row.program_size - inside
    exact = fisher_exact([[inside, outside], [others, 256 - row.set_size - others]], alternative="greater")
    assert row.p == pytest.approx(exact.pvalue, abs=1e-12)
    rank = np.arange(1, len(table) + 1)
    expected = np.minimum(np.minimum.accumulate((table.p * len(table) / rank)[::-1])[::-1], 1)
    np.testing.assert_allclose(table.q, expected)
    chance = program_enrichment(found(screen, "random"), screen.priors.gene_sets)
    assert chance.q.min() > 0.01
    with pytest.raises(GeneMatchError, match="None of 1 gene sets has 3"):
        program_enrichment(programs, {"none": ("a", "b", "c")})


def test_cohesion_is_far_from_chance_where_programs_are_right(screens):
    network = screens[0].priors.network
    assert program_cohesion(found(screens[0], "expression"), network).z > 10
    assert abs(program_cohesion(found(screens[0], "random"), network).z) < 4


def test_popular_genes_alone_make_no_cohesion():
    """Hubs of one program meet each other as often as their numbers of partners say; degrees must be kept."""
    rng = np.random.default_rng(0)
    degree = np.where(np.arange(200) < 50, 8.0, 0.5)
    chance = np.triu(rng.random((200, 200)) < 0.005 * np.outer(degree, degree), 1)
    genes = tuple(f"g{i:03d}" for i in range(200))
    network = GeneNetwork(genes, csr_matrix((chance | chance.T).astype(float)))
    programs = Programs.from_labels(genes, np.arange(200) // 50, source="planted")
    cohesion = program_cohesion(programs, network)
    assert cohesion.within > 0.5
    assert abs(cohesion.z) < 4


def test_the_report_says_it_all(screens):
    programs = found(screens[0], "expression")
    report = report_programs(programs, screens[0].data, priors=screens[0].priors, n_runs=3)
    assert report.stability.with_reference.min() > 0.85
    assert report.record()["enriched_programs"] == 16
    for word in ("16 programs of 16 to 16 genes", "known: genes 256", "subsamples", "lie within", "16 programs with"):
        assert word in str(report)
    chance = report_programs(found(screens[0], "random"), screens[0].data, n_runs=3)
    assert chance.stability.with_reference.max() < 0.1


def test_programs_are_read_as_written_and_go_by_name(odd):
    programs = found(odd, "expression")
    again = Programs.from_dict(programs.to_dict())
    assert again.members == programs.members
    assert again.about == programs.about
    genes = ["nobody", *programs.members["program02"]]
    assert programs.labels(genes).tolist() == [-1] + [1] * (len(genes) - 1)
    averages = programs.averages(genes).toarray()
    assert averages.sum(axis=0) == pytest.approx([0, 1] + [0] * 14)
    with pytest.raises(InputError, match="None of 1 genes is in a program"):
        programs.averages(["nobody"])
    frame = programs.to_frame()
    assert list(frame.index) == list(programs.genes)
    assert (frame["size"] == frame.groupby("program")["program"].transform("size")).all()


def test_the_programs_of_genes_are_noted_in_anndata(odd):
    programs = found(odd, "expression")
    adata = AnnData(np.ones((3, 3), dtype=np.float32))
    adata.var_names = [odd.data.genes[4], "nobody", odd.data.genes[0]]
    assert annotate_programs(adata, programs) is None
    noted = adata.var["program"]
    assert [noted.iloc[0], noted.iloc[2]] == [programs.of(adata.var_names[0]), programs.of(adata.var_names[2])]
    assert noted.isna().tolist() == [False, True, False]
    assert adata.uns["program"]["source"] == "expression"
    adata.var_names = ["x", "y", "z"]
    with pytest.raises(GeneMatchError, match="None of 3 genes is in a program"):
        annotate_programs(adata, programs, copy=True)


def test_programs_of_real_cells_mean_something(real_data):
    """The cell cycle of THP-1 cells is found in the cells alone; gene sets are only asked afterwards."""
    cells = read_h5ad(real_data("perturb/papalexi2021_dev.h5ad"))
    counts = cells.X.toarray().astype(np.float64)
    scaled = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 180)
    conditions = [Condition.parse(name.replace("non-targeting", "control")) for name in cells.obs["target"].astype(str)]
    names = tuple(sorted(set(conditions), key=str))
    zeros = np.zeros(len(cells), dtype=int)
    data = PerturbationData(
        genes=tuple(cells.var_names),
        expression=csr_matrix(scaled.astype(np.float32)),
        conditions=names,
        condition=np.array([names.index(one) for one in conditions]),
        contexts=("THP-1",),
        context=zeros,
        replicates=("all",),
        replicate=zeros,
        cells=np.asarray(cells.obs_names),
    )
    gene_sets = read_gmt(real_data("genesets/h.all.v7.0.symbols.gmt"))
    report = report_programs(
        induce_programs(data, n_programs=8), data, priors=GenePriors(gene_sets=gene_sets), n_runs=3
    )
    first = report.enrichment.iloc[0]
    assert first.gene_set == "HALLMARK_E2F_TARGETS"
    assert first.q < 0.01
    assert report.stability.with_reference.mean() > 0.35
