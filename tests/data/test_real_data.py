"""Real files are told apart as their description says, and messages point to what can be used."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from insignia.core.errors import InputSpaceError, MissingMetadata
from insignia.data import Expression, read, standardise_obs

HARMONY = "scrna/kang2018_harmony_2000x9015.h5ad"
MUSCAT = "scrna/kang2018_muscat_ctrl_8684x2511.h5ad"
OLIGODENDROGLIOMA = "scrna/oligodendroglioma_infercnv/oligodendroglioma_expression_downsampled.counts.matrix.gz"


@pytest.mark.parametrize("backed", [True, False])
@pytest.mark.parametrize(
    ("path", "space"),
    [
        (HARMONY, "counts"),
        ("scrna/kang2018_muscat_example_1556x1267.h5ad", "counts"),
        (MUSCAT, "counts"),
        ("scrna/pbmc_5k_protein_v3.h5ad", "counts"),
        ("scrna/pbmc10x_symphony_1500x1764_lognorm.h5ad", "log1p"),
        ("scrna/lungT_zilionis_ucell_600x20729_lognorm.h5ad", "log1p"),
        ("scrna/scimilarity_test.h5ad", "log1p"),
        ("scrna/scmix_sc_celseq2.h5ad", "counts"),
    ],
)
def test_spaces_of_real_files(real_data, path, space, backed):
    adata = read(real_data(path), backed=backed)
    expression = Expression.from_adata(adata)
    assert expression.space == space
    assert expression.genes.organism == "human"
    assert expression.block(0, 50).matrix.shape == (50, adata.n_vars)


def test_backed_equals_memory_on_real_data(real_data):
    path = real_data(MUSCAT)
    in_memory, backed = (Expression.from_adata(read(path, backed=backed)) for backed in (False, True))
    for (_, one), (_, two) in zip(in_memory.blocks(3000), backed.blocks(3000), strict=True):
        assert (one.matrix != two.matrix).nnz == 0


def test_scaled_pbmc68k_is_pointed_at_raw(real_data):
    adata = read(real_data("scrna/pbmc68k_reduced.h5ad"))
    with pytest.raises(InputSpaceError, match=r"scaled or centred.*adata\.raw holds log1p: pass adata\.raw\.to_adata"):
        Expression.from_adata(adata)
    assert Expression.from_adata(adata.raw.to_adata()).space == "log1p"
    counts = np.load(real_data("scrna/pbmc68k_reduced_counts.npy"), allow_pickle=False)
    adata.layers["umi"] = counts
    with pytest.raises(InputSpaceError, match="layer 'umi' holds counts: pass layer='umi'"):
        Expression.from_adata(adata)
    assert Expression.from_adata(adata, layer="umi").space == "counts"


def test_scimilarity_layer_of_counts(real_data):
    assert Expression.from_adata(read(real_data("scrna/scimilarity_test.h5ad")), layer="counts").space == "counts"


def test_hnscc_is_neither(real_data):
    adata = read(real_data("scrna/hnscc_puram_chetah_180x7943.h5ad"))
    with pytest.raises(
        InputSpaceError, match=r"neither counts .* nor log1p .*\(max 15\.57, possible 9\.21\): TPM, CPM"
    ):
        Expression.from_adata(adata)
    assert Expression.from_adata(adata, input_space="log1p").space == "log1p"
    with pytest.raises(InputSpaceError, match="already log-normalised"):
        Expression.from_adata(adata, input_space="counts")


def test_a_file_named_counts_that_holds_none(real_data):
    frame = pd.read_csv(real_data(OLIGODENDROGLIOMA), sep="\t", index_col=0).T
    adata = AnnData(sparse.csr_matrix(frame.to_numpy(np.float32)), obs=frame[[]], var=frame.T[[]])
    with pytest.raises(InputSpaceError, match=r"neither counts .* nor log1p"):
        Expression.from_adata(adata)
    with pytest.raises(InputSpaceError, match=r"holds non-integers .* but is taken as counts"):
        Expression.from_adata(adata, input_space="counts")


def test_kang_metadata(real_data):
    obs = read(real_data(HARMONY)).obs
    with pytest.raises(MissingMetadata, match="obs lacks study, sample, tissue, disease"):
        standardise_obs(obs)
    table = standardise_obs(
        obs, columns={"condition": "sample"}, constants={"study": "Kang2018", "tissue": "blood", "disease": "lupus"}
    )
    assert len(table) == 2000
    assert (table["cell_type"] == "unknown").sum() == 2000 - 954 - 59
    assert table["sample"].value_counts().to_dict() == {"ctrl": 1000, "stim": 1000}
