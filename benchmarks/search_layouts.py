"""The layouts that `benchmarks.search` times: simulated data, each way to write them, and each way to search them."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.settings import cache_dir, num_threads
from insignia.data import AttributionRecord
from insignia.genes import GeneVocabulary

N_GENES, N_STUDIES, VALUES_PER_CELL, QUERY, SEED = 28_231, 40, 1_000, 86, 7
FRAGMENT = 25_000
THREADS = num_threads()


@dataclass(frozen=True)
class Setting:
    """Size of the data and number of repeats."""

    cells: int
    repeats: int
    n_genes: int = N_GENES
    studies: int = N_STUDIES
    values_per_cell: int = VALUES_PER_CELL
    query: int = QUERY
    seed: int = SEED


class Data:
    """Attributions of many studies: detection differs between genes by orders of magnitude, as in real cells."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        rng = np.random.default_rng(setting.seed)
        rate = rng.lognormal(-1.0, 2.2, setting.n_genes)
        # the scale at which the capped rates add up to the wanted values a cell
        low, high = 0.0, 1e3
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if np.minimum(rate * middle, 0.95).sum() < setting.values_per_cell else (low, middle)
            )
        self.rate = np.minimum(rate * high, 0.95)

    @cached_property
    def genes(self) -> GeneVocabulary:
        """Gene table."""
        return GeneVocabulary.from_names([f"GENE{i}" for i in range(self.setting.n_genes)], organism="human")

    @cached_property
    def query(self) -> list[str]:
        """Genes of the signature: drawn by how often they are detected, as markers are."""
        rng = np.random.default_rng(self.setting.seed + 1)
        share = self.rate / self.rate.sum()
        return [f"GENE{i}" for i in rng.choice(self.setting.n_genes, self.setting.query, replace=False, p=share)]

    def study(self, number: int) -> sparse.csr_matrix:
        """Attributions of one study, rows scaled to 1,000."""
        cells = self.setting.cells // self.setting.studies
        rng = np.random.default_rng([self.setting.seed, number])
        rate = np.minimum(self.rate * rng.lognormal(0, 0.3, self.rate.size), 0.98).astype(np.float32)
        flags = [np.flatnonzero(rng.random((64, rate.size), dtype=np.float32) < rate) for _ in range(-(-cells // 64))]
        flat = np.concatenate([one + 64 * rate.size * i for i, one in enumerate(flags)])
        rows, columns = np.divmod(flat, rate.size)
        keep = rows < cells
        rows, columns = rows[keep], columns[keep].astype(np.int32)
        values = rng.standard_gamma(0.8, rows.size, dtype=np.float32) + np.float32(1e-3)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=cells))])
        values *= np.repeat((1000 / np.add.reduceat(values, indptr[:-1])).astype(np.float32), np.diff(indptr))
        return sparse.csr_matrix((values, columns, indptr), shape=(cells, rate.size))

    def record(self) -> AttributionRecord:
        """Tell how the attributions would have been made."""
        return AttributionRecord(
            "simulated", "0" * 64, self.genes.sha256, "integrated_gradients", "self", "zero", 50, "absolute", 1000.0,
            "counts", "0",
        )  # fmt: skip

    def adata(self, number: int, matrix: sparse.csr_matrix) -> AnnData:
        """One study as attributed cells."""
        cells = matrix.shape[0]
        index = [f"{number:02d}{i:014d}" for i in range(cells)]
        obs = pd.DataFrame(
            {
                "study": f"study{number}",
                "sample": [f"sample{i % 12}" for i in range(cells)],
                "donor": [f"donor{i % 6}" for i in range(cells)],
                "tissue": "blood",
                "disease": "sepsis" if number % 2 else "normal",
                "cell_type": [f"type{i % 20}" for i in range(cells)],
            },
            index=index,
        )
        var = pd.DataFrame({keys.gene_index(): np.arange(matrix.shape[1], dtype=np.int32)}, index=self.genes.labels)
        adata = AnnData(obs=obs, var=var, layers={keys.ATTRIBUTION: matrix})
        adata.uns[keys.ATTRIBUTION] = self.record().to_dict()
        return adata


class Folder:
    """What is kept between runs of one setting."""

    def __init__(self, data: Data) -> None:
        self.data, setting = data, data.setting
        self.path = cache_dir() / "benchmarks" / f"search-{setting.cells}-{setting.seed}"
        self.notes_path = self.path / "notes.json"
        self.notes: dict[str, float] = {}
        if self.notes_path.exists() and json.loads(self.notes_path.read_text()).get("setting") == asdict(setting):
            self.notes = json.loads(self.notes_path.read_text())["notes"]
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)

    def keep(self, **notes: float) -> None:
        """Remember what writing cost."""
        self.notes.update(notes)
        self.notes_path.write_text(json.dumps({"setting": asdict(self.data.setting), "notes": self.notes}))

    def studies(self) -> Iterator[sparse.csr_matrix]:
        """All studies, one after another."""
        for number in range(self.data.setting.studies):
            yield self.data.study(number)


# --------------------------------------------------------------------------------------------------------------------
# The three stores


def write_atlas(folder: Folder, encoding: str = "fast", name: str = "atlas") -> None:
    """Add all studies in one call, from memory."""
    path = folder.path / name
    shutil.rmtree(path, ignore_errors=True)
    atlas = Atlas.create(path, genes=folder.data.genes, record=folder.data.record(), encoding=encoding)
    sources = [folder.data.adata(number, matrix) for number, matrix in enumerate(folder.studies())]
    warm = Atlas.create(folder.path / "warm", genes=folder.data.genes, record=folder.data.record())
    warm.add(sources[0][:5].copy())
    shutil.rmtree(folder.path / "warm")
    began = time.perf_counter()
    atlas.add(sources, progress=False)
    folder.keep(**{f"{name}_s": time.perf_counter() - began})


