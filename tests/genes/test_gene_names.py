import numpy as np
import pytest

from insignia.core.errors import OrganismMismatch
from insignia.genes.names import canonical_organism, detect_organism, parse_names, spreadsheet_victim


@pytest.mark.parametrize(
    ("name", "symbol", "identifier"),
    [
        ("CD79A", "CD79A", ""),
        (" CD79A ", "CD79A", ""),
        ("ENSG00000105369", "", "ENSG00000105369"),
        ("ENSG00000105369.11", "", "ENSG00000105369"),
        ("ENSG00000182378.15_PAR_Y", "", "ENSG00000182378_PAR_Y"),
        ("ENSMUSG00000003379.8", "", "ENSMUSG00000003379"),
        ("CD79A_ENSG00000105369", "CD79A", "ENSG00000105369"),
        ("CD79A_ENSG00000105369.11", "CD79A", "ENSG00000105369"),
        ("ENSG00000105369_CD79A", "CD79A", "ENSG00000105369"),
        ("HLA-DRA|ENSG00000204287", "HLA-DRA", "ENSG00000204287"),
        ("nan_ENSG00000105369", "", "ENSG00000105369"),
        ("ENSG00000105369_ENSG00000105369", "", "ENSG00000105369"),
        ("ENSG00000204388-1", "", "ENSG00000204388"),
        ("SENSO", "SENSO", ""),
        ("RP11-295G20.2", "RP11-295G20.2", ""),
    ],
)
def test_names_are_read_one_by_one(name, symbol, identifier):
    symbols, ids = parse_names([name])
    assert (symbols[0], ids[0]) == (symbol, identifier)


@pytest.mark.parametrize("nothing", ["", " ", "None", "nan", "NaN", "NA", "<NA>", None, float("nan"), np.nan])
def test_nothing_is_never_a_gene(nothing):
    symbols, ids = parse_names([nothing])
    assert (symbols[0], ids[0]) == ("", "")


@pytest.mark.parametrize(
    ("symbols", "organism"),
    [
        (["CD3E", "C1orf43", "MT-ND1", "HLA-DRA", "C19orf35"], "human"),
        (["Cd3e", "mt-Nd1", "Gm1992", "1700001C02Rik", "H2-Aa"], "mouse"),
        (["CD3E", "Cd3e", "LYZ", "Lyz2"], "unknown"),
        (["gene0", "gene1", "gene2"], "unknown"),
        (["Gene_0", "Gene_1", "Gene_2"], "unknown"),
        (["CD3E", "LYZ"], "unknown"),
        ([], "unknown"),
    ],
)
def test_organism_by_letter_case_only_when_clear(symbols, organism):
    assert detect_organism(symbols, [""] * len(symbols), None) == organism


@pytest.mark.parametrize(
    ("prefix", "organism"), [("ENSG", "human"), ("ENSMUSG", "mouse"), ("ENSRNOG", "other: ENSRNO")]
)
def test_organism_by_ensembl_prefix(prefix, organism):
    assert detect_organism([""] * 2, [f"{prefix}00000000001", f"{prefix}00000000002_PAR_Y"], None) == organism


def test_ids_win_over_letter_case_and_two_organisms_are_unknown():
    assert detect_organism(["CD3E", "LYZ", "NKG7"], ["ENSMUSG00000000001"] * 3, None) == "mouse"
    assert detect_organism(["", ""], ["ENSMUSG00000000001", "ENSG00000000001"], None) == "unknown"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Homo sapiens", "human"),
        ("NCBITaxon:10090", "mouse"),
        ("unknown", "unknown"),
        ("Rat", "other: rat"),
        ("other: ENSRNO", "other: ENSRNO"),
    ],
)
def test_organism_spellings(given, name):
    assert canonical_organism(given) == name
    assert canonical_organism(canonical_organism(given)) == name


def test_a_wrong_organism_is_refused():
    with pytest.raises(OrganismMismatch, match=r"given as 'mouse', but the Ensembl ids are of human"):
        detect_organism([""], ["ENSG00000105369"], "mouse")


def test_another_organism_may_be_told_in_words():
    assert detect_organism([""], ["ENSRNOG00000000001"], "rat") == "other: ENSRNO"
    assert detect_organism([""], ["ENSRNOG00000000001"], "other: ENSRNO") == "other: ENSRNO"


@pytest.mark.parametrize(
    ("name", "was"),
    [
        ("2-Sep", "SEPT2"),
        ("02-Sep", "SEPT2"),
        ("Sep-02", "SEPT2"),
        ("1-Mar", "MARCH1/MARC1"),
        ("1-Dec", "DEC1"),
        ("2006-09-02 00:00:00", "SEPT2"),
        ("2006-09-02", "SEPT2"),
        ("NKX2-1", None),
        ("SEPT2", None),
        ("1-Feb", None),
    ],
)
def test_dates_of_spreadsheets_are_recognised(name, was):
    assert spreadsheet_victim(name) == was
