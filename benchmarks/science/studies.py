"""The public studies, with one set of names for cell types, and pairs of them that never share a donor."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from benchmarks.parts import real
from insignia.data import Expression
from insignia.models.preprocessing import log_normalise

NAMES: Final = {
    "B cells": "B",
    "CD4 T cells": "CD4 T",
    "CD8 T cells": "CD8 T",
    "NK cells": "NK",
    "CD14+ Monocytes": "CD14 monocyte",
    "FCGR3A+ Monocytes": "CD16 monocyte",
    "Dendritic cells": "dendritic",
    "Megakaryocytes": "megakaryocyte",
    "T_CD4": "CD4 T",
    "T_CD8": "CD8 T",
    "Mono_CD14": "CD14 monocyte",
    "Mono_CD16": "CD16 monocyte",
    "DC": "dendritic",
    "MK": "megakaryocyte",
    "CD14+ Monocyte": "CD14 monocyte",
    "Dendritic": "dendritic",
    "CD19+ B": "B",
    "CD56+ NK": "NK",
    "CD8+ Cytotoxic T": "CD8 T",
    "CD8+/CD45RA+ Naive Cytotoxic": "CD8 T",
    "CD4+/CD45RO+ Memory": "CD4 T",
    "CD4+/CD45RA+/CD25- Naive T": "CD4 T",
    "CD4+/CD25 T Reg": "CD4 T",
    "B cell": "B",
    "CD4 T cell": "CD4 T",
    "reg. T cell": "CD4 T",
    "CD8 T cell": "CD8 T",
    "Macrophage": "macrophage",
    "Mast": "mast",
    "Endothelial": "endothelial",
    "Fibroblast": "fibroblast",
    "B": "B",
    "NK": "NK",
}
MIN_CELLS: Final = 7
MOST_GENES: Final = 1500
TYPE, DONOR = "cell_type", "donor"


@dataclass(frozen=True, eq=False)
class Study:
    """Cells of one study.

    Parameters
    ----------
    name
        What the study is called.
    cells
        Counts or log1p, gene symbols as names, `obs` with cell type and donor.
    """

    name: str
    cells: AnnData

    @property
    def types(self) -> np.ndarray:
        """Cell type of each cell."""
        return self.cells.obs[TYPE].to_numpy().astype(str)

    @property
    def donors(self) -> np.ndarray:
        """Donor of each cell; a technology where the study has no donors."""
        return self.cells.obs[DONOR].to_numpy().astype(str)

    @property
    def genes(self) -> np.ndarray:
        """Gene symbols."""
        return np.asarray(self.cells.var_names)

    @cached_property
    def logged(self) -> np.ndarray:
        """Log1p of counts per 10,000 over the genes at hand, (cells, genes)."""
        return np.asarray(log_normalise(self._expression.block(0, self.cells.n_obs)).toarray())

    @cached_property
    def is_logged(self) -> bool:
        """Whether the cells are log1p rather than counts."""
        return self._expression.space == "log1p"

    @cached_property
    def _expression(self) -> Expression:
        return Expression.from_adata(self.cells)

    def where(self, keep: np.ndarray, name: str | None = None) -> "Study":
        """Keep some cells."""
        return Study(name or self.name, self.cells[keep].copy())

    def of(self, genes: np.ndarray) -> "Study":
        """Keep some genes, in this order."""
        return Study(self.name, self.cells[:, genes].copy())


def type_means(values: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted types, and the mean of each, (types, columns)."""
    names = np.unique(types)
    return names, np.stack([values[types == name].mean(axis=0) for name in names])


def study(name: str) -> Study:
    """Read a study by name; see `LOADERS`."""
    return Study(name, LOADERS[name]())


def shared_genes(trains: Study, *others: Study) -> np.ndarray:
    """Genes that all measure and at least three cells of each express, in the order of the training study.

    Of more than `MOST_GENES`, those that most training cells express; the scored cells have no say.
    """
    common = set.intersection(*(set(one.genes[_detected(one)]) for one in (trains, *others)))
    kept = np.flatnonzero(np.isin(trains.genes, sorted(common)))
    cells = np.asarray((trains.cells.X > 0).sum(axis=0)).ravel()[kept]
    most: np.ndarray = np.sort(kept[np.argsort(-cells, kind="stable")[:MOST_GENES]])
    return trains.genes[most]


def _detected(one: Study) -> np.ndarray:
    return np.asarray((one.cells.X > 0).sum(axis=0)).ravel() >= 3


def _made(
    matrix: csr_matrix | np.ndarray, genes: pd.Index, types: pd.Series, donors: pd.Series, *, names: Mapping[str, str]
) -> AnnData:
    """Cells with a known type, of types with at least `MIN_CELLS`; the first of genes that share a symbol."""
    kinds = types.astype(str).map(names)
    counts = kinds.value_counts()
    keep = kinds.isin(counts.index[counts >= MIN_CELLS]).to_numpy()
    once = ~pd.Index(genes).duplicated()
    obs = pd.DataFrame({TYPE: kinds.to_numpy(), DONOR: donors.astype(str).to_numpy()}, index=types.index.astype(str))
    return AnnData(csr_matrix(matrix, dtype=np.float32)[keep][:, once], obs[keep], pd.DataFrame(index=genes[once]))


