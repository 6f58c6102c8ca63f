"""Sound files that families damage: raw cells, a small model of them, an atlas and attributed cells of that model."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import damaged
from insignia.data import write_h5ad

__all__ = ["beside", "inside_cases", "raw_cells", "real_file", "small_model", "written"]

DATA = Path(os.environ.get("INSIGNIA_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real_file(relative: str) -> Path | None:
    """Find a file of the optional real data."""
    path = DATA / relative
    return path if path.is_file() else None


def raw_cells(n: int = 48, n_genes: int = 80, *, seed: int = 0) -> AnnData:
    """Make counts with layers, raw, categories, an embedding and the metadata that an atlas needs."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.6, 2.0, n_genes), (n, n_genes)).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame(
        {
            "study": "S1",
            "sample": [f"s{i % 4}" for i in range(n)],
            "donor": [f"d{i % 4}" for i in range(n)],
            "tissue": "blood",
            "disease": pd.Categorical([("normal", "sepsis")[i % 2] for i in range(n)]),
            "cell_type": pd.Categorical([("B cell", "monocyte", "T cell")[i % 3] for i in range(n)]),
            "score": rng.normal(size=n),
            "is_primary": rng.random(n) < 0.5,
        },
        index=[f"cell{i}" for i in range(n)],
    )
    var = pd.DataFrame({"symbol": [f"GENE{i}" for i in range(n_genes)]}, index=[f"GENE{i}" for i in range(n_genes)])
    adata = AnnData(sparse.csr_matrix(counts), obs=obs, var=var)
    adata.layers["dense"] = counts.copy()
    adata.obsm["X_pca"] = rng.normal(size=(n, 3))
    adata.uns["source"] = {"name": "made up", "numbers": np.arange(3)}
    adata.raw = adata.copy()
    return adata


def small_model(folder: Path) -> Path:
    """Train a tiny encoder of the genes of `raw_cells`, once."""
    from insignia import models

    if not folder.exists():
        options = models.TrainOptions(epochs=1)
        models.train(
            raw_cells(), labels="cell_type", output=folder, hidden=(16,), latent=8, options=options, show_progress=False
        )
    return folder


def written(adata: AnnData, path: Path) -> Path:
    """Write a h5ad file and give its path."""
    write_h5ad(adata, path)
    return path


def beside(original: Path, change: Callable[[Path], object], command: Callable[[Path], Sequence[str]]):
    """Copy a file or folder into the folder of a case, change the copy, and give the command on it: for `prepare`."""

    def prepare(folder: Path) -> Sequence[str]:
        path = folder / original.name
        if original.is_dir():
            shutil.copytree(original, path)
        else:
            shutil.copyfile(original, path)
        change(path)
        return command(path)

    return prepare


def inside_cases(
    original: Path, command: Callable[[Path], Sequence[str]], rng: np.random.Generator, amount: int
) -> Iterator[Case]:
    """Give cases that damage the bytes of some file below a folder."""
    files = sorted(path for path in original.rglob("*") if path.is_file())
    for number in range(amount):
        file = files[int(rng.integers(len(files)))]
        how, content = damaged(file.read_bytes(), rng)
        where = file.relative_to(original)

        def change(path: Path, where: Path = where, content: bytes = content) -> None:
            (path / where).write_bytes(content)

        yield Case(f"{command.__name__} {original.name}/{where} {number}: {how}", beside(original, change, command))
