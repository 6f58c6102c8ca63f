import gzip
from importlib.resources import files

import pandas as pd
import pytest

from insignia.core.errors import FileFormatError
from insignia.genes import Renames, bundled_renames, load_renames, match_genes
from insignia.genes.vocabulary import GeneVocabulary

HGNC = """hgnc_id\tsymbol\tstatus\talias_symbol\tprev_symbol\tensembl_gene_id
HGNC:13872\tRIPOR2\tApproved\tDIFF48|PL48\tC6orf32|FAM65B\tENSG00000111913
HGNC:1\tMARCHF2\tApproved\t\tMARCH2\tENSG00000099785
HGNC:2\tMTARC2\tApproved\t\t"MARC2|MARCH2"\tENSG00000117791
HGNC:3\tNEW1\tApproved\t\tTAKEN\t
HGNC:4\tTAKEN\tApproved\t\t\tENSG00000000004
HGNC:5\tGONE~withdrawn\tEntry Withdrawn\t\tOLD\t
"""


@pytest.fixture
def hgnc(tmp_path):
    path = tmp_path / "hgnc_complete_set.txt"
    path.write_text(HGNC)
    return path


def test_the_bundled_table_has_a_source_for_every_row_and_no_ambiguity():
    with files("insignia.genes").joinpath("renames.tsv").open() as file:
        table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["old", "new", "source"]
    assert table["source"].str.startswith("HGNC").all()
    assert table["old"].is_unique
    assert not set(table["old"]) & set(table["new"])
    assert bundled_renames().new["FAM65B"] == {"RIPOR2"}
    assert bundled_renames().new["C19orf35"] == {"PEAK3"}
    assert len(bundled_renames()) == len(table)


def test_hgnc_gives_previous_symbols_and_ids(hgnc):
    table = load_renames(hgnc)
    assert table.new["FAM65B"] == {"RIPOR2"}
    assert table.new["C6orf32"] == {"RIPOR2"}
    assert table.new["MARCH2"] == {"MARCHF2", "MTARC2"}
    assert "OLD" not in table.new
    assert "PL48" not in table.new
    assert load_renames(hgnc, aliases=True).new["PL48"] == {"RIPOR2"}
    assert table.symbol_of["ENSG00000111913"] == "RIPOR2"
    assert table.ids_of["RIPOR2"] == ("ENSG00000111913",)


def test_an_old_name_that_another_gene_carries_today_is_ambiguous(hgnc):
    match = match_genes(["TAKEN"], GeneVocabulary.from_names(["NEW1"]), renames=load_renames(hgnc))
    assert match.ambiguous == {"TAKEN": ("NEW1",)}
    assert match_genes(["TAKEN"], GeneVocabulary.from_names(["TAKEN", "NEW1"]), renames=load_renames(hgnc)).n_found == 1


@pytest.mark.parametrize(
    "text",
    [
        "ENSG00000105369,CD79A,11,1200,protein_coding\nENSG00000290825,ENSG00000290825,2,1396,lncRNA\n",
        "gene_id\tgene_name\nENSG00000105369.11\tCD79A\nENSG00000290825.1\tENSG00000290825\n",
    ],
    ids=["without header", "with header"],
)
def test_gencode_gives_ids_alone(tmp_path, text):
    path = tmp_path / "genes.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    table = load_renames(path)
    assert dict(table.symbol_of) == {"ENSG00000105369": "CD79A"}
    assert len(table) == 0


def test_own_tables_and_joining(tmp_path, hgnc):
    path = tmp_path / "mine.tsv"
    path.write_text("old\tnew\nFAM65B\tOTHER\nA\tB\n")
    mine = load_renames(path)
    assert dict(mine.new) == {"FAM65B": {"OTHER"}, "A": {"B"}}
    both = mine | load_renames(hgnc)
    assert both.new["FAM65B"] == {"OTHER", "RIPOR2"}
    assert both.symbol_of["ENSG00000111913"] == "RIPOR2"
    assert len(Renames() | Renames()) == 0


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "genes.gtf"
    path.write_text("#!genome-build GRCh38\n")
    with pytest.raises(FileFormatError, match=r"genes.gtf is no table of gene names.*HGNC complete set"):
        load_renames(path)
