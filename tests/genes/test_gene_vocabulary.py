import numpy as np
import pandas as pd
import pytest

from insignia.core.errors import GeneMatchError, MissingMetadata, OrganismMismatch
from insignia.genes import GeneVocabulary

IDS = ["ENSG00000105369", "ENSG00000090382", "ENSG00000105374"]
SYMBOLS = ["CD79A", "LYZ", "NKG7"]


def same(vocabulary, symbols, ids):
    assert vocabulary.symbols.tolist() == symbols
    assert (None if vocabulary.ids is None else vocabulary.ids.tolist()) == ids


@pytest.mark.parametrize(
    ("names", "symbols", "ids"),
    [
        (SYMBOLS, SYMBOLS, None),
        ([f"{identifier}.7" for identifier in IDS], ["", "", ""], IDS),
        (["CD79A_ENSG00000105369", "LYZ", "None"], ["CD79A", "LYZ", ""], [IDS[0], "", ""]),
    ],
)
def test_from_names(names, symbols, ids):
    same(GeneVocabulary.from_names(names), symbols, ids)
    same(GeneVocabulary.from_names(pd.Index(names)), symbols, ids)


def test_given_ids_win_over_those_in_the_names():
    made = GeneVocabulary.from_names(["CD79A_ENSG00000000001", "LYZ"], ids=["ENSG00000105369.2", None])
    same(made, ["CD79A", "LYZ"], [IDS[0], ""])


def var(index, **columns):
    return pd.DataFrame(columns, index=pd.Index(index, dtype=object))


@pytest.mark.parametrize(
    "table",
    [
        var(SYMBOLS, gene_ids=IDS),
        var(SYMBOLS, gene_ids=pd.Categorical(IDS)),
        var(IDS, gene_name=SYMBOLS),
        var(IDS, feature_name=pd.Categorical(SYMBOLS)),
        var([f"{identifier}.3" for identifier in IDS], **{"Gene Symbol": SYMBOLS}),
        var([0, 1, 2], feature_id=IDS, feature_name=SYMBOLS),
        var(["0", "1", "2"], feature_id=IDS, feature_name=SYMBOLS),
        var(["x1", "x2", "x3"], mine=SYMBOLS, **{"ensembl.id": IDS}),
        var([f"{s}_{i}" for s, i in zip(SYMBOLS, IDS, strict=True)]),
    ],
    ids=["10x", "categorical", "muscat", "cellxgene", "spaced", "census", "numbers as text", "named", "joined"],
)
def test_from_var_finds_both_kinds_of_names(table):
    named = {"gene_symbols": "mine"} if "mine" in table else {}
    made = GeneVocabulary.from_var(table, **named)
    same(made, SYMBOLS, IDS)
    assert made.organism == "human"


def test_from_var_prefers_symbols_of_the_index_over_columns():
    same(GeneVocabulary.from_var(var(SYMBOLS, gene_name=["A", "B", "C"])), SYMBOLS, None)
    same(GeneVocabulary.from_var(var(SYMBOLS, gene_name=["A", "B", "C"]), gene_symbols="gene_name"), list("ABC"), None)


def test_from_var_fills_only_what_the_index_does_not_say():
    table = var(["CD79A", "ENSG00000090382", "nan"], gene_name=["X", "LYZ", "NKG7"])
    same(GeneVocabulary.from_var(table), SYMBOLS, ["", IDS[1], ""])


def test_from_var_does_not_take_entrez_numbers_for_ids():
    same(GeneVocabulary.from_var(var(SYMBOLS, gene_ids=[973, 4069, 4818])), SYMBOLS, None)
    same(GeneVocabulary.from_var(var(SYMBOLS, gene_id=[973, 4069, 4818], ensembl=IDS)), SYMBOLS, IDS)


def test_duplicated_symbols_keep_their_rows():
    made = GeneVocabulary.from_var(var(IDS, gene_name=["A", "A", "B"]))
    assert made.by_symbol.several == {"A": (0, 1)}
    assert made.by_symbol.unique == {"B": 2}


def test_the_copy_on_y_does_not_make_a_symbol_ambiguous():
    names = ["ENSG00000002586.20", "ENSG00000002586.20_PAR_Y"]
    made = GeneVocabulary.from_var(var(names, gene_name=["CD99", "CD99"]))
    assert made.by_symbol.positions("CD99") == (0,)
    assert made.by_id.several == {}


def test_frame_round_trip_is_exact():
    for names in (SYMBOLS, IDS, ["CD79A_ENSG00000105369", "2-Sep", ""]):
        made = GeneVocabulary.from_names(names)
        again = GeneVocabulary.from_frame(made.frame(), made.organism)
        same(again, made.symbols.tolist(), None if made.ids is None else made.ids.tolist())
        assert again.sha256 == made.sha256
        assert again.organism == made.organism


def test_hash_depends_on_symbols_ids_order_and_organism():
    made = [
        GeneVocabulary.from_names(SYMBOLS),
        GeneVocabulary.from_names(SYMBOLS[::-1]),
        GeneVocabulary.from_names(SYMBOLS, ids=IDS),
        GeneVocabulary.from_names(SYMBOLS, organism="unknown"),
    ]
    assert len({vocabulary.sha256 for vocabulary in made}) == 4


def test_labels_are_symbols_or_ids():
    made = GeneVocabulary.from_names(["CD79A_ENSG00000105369", "ENSG00000090382", "None"])
    assert made.labels.tolist() == ["CD79A", "ENSG00000090382", ""]
    assert len(made) == 3


def test_arrays_are_copied_and_cannot_change():
    symbols = np.array(SYMBOLS, dtype=object)
    made = GeneVocabulary(symbols)
    symbols[0] = "changed"
    assert made.symbols[0] == "CD79A"
    with pytest.raises(ValueError, match="read-only"):
        made.symbols[0] = "changed"


def test_refusals():
    with pytest.raises(GeneMatchError, match=r"must be a list.*Write \['MS4A1'\]"):
        GeneVocabulary.from_names("MS4A1")
    with pytest.raises(GeneMatchError, match="must be as many: 3 and 2"):
        GeneVocabulary.from_names(SYMBOLS, ids=IDS[:2])
    with pytest.raises(MissingMetadata, match=r"gene_symbols='name' is no column of var.*gene_ids"):
        GeneVocabulary.from_var(var(IDS, gene_ids=IDS), gene_symbols="name")
    with pytest.raises(GeneMatchError, match=r"gene_ids='gene_name' should hold Ensembl.*gene_symbols='gene_name'"):
        GeneVocabulary.from_var(var(IDS, gene_name=SYMBOLS), gene_ids="gene_name")
    with pytest.raises(GeneMatchError, match=r"var_names are numbers.*columns: \['n_cells'\]"):
        GeneVocabulary.from_var(var([0, 1, 2], n_cells=[4, 5, 6]))
    with pytest.raises(OrganismMismatch, match="of human"):
        GeneVocabulary.from_var(var(IDS), organism="Mus musculus")
