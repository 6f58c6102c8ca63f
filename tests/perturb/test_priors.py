"""Priors from files: every form of an embedding, STRING, gene sets, coverage, and that missing is never zero."""

import gzip
import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer

from insignia.core.errors import DuplicateNames, FileFormatError, InputError, ModelFormatError, UnsafeCheckpoint
from insignia.data import Condition, GeneEmbedding, GeneNetwork, GenePriors, read_screen, simulate_screen
from insignia.genes import Renames
from insignia.perturb import (
    from_gene_sets,
    load_priors,
    match_priors,
    predictors,
    read_embedding,
    read_gene_sets,
    read_priors,
    read_string,
    save_priors,
)

GENES = ["KLF1", "NA", "SET"]
MATRIX = np.arange(1.0, 7.0, dtype=np.float32).reshape(3, 2)


def write(path, form):
    """Write GENES and MATRIX in one of the forms that are understood."""
    vectors = dict(zip(GENES, MATRIX, strict=True))
    table = pd.DataFrame(MATRIX, index=GENES, columns=["d0", "d1"])
    if form == "npz matrix":
        np.savez(path / "e.npz", genes=np.array(GENES), matrix=MATRIX)
    elif form == "npz vectors":
        np.savez(path / "e.npz", **vectors)
    elif form == "parquet":
        table.to_parquet(path / "e.parquet")
    elif form == "parquet lists":
        pd.DataFrame({"gene": GENES, "vector": list(MATRIX)}).to_parquet(path / "e.parquet")
    elif form == "csv":
        table.to_csv(path / "e.csv")
    elif form == "tsv.gz":
        table.reset_index(names="gene").assign(about="x").to_csv(path / "e.tsv.gz", sep="\t", index=False)
    elif form == "safetensors vectors":
        save_file(vectors, path / "e.safetensors")
    elif form == "safetensors matrix":
        save_file({"w": MATRIX}, path / "e.safetensors", metadata={"genes": json.dumps(GENES)})
    elif form == "pt vectors":
        torch.save({gene: torch.from_numpy(vector.copy()) for gene, vector in vectors.items()}, path / "e.pt")
    elif form == "pt matrix":
        torch.save({"genes": GENES, "embedding": torch.from_numpy(MATRIX)}, path / "e.pt")
    return next(path.iterdir())


FORMS = (
    "npz matrix", "npz vectors", "parquet", "parquet lists", "csv", "tsv.gz", "safetensors vectors",
    "safetensors matrix", "pt vectors", "pt matrix",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_embedding_says_the_same(form, tmp_path):
    found = read_embedding(write(tmp_path, form))
    values, known = found.rows(GENES)
    assert known.all()
    np.testing.assert_array_equal(values, MATRIX)
    assert found.source == next(tmp_path.iterdir()).name


def test_an_empty_vector_is_missing_and_never_zero(tmp_path):
    matrix = np.array([[1, 2], [0, 0], [np.nan, 1]])
    np.savez(tmp_path / "e.npz", genes=np.array(GENES), matrix=matrix)
    found = read_embedding(tmp_path / "e.npz")
    values, known = found.rows(GENES)
    assert known.tolist() == [True, False, False]
    assert np.isnan(values[1:]).all()
    assert "2 empty vectors left out (NA, SET)" in found.source


def test_a_pickle_is_never_opened(tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"KLF1": Runs()}, tmp_path / "e.pt")
    with pytest.raises(UnsafeCheckpoint, match="runs no code"):
        read_embedding(tmp_path / "e.pt")
    np.savez(tmp_path / "e.npz", genes=np.array([Runs()], dtype=object), matrix=MATRIX)
    with pytest.raises(FileFormatError, match="no npz of plain arrays"):
        read_embedding(tmp_path / "e.npz")
    (tmp_path / "f.pt").write_bytes(pickle.dumps({"KLF1": [1.0]}))
    with pytest.raises((UnsafeCheckpoint, ModelFormatError)):
        read_embedding(tmp_path / "f.pt")
    assert not (tmp_path / "ran").exists()


