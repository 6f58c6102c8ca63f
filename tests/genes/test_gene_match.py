import pytest
from hypothesis import given
from hypothesis import strategies as st

from insignia.core.errors import GeneMatchError, OrganismMismatch
from insignia.genes import GeneAlignment, GeneVocabulary, Renames, match_genes

NEW = {"FAM65B": frozenset({"RIPOR2"}), "MARC2": frozenset({"MTARC2"}), "MARCH2": frozenset({"MARCHF2", "MTARC2"})}
TABLE = Renames(NEW, {"ENSG00000156738": "MS4A1", "ENSG00000105369": "CD79A"})


def names(*genes, **options):
    return GeneVocabulary.from_names(genes, **options)


def test_names_are_found_in_order():
    match = match_genes(["C", "A", "X"], names("A", "B", "C"), renames=Renames())
    assert match.index.tolist() == [2, 0, -1]
    assert match.index.dtype == "int64"
    assert (match.matched, match.missing, match.renamed, match.ambiguous) == (("C", "A"), ("X",), {}, {})
    assert match.coverage == pytest.approx(2 / 3)


def test_ids_come_before_symbols():
    vocabulary = names("A", "B", ids=["ENSG00000000001", "ENSG00000000002"])
    assert match_genes(names("A", ids=["ENSG00000000002.4"]), vocabulary).index.tolist() == [1]
    assert match_genes(["ENSG00000000002.9"], vocabulary).index.tolist() == [1]


@pytest.mark.parametrize(("asked", "there"), [("FAM65B", "RIPOR2"), ("RIPOR2", "FAM65B")])
def test_renamed_in_both_directions(asked, there):
    match = match_genes(["CD3E", asked], names("LYZ", there, "CD3E"), renames=TABLE)
    assert match.index.tolist() == [2, 1]
    assert match.renamed == {asked: there}
    assert match.matched == ("CD3E",)
    assert match_genes([asked], names(there), renames=Renames()).missing == (asked,)


def test_bundled_renames_are_the_default():
    assert match_genes(["FAM65B", "C19orf35"], names("PEAK3", "RIPOR2")).renamed == {
        "FAM65B": "RIPOR2",
        "C19orf35": "PEAK3",
    }


def test_the_own_name_wins_over_a_renamed_one():
    match = match_genes(["FAM65B"], names("RIPOR2", "FAM65B"), renames=TABLE)
    assert (match.index.tolist(), match.renamed) == ([1], {})


@pytest.mark.parametrize(
    ("asked", "there", "candidates"),
    [
        ("MARCH2", ("MARCHF2", "MTARC2"), ("MARCHF2", "MTARC2")),
        ("MARCH2", ("MARCHF2", "CD3E"), ("MARCHF2",)),
        ("MARCHF2", ("MARCH2", "CD3E"), ("MARCH2",)),
        ("MTARC2", ("MARC2", "MARCH2"), ("MARC2", "MARCH2")),
        ("CD3E", ("CD3E", "CD3E"), ("CD3E",)),
        ("FAM65B", ("RIPOR2", "RIPOR2"), ("RIPOR2",)),
    ],
)
def test_ambiguous_is_reported_and_never_used(asked, there, candidates):
    match = match_genes([asked], names(*there), renames=TABLE)
    assert match.index.tolist() == [-1]
    assert match.ambiguous == {asked: candidates}
    assert match.missing == ()


def test_an_ambiguous_old_name_without_candidates_is_missing():
    assert match_genes(["MARCH2"], names("CD3E"), renames=TABLE).missing == ("MARCH2",)


def test_no_gene_counts_twice_through_a_rename():
    match = match_genes(["FAM65B", "RIPOR2"], names("RIPOR2"), renames=TABLE)
    assert match.index.tolist() == [-1, 0]
    assert match.ambiguous == {"FAM65B": ("RIPOR2",)}


def test_symbols_find_a_vocabulary_of_ids_through_the_table_and_back():
    ids = names("ENSG00000105369", "ENSG00000156738")
    assert match_genes(["MS4A1", "CD79A"], ids, renames=TABLE).index.tolist() == [1, 0]
    back = match_genes(ids, names("CD3E", "MS4A1", "CD79A"), renames=TABLE)
    assert back.index.tolist() == [2, 1]
    assert back.renamed == {}


