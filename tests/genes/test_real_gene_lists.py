import anndata as ad
import numpy as np
import pandas as pd
import pytest

from insignia.genes import GeneVocabulary, Renames, load_renames, read_gmt, score, signature, write_gmt

NONE = Renames()
RIPOR2_ONLY = Renames({"FAM65B": frozenset({"RIPOR2"})})


@pytest.fixture
def scimilarity(real_data):
    return GeneVocabulary.from_names(real_data("fm_formats/scimilarity/gene_order.tsv").read_text().split("\n"))


@pytest.fixture
def scfoundation(real_data):
    path = real_data("fm_formats/scfoundation/OS_scRNA_gene_index.19264.tsv")
    return GeneVocabulary.from_names(pd.read_csv(path, sep="\t", keep_default_na=False)["gene_name"])


def test_bundled_ms1_is_the_circulated_list(real_data):
    assert signature("MS1").genes == tuple(real_data("genesets/MS1.txt").read_text().split())


def test_ms1_in_scimilarity(scimilarity):
    assert len(scimilarity) == len(set(scimilarity.symbols)) == 28_231
    assert scimilarity.organism == "human"
    assert signature("MS1").match(scimilarity, renames=NONE).n_found == 86
    match = signature("MS1").match(scimilarity)
    assert match.n_found == 87
    assert match.renamed == {"FAM65B": "RIPOR2"}
    assert match.summary("MS1").startswith("MS1: 86 of 99 by name, 1 renamed (FAM65B -> RIPOR2), 12 missing: ")


def test_ms1_in_scfoundation(scfoundation):
    assert len(scfoundation) == len(set(scfoundation.symbols)) == 19_264
    assert signature("MS1").match(scfoundation, renames=NONE).n_found == 79
    match = signature("MS1").match(scfoundation)
    assert match.n_found == 81
    assert match.renamed == {"FAM65B": "RIPOR2", "C19orf35": "PEAK3"}


@pytest.mark.parametrize("name", ["TIS", "CYT", "TLS12", "IFN_I", "bacterial_viral_7", "housekeeping", "AT1"])
def test_the_other_signatures_are_complete_in_both(name, scimilarity, scfoundation):
    for vocabulary in (scimilarity, scfoundation):
        assert signature(name).match(vocabulary, renames=NONE).coverage == 1


@pytest.mark.parametrize(
    ("file", "by_name", "with_ripor2", "renamed"),
    [
        ("pbmc_5k_protein_v3", 81, 82, {"FAM65B": "RIPOR2", "C19orf35": "PEAK3"}),
        ("lungT_zilionis_ucell_600x20729_lognorm", 85, 86, {"FAM65B": "RIPOR2", "C19orf35": "PEAK3"}),
        ("kang2018_harmony_2000x9015", 57, 57, {"MCEMP1": "C19orf59", "ADGRG3": "GPR97"}),
        ("hnscc_puram_chetah_180x7943", 48, 48, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
def test_ms1_in_data(real_data, file, by_name, with_ripor2, renamed):
    vocabulary = GeneVocabulary.from_var(ad.read_h5ad(real_data(f"scrna/{file}.h5ad"), backed="r").var)
    assert signature("MS1").match(vocabulary, renames=NONE).n_found == by_name
    assert signature("MS1").match(vocabulary, renames=RIPOR2_ONLY).n_found == with_ripor2
    match = signature("MS1").match(vocabulary)
    assert match.renamed == renamed
    assert match.n_found == by_name + len(renamed)


def test_joined_names_and_symbol_columns_of_muscat(real_data):
    joined = GeneVocabulary.from_var(ad.read_h5ad(real_data("scrna/kang2018_muscat_example_1556x1267.h5ad")).var)
    assert "CD79A" in joined.symbols
    assert joined.ids[list(joined.symbols).index("CD79A")] == "ENSG00000105369"
    columns = GeneVocabulary.from_var(ad.read_h5ad(real_data("scrna/kang2018_muscat_ctrl_8684x2511.h5ad")).var)
    assert columns.ids.astype(bool).all()
    assert (columns.symbols == "").sum() == 23  # so they stand in the file
    assert columns.by_symbol.several == {}
    assert signature("MS1").match(columns, renames=NONE).n_found == 28


def test_a_model_of_ids_is_reached_through_gencode(real_data, scimilarity):
    model = GeneVocabulary.from_var(ad.read_h5ad(real_data("fm_formats/nicheformer/model.h5ad")).var)
    assert signature("MS1").match(model).n_found == 0
    table = load_renames(real_data("fm_formats/gencode/genes_homo_sapiens.csv.gz"))
    assert signature("IFN_I").match(model, renames=table).coverage == 1
    assert signature("MS1").match(model, renames=table).n_found > 70


@pytest.mark.parametrize("file", ["h.all.v7.0.symbols.gmt", "c2.cp.reactome.v7.5.1.symbols.gmt"])
def test_msigdb_files_survive_a_round_trip(real_data, tmp_path, file):
    sets = read_gmt(real_data(f"genesets/{file}"))
    write_gmt(sets, tmp_path / "again.gmt")
    assert read_gmt(tmp_path / "again.gmt") == sets


def test_enrichr_files_with_an_empty_second_column(real_data):
    assert len(read_gmt(real_data("genesets/enrichr.GO_Biological_Process_2021.gmt"), organism="human")) == 6_036


def test_interferon_separates_stimulated_cells(real_data):
    adata = ad.read_h5ad(real_data("scrna/kang2018_harmony_2000x9015.h5ad"))
    counts = adata.X.astype(np.float64)
    log1p = counts.multiply(1e4 / counts.sum(axis=1)).tocsr().log1p()
    ifn = signature("IFN_I")
    match = ifn.match(GeneVocabulary.from_var(adata.var))
    found = score(log1p, match, ifn.weight_array)
    is_stim = (adata.obs["condition"] == "stim").to_numpy()
    assert match.coverage == 1
    assert np.mean(found[is_stim][:, None] > found[~is_stim][None, :]) > 0.95
    isg15 = log1p[:, list(adata.var_names).index("ISG15")].toarray().ravel()
    assert isg15[~is_stim].mean() == pytest.approx(0.55, abs=0.01)
    assert isg15[is_stim].mean() == pytest.approx(4.45, abs=0.01)
