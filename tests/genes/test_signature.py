import numpy as np
import pytest

from insignia.core.errors import SignatureError
from insignia.genes import GeneVocabulary, Signature


def test_a_plain_signature_weighs_all_genes_one():
    made = Signature("demo", ("CD3E", "CD3D"))
    np.testing.assert_array_equal(made.weight_array, [1, 1])
    assert made.weight_array.dtype == np.float32
    assert not made.is_signed
    assert len(made) == 2


def test_up_and_down_become_signs_in_order():
    made = Signature.from_up_down("demo", up=["A", "B"], down=["C"])
    assert made.genes == ("A", "B", "C")
    assert made.weights == (1, 1, -1)
    assert made.is_signed


@pytest.mark.parametrize(
    ("genes", "organism", "id_type"),
    [
        (["CD3E", "CD3D", "CD3G"], "human", "symbol"),
        (["Cd3e", "Cd3d", "Cd3g"], "mouse", "symbol"),
        (["ENSG00000105369", "ENSG00000156738"], "human", "ensembl"),
        (["CD3E"], "unknown", "symbol"),
    ],
)
def test_from_genes_tells_organism_and_kind(genes, organism, id_type):
    made = Signature.from_genes(genes)
    assert (made.organism, made.id_type) == (organism, id_type)
    assert made.vocabulary.organism == organism


def test_hash_is_of_what_is_scored():
    made = Signature("a", ("A", "B"))
    assert made.sha256 == Signature("b", ("A", "B"), doi="10.1/x").sha256
    others = [("a", ("B", "A")), ("a", ("A", "B"), (1, 2)), ("a", ("A", "B"), None, "mouse")]
    assert len({made.sha256, *(Signature(*other).sha256 for other in others)}) == 4


def test_match_finds_the_genes():
    assert Signature("a", ("FAM65B", "X")).match(GeneVocabulary.from_names(["RIPOR2"])).renamed == {"FAM65B": "RIPOR2"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Signature("a", ()), "'a' has no genes"),
        (lambda: Signature.from_genes([]), "'custom' has no genes"),
        (lambda: Signature("a", ("A", "B", "A")), "more than once: A"),
        (lambda: Signature("a", ("A", " A")), "more than once: A"),
        (lambda: Signature("a", ("A", "nan")), "no gene name: 'nan'"),
        (lambda: Signature("", ("A",)), "needs a name"),
        (lambda: Signature("a", ("A",), id_type="entrez"), "not 'entrez'"),
        (lambda: Signature("a", "CD3E"), "must be a list"),
        (lambda: Signature.from_genes("CD3E"), "given as a list"),
        (lambda: Signature.from_genes([1.0, 2.0]), "must be text"),
        (lambda: Signature("a", ("A", "B"), (1.0,)), "2 genes and 1 weights"),
        (lambda: Signature("a", ("A", "B"), (1.0, np.nan)), "must be finite; these are not: B"),
        (lambda: Signature("a", ("A", "B"), (0.0, 0.0)), "All weights of 'a' are 0"),
        (lambda: Signature.from_up_down("a", ["A"], ["A", "B"]), "up and down at once: A"),
        (lambda: Signature.from_up_down("a", [], []), "has no genes"),
    ],
)
def test_degenerate_signatures_are_refused(make, message):
    with pytest.raises(SignatureError, match=message):
        make()