def write_compact(folder: Folder) -> None:
    """Add all studies to an atlas of the compact encoding."""
    write_atlas(folder, "compact", "compact")


def write_columns(folder: Folder) -> None:
    """Write a plain CSC matrix: 32-bit cell numbers, 32-bit values, 64-bit column starts."""
    matrix = sparse.vstack(list(folder.studies()), format="csr")
    n_cells = matrix.shape[0]
    matrix = matrix.tocsc()
    for name, array in (("indices", matrix.indices.astype(np.int32)), ("data", matrix.data), ("indptr", matrix.indptr)):
        np.save(folder.path / f"csc-{name}.npy", array.astype(np.int64) if name == "indptr" else array)
    folder.keep(columns=1, cells=n_cells, values=int(matrix.nnz))


def write_tiledb(folder: Folder) -> None:
    """Write the published layout: column-major sparse array, gzip, fragments of 25,000 rows, consolidated."""
    import tiledb

    path = str(folder.path / "tiledb")
    shutil.rmtree(path, ignore_errors=True)
    setting = folder.data.setting
    n_cells = setting.cells // setting.studies * setting.studies
    domain = tiledb.Domain(
        tiledb.Dim(name="x", domain=(0, n_cells - 1), dtype=np.uint32),
        tiledb.Dim(name="y", domain=(0, setting.n_genes - 1), dtype=np.uint32),
    )
    values = tiledb.Attr(name="vals", dtype=np.float32, filters=tiledb.FilterList([tiledb.GzipFilter()]))
    schema = tiledb.ArraySchema(
        domain=domain, attrs=[values], sparse=True, cell_order="col-major", tile_order="col-major"
    )
    tiledb.Array.create(path, schema)
    seconds, rows, waiting = 0.0, 0, []
    for matrix in folder.studies():
        waiting.append(matrix)
        if sum(one.shape[0] for one in waiting) >= FRAGMENT:
            seconds += _write_fragment(path, waiting, rows)
            rows += sum(one.shape[0] for one in waiting)
            waiting = []
    seconds += _write_fragment(path, waiting, rows) if waiting else 0.0
    began = time.perf_counter()
    config = tiledb.Config({"sm.mem.total_budget": str(4 * 2**30)})
    tiledb.consolidate(path, config=config)
    tiledb.vacuum(path)
    folder.keep(tiledb_write_s=seconds, tiledb_s=seconds + time.perf_counter() - began)


def _write_fragment(path: str, matrices: list[sparse.csr_matrix], first: int) -> float:
    import tiledb

    # coordinates in the order of the array, which spares it most of the sorting
    block = sparse.vstack(matrices, format="csr").tocsc()
    rows = (block.indices + first).astype(np.uint32)
    columns = np.repeat(np.arange(block.shape[1], dtype=np.uint32), np.diff(block.indptr))
    began = time.perf_counter()
    with tiledb.open(path, "w") as array:
        array[rows, columns] = block.data
    return time.perf_counter() - began


# --------------------------------------------------------------------------------------------------------------------
# The three searches, each from gene names to a score for every cell


class AtlasSearch:
    """Through the public interface."""

    def __init__(self, folder: Folder, name: str = "atlas") -> None:
        self.path, self.query = folder.path / name, folder.data.query
        self.atlas = Atlas.open(self.path)

    def __call__(self) -> np.ndarray:
        """Score all cells."""
        return self.atlas.search(self.query).scores


class ColumnSearch:
    """The limit of a plain layout: one compiled pass over the genes' columns, nothing else."""

    def __init__(self, folder: Folder) -> None:
        self.path = folder.path
        self.indptr, self.indices, self.data = (
            np.load(folder.path / f"csc-{name}.npy", mmap_mode="r").view(np.ndarray)
            for name in ("indptr", "indices", "data")
        )
        self.position = {name: i for i, name in enumerate(folder.data.genes.labels)}
        self.query, self.n_cells = folder.data.query, int(folder.notes["cells"])

    def __call__(self) -> np.ndarray:
        """Score all cells."""
        scores = np.zeros(self.n_cells, dtype=np.float32)
        positions = np.array([self.position[name] for name in self.query])
        add_columns(self.indptr, self.indices, self.data, positions, scores)
        return scores / np.float32(positions.size)


@numba.njit(nogil=True)
def add_columns(indptr: Any, indices: Any, data: Any, positions: Any, scores: Any) -> None:
    """Add the values of some columns."""
    for k in range(positions.size):
        for i in range(indptr[positions[k]], indptr[positions[k] + 1]):
            scores[indices[i]] += data[i]


class TileSearch:
    """Read the genes' columns from the array, then add them up."""

    def __init__(self, folder: Folder) -> None:
        import tiledb

        self.path = folder.path / "tiledb"
        self.array = tiledb.open(str(self.path))
        self.position = {name: i for i, name in enumerate(folder.data.genes.labels)}
        self.query, self.n_cells = folder.data.query, int(folder.notes["cells"])

    def __call__(self) -> np.ndarray:
        """Score all cells."""
        found = self.array.multi_index[:, sorted(self.position[name] for name in self.query)]
        return np.bincount(found["x"], weights=found["vals"], minlength=self.n_cells) / len(self.query)


# --------------------------------------------------------------------------------------------------------------------
# Timing
