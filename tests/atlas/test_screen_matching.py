"""Genes of many signatures looked up at once: what each signature alone would find."""

import numpy as np
import pytest

from insignia.atlas.screens.matching import positions_of
from insignia.core.errors import OrganismMismatch
from insignia.genes import GeneVocabulary, Signature, bundled, signature

# RIPOR2 was FAM65B; the bundled signatures name both kinds
GENES = ["IL1B", "S100A8", "RIPOR2", "CD79A", "MS4A1", "LYZ", "ISG15", "MX1", "IFI6", "PEAK3", "MARCHF1", "GENE1"]


@pytest.mark.parametrize("with_ids", [False, True])
def test_positions_are_those_of_each_alone(with_ids):
    ids = [f"ENSG{k:011d}" for k in range(len(GENES))] if with_ids else None
    vocabulary = GeneVocabulary.from_names(GENES, ids=ids, organism="human")
    sets = [
        *(signature(name) for name in bundled() if signature(name).organism == "human"),
        Signature("old", ("FAM65B", "IL1B", "NOTHING")),
        # the old and the new name of one gene: it must not count twice
        Signature("both", ("FAM65B", "RIPOR2", "LYZ")),
        Signature("id", ("ENSG00000000003", "LYZ"), id_type="ensembl"),
        Signature("joined", ("CD79A_ENSG00000000003", "LYZ")),
        Signature("unknown", ("LYZ", "MX1"), organism="unknown"),
        Signature("none", ("NOT", "THERE")),
    ]
    found = positions_of(sets, vocabulary)
    for one, index in zip(sets, found, strict=True):
        np.testing.assert_array_equal(index, one.match(vocabulary).index, err_msg=one.name)
    assert (np.concatenate(found) >= 0).any()


def test_another_organism_is_refused():
    vocabulary = GeneVocabulary.from_names(GENES, organism="human")
    with pytest.raises(OrganismMismatch):
        positions_of([Signature("a", ("LYZ",)), Signature("b", ("Lyz2",), organism="mouse")], vocabulary)