def test_what_says_not_which_vector_is_whose_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", left=MATRIX, right=MATRIX)
    with pytest.raises(FileFormatError, match=r"it holds left \(3, 2\), right \(3, 2\)"):
        read_embedding(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", rows=np.array(GENES), left=MATRIX, right=2 * MATRIX)
    np.testing.assert_array_equal(read_embedding(tmp_path / "b.npz", names="rows", matrix="right").matrix, 2 * MATRIX)
    with pytest.raises(FileFormatError, match="does not say"):
        read_embedding(tmp_path / "b.npz", names="rows", matrix="middle")
    np.savez(tmp_path / "c.npz", genes=np.array(GENES[:2]), matrix=MATRIX)
    with pytest.raises(FileFormatError, match="2 names and an array"):
        read_embedding(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", genes=np.array(["A", "A", "B"]), matrix=MATRIX)
    with pytest.raises(DuplicateNames, match=r"1 genes, e.g. \['A'\]"):
        read_embedding(tmp_path / "d.npz")
    pd.DataFrame({"first": GENES, "second": GENES, "d": [1.0, 2, 3]}).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(FileFormatError, match="has 2 of text: first, second"):
        read_embedding(tmp_path / "e.csv")
    assert read_embedding(tmp_path / "e.csv", names="second").genes == tuple(GENES)
    with pytest.raises(FileFormatError, match="unknown kind"):
        read_embedding(tmp_path / "e.pkl")


LINKS = """protein1 protein2 combined_score
9606.P1 9606.P2 900
9606.P2 9606.P1 900
9606.P1 9606.P3 650
9606.P3 9606.P4 999
9606.P4 9606.P3 999
9606.P4 9606.P4 999
9606.P9 9606.P1 800
9606.P5 9606.P2 950
"""
INFO = """#string_protein_id\tpreferred_name\tprotein_size\tannotation
9606.P1\tKLF1\t10\tsays "quoted
9606.P2\tNA\t10\tx
9606.P3\tSET\t10\tx
9606.P4\tMYC\t10\tx
9606.P5\tKLF1\t10\ta second protein of KLF1
"""


@pytest.fixture
def string(tmp_path):
    links, info = tmp_path / "9606.protein.links.v12.0.txt.gz", tmp_path / "info.txt"
    links.write_bytes(gzip.compress(LINKS.encode()))
    info.write_text(INFO)
    return links, info


def test_string_gives_a_symmetric_network_of_genes(string):
    found = read_string(*string)
    assert found.genes == ("KLF1", "MYC", "NA", "SET")
    expected = np.zeros((4, 4))
    expected[0, 2] = expected[2, 0] = 0.95
    expected[1, 3] = expected[3, 1] = 0.999
    np.testing.assert_allclose(found.adjacency.toarray(), expected, rtol=1e-6)
    assert "1 links of unlisted proteins left out" in found.source
    weaker = read_string(*string, min_score=600)
    assert weaker.adjacency[0, 3] == pytest.approx(0.65)
    assert read_string(*string, genes=["SET", "MYC", "none"]).genes == ("MYC", "SET")


def test_files_that_are_not_of_string_are_refused(string, tmp_path):
    links, info = string
    with pytest.raises(FileFormatError, match="no protein info of STRING"):
        read_string(links, links)
    with pytest.raises(FileFormatError, match="no file of links"):
        read_string(info, info)
    with pytest.raises(InputError, match="0 to 1,000"):
        read_string(links, info, min_score=2000)
    other = tmp_path / "mouse.txt"
    other.write_text(INFO.replace("9606", "10090"))
    with pytest.raises(FileFormatError, match="same version and organism"):
        read_string(links, other)
    with pytest.raises(InputError, match="needs both files"):
        read_priors(string_links=links)


def test_genes_that_share_sets_are_near_and_the_result_is_the_same_every_time():
    rng = np.random.default_rng(0)
    group = {f"G{i}": i // 10 for i in range(40)}
    sets = {
        f"s{k}": [g for g, own in group.items() if rng.random() < (0.5 if own == k % 4 else 0.05)] for k in range(60)
    }
    found = from_gene_sets(sets, n_dimensions=8)
    np.testing.assert_allclose(np.linalg.norm(found.matrix, axis=1), 1, rtol=1e-5)
    own = np.array([group[gene] for gene in found.genes])
    nearness = found.matrix @ found.matrix.T
    same = own[:, None] == own[None]
    assert nearness[same & ~np.eye(len(own), dtype=bool)].mean() > nearness[~same].mean() + 0.3
    turned = {name: members[::-1] for name, members in reversed(sets.items())}
    again = from_gene_sets(turned, n_dimensions=8)
    assert again.genes == found.genes
    np.testing.assert_allclose(again.matrix, found.matrix, atol=1e-4)
    assert "gene sets, 60 sets" in found.source


def test_the_embedding_is_the_one_that_scikit_learn_gives():
    """Oracle: its weights by rarity, and a dense singular value decomposition."""
    rng = np.random.default_rng(1)
    member = rng.random((30, 12)) < np.linspace(0.1, 0.6, 12)
    member[:3] = True
    names = np.array([f"G{i:02d}" for i in range(30)])
    found = from_gene_sets({f"s{k}": names[member[:, k]].tolist() for k in range(12)}, n_dimensions=5)
    weighted = TfidfTransformer().fit_transform(member[member.any(axis=1)].astype(float)).toarray()
    left, size, _ = np.linalg.svd(weighted, full_matrices=False)
    expected = left[:, :5] * size[:5]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert found.genes == tuple(names[member.any(axis=1)])
    np.testing.assert_allclose(found.matrix @ found.matrix.T, expected @ expected.T, atol=1e-5)


def test_sets_of_other_sizes_are_left_out():
    sets = {"small": ["A", "B"], "one": ["A", "B", "C"], "two": ["B", "C", "D"], "large": [f"X{i}" for i in range(9)]}
    assert from_gene_sets(sets, max_size=8).genes == ("A", "B", "C", "D")
    with pytest.raises(InputError, match="at least two sets"):
        from_gene_sets({"one": ["A", "B", "C"]})


def test_sets_of_one_name_in_two_files_must_agree(tmp_path):
    (tmp_path / "a.gmt").write_text("S\t\tA\tB\n")
    (tmp_path / "b.gmt").write_text("S\t\tB\tA\nT\t\tC\tD\n")
    (tmp_path / "c.gmt").write_text("S\t\tA\tC\n")
    assert set(read_gene_sets(tmp_path / "a.gmt", tmp_path / "b.gmt")) == {"S", "T"}
    with pytest.raises(FileFormatError, match="other sets of the names S"):
        read_gene_sets(tmp_path / "a.gmt", tmp_path / "c.gmt")


def full_priors():
    network = csr_matrix(np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], dtype=np.float32))
    return GenePriors(
        embedding=GeneEmbedding(("A", "B"), np.array([[1, 2], [3, 4]], dtype=np.float32), "by hand"),
        gene_embedding=GeneEmbedding(("X",), np.ones((1, 3), dtype=np.float32)),
        network=GeneNetwork(("A", "B", "C"), network, "by hand"),
        gene_sets={"s": ("A", "é")},
    )


def test_saved_priors_come_back_and_a_changed_byte_is_found(tmp_path):
    save_priors(full_priors(), tmp_path / "p")
    found, made = load_priors(tmp_path / "p"), full_priors()
    for name in ("embedding", "gene_embedding"):
        ours, theirs = getattr(made, name), getattr(found, name)
        assert (theirs.genes, theirs.source) == (ours.genes, ours.source)
        np.testing.assert_array_equal(theirs.matrix, ours.matrix)
    assert (found.network.adjacency != made.network.adjacency).nnz == 0
    assert found.gene_sets == {"s": ("A", "é")}
    save_priors(GenePriors(), tmp_path / "empty")
    assert load_priors(tmp_path / "empty").embedding is None
    with pytest.raises(InputError, match="something at"):
        save_priors(made, tmp_path / "p")
    record = tmp_path / "p" / "priors.json"
    text = record.read_text()
    record.write_text(text.replace('"by hand"', '"by hands"', 1))
    with pytest.raises(FileFormatError, match="own sha256"):
        load_priors(tmp_path / "p")
    record.write_text(text)
    arrays = tmp_path / "p" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x01")
    with pytest.raises(FileFormatError, match=r"arrays.safetensors is missing or was changed"):
        load_priors(tmp_path / "p")
    with pytest.raises(FileFormatError, match=r"holds no priors.json"):
        load_priors(tmp_path)


def test_coverage_is_reported_and_old_names_and_ids_are_found():
    screen = simulate_screen(n_genes=10, n_programs=4, n_perturbations=3, n_doubles=0, n_controls=4, rng=0)
    ids = ("ENSG00000000001", "OLD2", "OTHER")
    priors = GenePriors(
        embedding=GeneEmbedding(ids, np.eye(3, dtype=np.float32)),
        network=GeneNetwork(("GENE0001", "OLDG"), csr_matrix(np.array([[0, 1], [1, 0]], dtype=np.float32))),
        gene_sets={"s": ("GENE0003", "OLDG")},
    )
    renames = Renames({"OLD2": frozenset({"PERT002"}), "OLDG": frozenset({"GENE0002"})}, {"ENSG00000000001": "PERT001"})
    found = match_priors(priors, screen.data, renames=renames)
    assert found.priors.embedding.genes == ("PERT001", "PERT002", "OTHER")
    np.testing.assert_array_equal(found.priors.embedding.rows(["PERT002"])[0], [[0, 1, 0]])
    assert found.priors.network.genes == ("GENE0001", "GENE0002")
    assert found.priors.gene_sets == {"s": ("GENE0003", "GENE0002")}
    row = found.table.loc["embedding"]
    assert (row["asked"], row["found"], row["missing"], row["not_found"]) == (3, 2, 1, "PERT003")
    assert "1 missing: PERT003" in str(found)
    values, known = found.priors.embedding.rows(["PERT003"])
    assert not known.any()
    assert np.isnan(values).all()


def test_a_screen_with_real_gene_sets(real_data):
    names = ("c2.cp.reactome.v7.5.1.symbols", "enrichr.GO_Biological_Process_2021", "h.all.v7.0.symbols")
    priors = read_priors(gene_sets=[real_data(f"genesets/{name}.gmt") for name in names])
    assert priors.embedding.matrix.shape == (15365, 64)
    papalexi = read_screen(real_data("perturb/papalexi2021_dev.h5ad"), control="non-targeting")
    assert match_priors(priors, papalexi).table.loc["embedding", "found"] == 20
    norman = read_screen(
        real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad"), control="control", where={"dataset": "norman19"}
    )
    table = match_priors(priors, norman).table.loc["embedding"]
    assert (table["asked"], table["found"], table["not_found"]) == (28, 27, "IER5L")
    lost = Condition.of(["IER5L"])
    lenient = predictors["ridge_embedding"](on_missing="mean").fit(norman.without([lost]), priors=priors)
    assert lenient.effect(lost, "k562").status == "fallback"
    assert np.abs(lenient.effect(lost, "k562").delta).max() > 0.01


def test_a_torch_file_of_bfloat16_is_read(tmp_path):
    buffer = io.BytesIO()
    torch.save({gene: torch.ones(2, dtype=torch.bfloat16) * i for i, gene in enumerate(GENES, 1)}, buffer)
    (tmp_path / "e.pt").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_embedding(tmp_path / "e.pt").matrix[2], [3, 3])
