"""What hypothesis draws: cells of odd kinds, signatures, attributed studies and small atlases."""

import numpy as np
import pandas as pd
from anndata import AnnData
from benchmarks.attack.atlas_cells import N_GENES, cells
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from scipy import sparse

__all__ = ["FEW", "QUICK", "STORED", "adatas", "metadata", "signatures", "stored", "studies", "texts"]

QUICK = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
#: Where each example builds atlases on disk, so that making a failure smaller would take minutes.
FEW = settings(QUICK, max_examples=3, phases=[Phase.explicit, Phase.generate])

#: Ways to hold one matrix.
STORED = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "dense": lambda values: np.ascontiguousarray(values),
    "by columns": lambda values: np.asfortranarray(values),
}

#: Texts of one line that HDF5, Parquet and JSON all hold: no NUL, no lone surrogates, no line breaks, no blanks around.
texts = (
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)

SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9]{1,6}(-[A-Z0-9]{1,3}|\.[0-9])?", fullmatch=True)
ENSEMBL = st.integers(0, 10**6).map(lambda i: f"ENSG{i:011d}")
VERSIONED = st.tuples(ENSEMBL, st.integers(1, 20)).map(lambda pair: f"{pair[0]}.{pair[1]}")


def stored(values, how):
    """One matrix, held in one of the ways."""
    return STORED[how](values)


@st.composite
def columns(draw, n):
    """A column of metadata: texts, categories with some that are unused, missing values, numbers, truth values."""
    kind = draw(st.sampled_from(["texts", "categories", "floats", "integers", "booleans"]))
    if kind == "texts":
        return np.array(draw(st.lists(texts, min_size=n, max_size=n)), dtype=object)
    if kind == "categories":
        known = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
        codes = draw(st.lists(st.integers(-1, len(known) - 1), min_size=n, max_size=n))
        return pd.Categorical.from_codes(codes, [*known, "never used, and so not there"])
    if kind == "floats":
        return np.array(draw(st.lists(st.floats(width=32), min_size=n, max_size=n)), dtype=np.float32)
    if kind == "integers":
        return np.array(draw(st.lists(st.integers(-(2**40), 2**40), min_size=n, max_size=n)), dtype=np.int64)
    return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool)


@st.composite
def metadata(draw, n):
    """A table of up to three columns under odd names; a slash would be a folder in HDF5."""
    names = draw(st.lists(texts.filter(lambda name: "/" not in name and name != "_index"), max_size=3, unique=True))
    return pd.DataFrame(
        {name: draw(columns(n)) for name in names}, index=[f"cell {i}" for i in range(n)]
    )  # fmt: skip


@st.composite
def adatas(draw, *, max_cells=8, max_genes=7):
    """Counts in some form and number type, with empty cells and genes; layers, raw, an embedding, odd metadata."""
    n_cells, n_genes = draw(st.integers(1, max_cells)), draw(st.integers(1, max_genes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = rng.poisson(1.5, (n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.7)
    counts[:, rng.random(n_genes) < 0.2] = 0
    values = counts.astype(draw(st.sampled_from(["float32", "float64", "int32", "int64", "uint8"])))
    kind = draw(st.sampled_from([SYMBOLS, ENSEMBL, VERSIONED, texts]))
    genes = draw(st.lists(kind, min_size=n_genes, max_size=n_genes, unique=True))
    adata = AnnData(
        stored(values, draw(st.sampled_from(sorted(STORED)))),
        obs=draw(metadata(n_cells)),
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
    )
    if draw(st.booleans()):
        adata.layers["counts"] = stored(values, draw(st.sampled_from(sorted(STORED))))
    if draw(st.booleans()):
        adata.raw = adata.copy()
    if draw(st.booleans()):
        adata.obsm["X_any"] = rng.normal(size=(n_cells, 2))
    return adata


@st.composite
def signatures(draw, *, max_genes=6, signs=True):
    """Weights of some of the genes of `atlas_cells`, negative ones too, none of them 0 and never all cancelled."""
    places = draw(st.lists(st.integers(0, N_GENES - 1), min_size=1, max_size=max_genes, unique=True))
    sizes = st.integers(1, 16).map(lambda i: i / 4)
    sign = st.sampled_from([1, 1, -1] if signs else [1])
    return {f"GENE{i}": draw(sizes) * draw(sign) for i in dict.fromkeys([N_GENES - 1, *places])}


@st.composite
def studies(draw, *, max_studies=3):
    """Attributed studies of some cells, each of which measured some of the model's genes in an order of its own."""
    made = []
    for number in range(draw(st.integers(1, max_studies))):
        seed = draw(st.integers(0, 2**16))
        rng = np.random.default_rng(seed)
        n_measured = draw(st.integers(N_GENES // 2, N_GENES - 1))
        # the last gene is measured everywhere, and stands in every signature
        genes = rng.permutation(np.append(rng.permutation(N_GENES - 1)[:n_measured], N_GENES - 1))
        made.append(cells(f"S{number + 1}", draw(st.integers(2, 14)), seed=seed, genes=genes))
    return made