def test_an_id_settles_what_an_old_symbol_leaves_open():
    table = Renames(NEW, {"ENSG00000099785": "MARCHF2"})
    query = names("MARCH2", ids=["ENSG00000099785"])
    match = match_genes(query, names("MTARC2", "MARCHF2"), renames=table)
    assert match.index.tolist() == [1]
    assert match.renamed == {"MARCH2": "MARCHF2"}


def test_namesakes_known_by_their_ids_are_kept_apart():
    vocabulary = names("TBCE", ids=["ENSG00000284770"])
    query = names("TBCE", "TBCE", ids=["ENSG00000285053", "ENSG00000284770"])
    match = match_genes(query, vocabulary)
    assert match.index.tolist() == [-1, 0]
    assert match.ambiguous == {"TBCE": ("ENSG00000284770",)}
    retired = match_genes(names("TBCE", ids=["ENSG00000000001"]), vocabulary)
    assert retired.index.tolist() == [0]


def test_the_copy_on_y_is_the_same_gene():
    match = match_genes(["ENSG00000002586.20_PAR_Y"], names("ENSG00000002586"))
    assert match.index.tolist() == [0]


def test_nothing_is_never_found():
    match = match_genes(["None", "nan", "", "A"], names("None", "nan", "", "A"))
    assert match.index.tolist() == [-1, -1, -1, 3]


def test_organisms_must_not_differ():
    mouse = names("Cd3e", "Lyz2", "Nkg7")
    with pytest.raises(OrganismMismatch, match=r"human genes \(e.g. CD3E.*among mouse genes \(e.g. Cd3e"):
        match_genes(["CD3E", "LYZ", "NKG7"], mouse)
    with pytest.raises(OrganismMismatch, match="other: ENSRNO"):
        match_genes(["CD3E", "LYZ", "NKG7"], names("ENSRNOG00000000001"))
    assert match_genes(names("CD3E", organism="unknown"), mouse).n_found == 0


def test_summary_names_what_happened():
    match = match_genes(["CD3E", "FAM65B", "MARCH2", "XIST"], names("CD3E", "RIPOR2", "MTARC2"), renames=TABLE)
    assert match.summary("demo") == (
        "demo: 1 of 4 by name, 1 renamed (FAM65B -> RIPOR2), 1 ambiguous and not used (MARCH2: MTARC2), "
        "1 missing: XIST (coverage 50%)"
    )
    frame = match.frame()
    assert frame["status"].tolist() == ["matched", "renamed", "ambiguous", "missing"]
    assert frame["found_as"].tolist() == ["CD3E", "RIPOR2", "MTARC2", ""]


def test_lower_case_is_told_from_other_genes():
    there = GeneVocabulary.from_names(["IL1B", "S100A8", "LYZ"])
    match = match_genes(["il1b", "s100a8", "Lyz", "nothing"], there)
    assert match.n_found == 0
    assert match.in_capitals == {"il1b": "IL1B", "s100a8": "S100A8"}
    assert "In capitals they are there: IL1B, S100A8; write them so." in match.summary()
    with pytest.raises(
        GeneMatchError, match=r"lower case \(il1b, s100a8, \.\.\.\), and in capitals 2 of 2.*str\.upper"
    ):
        GeneAlignment(GeneVocabulary.from_names(["il1b", "s100a8"]), there)


def test_summary_is_short_and_hints_at_dates():
    many = match_genes([f"GENE{i}" for i in range(50)] + ["2-Sep"], names("CD3E"))
    assert len(many.summary()) < 250
    assert "2-Sep (was SEPT2)" in many.summary()


@given(st.lists(st.sampled_from("ABCDEFGH"), max_size=12), st.lists(st.sampled_from("ABCDEFGH"), max_size=12))
def test_every_gene_is_accounted_for(query, there):
    match = match_genes(query, names(*there), renames=Renames())
    assert len(match.matched) + sum(gene in {*match.missing, *match.ambiguous} for gene in query) == len(query)
    for gene, position in zip(query, match.index, strict=True):
        assert (position >= 0) == (there.count(gene) == 1)
        assert position < 0 or there[position] == gene
        assert (gene in match.ambiguous) == (there.count(gene) > 1)
