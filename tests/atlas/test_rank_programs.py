"""The reverse query: what was planted stands out, donors being the units, by hand-made tables of donors."""

import numpy as np
import pandas as pd
import pytest
from tests.atlas.screen_atlas import PLANTED, planted_atlas, random_sets

from insignia.atlas.screens.gene_means import gene_means
from insignia.core.errors import FilterError, InputError
from insignia.stats import benjamini_hochberg, paired_test, rank_test

SETS = {"planted": PLANTED, **random_sets(30)}
SICK = "disease = 'sepsis' AND cell_type = 'monocyte'"
WELL = "disease = 'normal' AND cell_type = 'monocyte'"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return planted_atlas(tmp_path_factory.mktemp("rank") / "a", effect=1.5)


@pytest.fixture(scope="module")
def disease(atlas):
    return atlas.rank_programs(SICK, reference=WELL, signatures=SETS)


def donor_means(atlas, where, genes):
    """Mean attribution of genes for each donor, from the cells."""
    matrix, obs, match = atlas.gene_matrix(genes, where=where)
    names = [str(name) for name in np.array(match.query)[match.found]]
    values = pd.DataFrame(matrix.toarray(), columns=names)
    return values.groupby([obs["study"].astype(str), obs["donor"].astype(str)]).mean()


def test_a_disease_brings_out_its_program_and_genes(disease):
    assert not disease.is_paired
    first = disease.programs.iloc[0]
    assert first["signature"] == "planted"
    assert first["q"] < 1e-3
    # the third study has no sepsis: its donors have no case to be ranked with
    assert (first["donors"], first["reference_donors"], first["studies"]) == (12, 18, 2)
    higher = disease.genes[(disease.genes["q"] <= 0.05) & (disease.genes["shift"] > 0)]
    assert set(higher["gene"]) >= set(PLANTED)
    assert len(higher) <= len(PLANTED) + 2
    assert len(disease.genes) == 40


def test_genes_are_tested_as_donors_one_by_one(atlas, disease):
    """The oracle: means of donors from the cells, and the test of one gene."""
    genes = ["GENE3", "GENE7", "GENE38"]
    ours, theirs = (donor_means(atlas, where, genes) for where in (SICK, WELL))
    table = disease.genes.set_index("gene")
    for gene in genes:
        a, b = ours[gene].dropna(), theirs[gene].dropna()
        studies = np.array([*a.index.get_level_values(0), *b.index.get_level_values(0)])
        is_case = np.arange(len(a) + len(b)) < len(a)
        alone = rank_test(np.concatenate([a, b]), is_case, studies)
        assert table.loc[gene, "p"] == pytest.approx(alone.p)
        assert (table.loc[gene, "donors"], table.loc[gene, "reference_donors"]) == (len(a), len(b))
    assert table.loc["GENE38", "donors"] == 6
    matrix, _, _ = atlas.gene_matrix(["GENE7"], where=SICK)
    assert table.loc["GENE7", "detection"] == pytest.approx((matrix.toarray() > 0).mean(), rel=1e-6)
    tested = disease.genes["testable"].to_numpy(dtype=bool)
    np.testing.assert_allclose(disease.genes["q"][tested], benjamini_hochberg(disease.genes["p"][tested].to_numpy()))


def test_cells_of_the_same_donors_are_paired(atlas):
    where, reference = "cell_type = 'monocyte' AND disease = 'sepsis'", "cell_type = 'T cell' AND disease = 'sepsis'"
    found = atlas.rank_programs(where, reference=reference, signatures=SETS)
    assert found.is_paired
    assert found.programs.loc[0, "signature"] == "planted"
    assert found.programs.loc[0, "donors"] == 12
    ours, theirs = (donor_means(atlas, one, ["GENE7"])["GENE7"] for one in (where, reference))
    alone = paired_test((ours - theirs).to_numpy())
    row = found.genes.set_index("gene").loc["GENE7"]
    assert (row["p"], row["smallest_p"]) == pytest.approx((alone.p_rank, alone.smallest_p))
    assert row["shift"] == pytest.approx((ours - theirs).median(), rel=1e-5)
    apart = atlas.rank_programs(where, reference=reference, signatures=SETS, paired=False)
    assert not apart.is_paired
    assert apart.programs.loc[0, "signature"] == "planted"


def test_without_an_effect_little_stands_out(atlas):
    flu = atlas.rank_programs("disease = 'flu'", reference="disease = 'normal' AND study = 'C'", signatures=SETS)
    assert (flu.programs["q"] <= 0.05).sum() <= 1
    assert (flu.genes["q"] <= 0.05).sum() <= 3


def test_a_sentence_says_it(disease, atlas):
    said = disease.sentence()
    assert said.startswith(
        f"Where {SICK}, against {WELL} (12 donors against 18): 1 of 31 programs is higher, first planted ("
    )
    assert "Of single genes, " in said
    two = atlas.rank_programs(
        f"({SICK}) AND donor IN ('d0', 'd1')", reference=WELL + " AND donor = 'd6'", signatures=SETS
    )
    assert "none of 31 programs can be tested with so few donors" in two.sentence()
    assert two.programs["q"].isna().all()


def test_it_is_drawn_as_a_volcano(disease):
    from insignia.report import volcano_figure

    figure = volcano_figure(disease.comparison())
    assert "planted" in [text.get_text() for text in figure.axes[0].texts]
    genes = disease.comparison("genes").table
    assert set(genes["signature"]) == set(disease.genes["gene"])
    with pytest.raises(InputError, match="'programs' or 'genes'; found 'cells'"):
        disease.comparison("cells")


def test_rare_genes_are_not_tested(atlas, disease):
    some = atlas.rank_programs(SICK, reference=WELL, signatures=SETS, min_detection=0.53)
    ever = disease.genes[["detection", "reference_detection"]].max(axis=1)
    assert set(some.genes["gene"]) == set(disease.genes["gene"][ever >= 0.53])
    assert some.n_genes_left_out == 40 - len(some.genes)
    assert 0 < len(some.genes) < 40


def test_gene_means_are_those_of_the_cells(atlas):
    found = gene_means(atlas._snapshot, by=["study", "donor"], where="attribution_gap < 0.6")
    genes = [f"GENE{k}" for k in range(40)]
    expected = donor_means(atlas, "attribution_gap < 0.6", genes)
    assert list(map(tuple, found.groups[["study", "donor"]].to_numpy())) == list(expected.index)
    np.testing.assert_allclose(found.means(np.arange(40)), expected, rtol=1e-5, atol=1e-7)


def test_refusals(atlas):
    with pytest.raises(InputError, match=r"cells belong to both .* Exclude the one"):
        atlas.rank_programs("disease = 'sepsis'", reference="cell_type = 'monocyte'", signatures=SETS)
    with pytest.raises(InputError, match="min_detection is a fraction"):
        atlas.rank_programs(SICK, reference=WELL, signatures=SETS, min_detection=5)
    with pytest.raises(InputError, match="No gene is detected in 100% of the cells"):
        atlas.rank_programs(SICK, reference=WELL, signatures=SETS, min_detection=1)
    with pytest.raises(InputError, match="none can be paired"):
        atlas.rank_programs(SICK, reference=WELL, signatures=SETS, paired=True)
    with pytest.raises(InputError, match="samples has 5000 cells"):
        atlas.rank_programs(SICK, reference=WELL, signatures=SETS, min_cells=5000)
    with pytest.raises(FilterError):
        atlas.rank_programs(SICK, reference="disease = 'none'", signatures=SETS)