def kang_control() -> AnnData:
    """Kang 2018, unstimulated: 954 cells of eight donors, eight types, 9,015 genes (10x 3' v1)."""
    found = ad.read_h5ad(real("scrna/kang2018_harmony_2000x9015.h5ad"))
    found = found[(found.obs["condition"] == "ctrl").to_numpy()]
    donors = found.obs["donor"].astype(float).map("{:.0f}".format)
    return _made(found.X, found.var_names, found.obs["cell_type"], donors, names=NAMES)


def kang_deep() -> AnnData:
    """Kang 2018, unstimulated: 8,684 cells of five donors, four types, 2,511 genes (10x 3' v1)."""
    found = ad.read_h5ad(real("scrna/kang2018_muscat_ctrl_8684x2511.h5ad"))
    genes = pd.Index(found.var["gene_name"].astype(str))
    return _made(found.X, genes, found.obs["cluster_id"], found.obs["sample_id"], names=NAMES)


def kang_both() -> AnnData:
    """Kang 2018, both conditions: 1,556 cells of two donors, five types, 1,267 genes; `obs` has the condition."""
    found = ad.read_h5ad(real("scrna/kang2018_muscat_example_1556x1267.h5ad"))
    donors = found.obs["sample_id"].astype(str).str.extract(r"(\d+)$")[0]
    genes = pd.Index([name.split("_ENSG")[0] for name in found.var_names])
    cells = _made(found.X, genes, found.obs["cluster_id"], donors, names=NAMES)
    cells.obs["condition"] = found.obs.loc[cells.obs_names, "group_id"].astype(str)
    return cells


def symphony() -> AnnData:
    """Blood cells by three 10x chemistries (3' v1, 3' v2, 5'), which stand for donors: 1,497 cells, 1,764 genes."""
    found = ad.read_h5ad(real("scrna/pbmc10x_symphony_1500x1764_lognorm.h5ad"))
    return _made(found.X, found.var_names, found.obs["cell_type"], found.obs["donor"], names=NAMES)


def pbmc68k() -> AnnData:
    """Zheng 2017, sorted labels: 687 cells, 765 genes (10x 3' v1)."""
    found = ad.read_h5ad(real("scrna/pbmc68k_reduced.h5ad"))
    counts = np.load(real("scrna/pbmc68k_reduced_counts.npy"))
    donors = pd.Series("one", index=found.obs_names)
    return _made(counts, found.var_names, found.obs["bulk_labels"], donors, names=NAMES)


def pbmc5k() -> AnnData:
    """10x PBMC 5k with surface proteins (3' v3): 200 cells, 16,581 genes; types read off the proteins alone."""
    found = ad.read_h5ad(real("scrna/pbmc_5k_protein_v3.h5ad"))
    proteins = [name.split("_")[0] for name in found.uns["protein_names"]]
    table = pd.DataFrame(np.asarray(found.obsm["protein_expression"]), found.obs_names, proteins)
    donors = pd.Series("one", index=found.obs_names)
    kinds = pd.Series(gate(table), index=found.obs_names)
    return _made(found.X, found.var_names, kinds, donors, names={kind: kind for kind in set(kinds) - {""}})


def gate(proteins: pd.DataFrame) -> np.ndarray:
    """Name the type of cells from surface proteins, "" where they disagree.

    Counts are made comparable by the centred log ratio of each cell, and each protein is split in two by the widest gap
    between the means of two groups (two-means, in one dimension).
    """
    logged = np.log1p(proteins)
    ratio = logged.sub(logged.mean(axis=1), axis=0)
    on = {name: ratio[name].to_numpy() > _threshold(ratio[name].to_numpy()) for name in ratio}
    t, b, mono = on["CD3"], on["CD19"], on["CD14"]
    rules = {
        "B": b & ~t & ~mono,
        "CD4 T": t & on["CD4"] & ~on["CD8a"] & ~b & ~mono,
        "CD8 T": t & on["CD8a"] & ~on["CD4"] & ~b & ~mono,
        "NK": ~t & ~b & ~mono & on["CD56"],
        "CD14 monocyte": mono & ~t & ~b,
    }
    named = np.full(len(proteins), "", dtype=object)
    for kind, rule in rules.items():
        named[rule] = np.where(named[rule] == "", kind, "")
    return named


def _threshold(values: np.ndarray) -> float:
    low, high = np.quantile(values, [0.1, 0.9])
    for _ in range(50):
        above = values > (low + high) / 2
        low, high = values[~above].mean(), values[above].mean()
    return float((low + high) / 2)


def hnscc() -> AnnData:
    """Puram 2017, head and neck tumours by full-length sequencing: 180 cells, eight types, 7,943 genes, log TPM."""
    found = ad.read_h5ad(real("scrna/hnscc_puram_chetah_180x7943.h5ad"))
    donors = pd.Series("one", index=found.obs_names)
    amounts = np.exp2(found.X.toarray().astype(np.float64)) - 1
    # the package reads natural logs of amounts per 10,000
    logged = np.log1p(amounts / amounts.sum(axis=1, keepdims=True) * 1e4)
    return _made(logged, found.var_names, found.obs["cell_type"], donors, names=NAMES)


LOADERS: Final = {
    "kang_control": kang_control,
    "kang_deep": kang_deep,
    "kang_both": kang_both,
    "symphony": symphony,
    "pbmc68k": pbmc68k,
    "pbmc5k": pbmc5k,
    "hnscc": hnscc,
}
