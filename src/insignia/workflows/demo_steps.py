"""The steps of the demo: real blood cells attributed, and a simulated atlas, whose truth is known, searched."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.atlas import Atlas, Hits, SampleTable, SearchResult
from insignia.attribution import attribute, rank_genes
from insignia.core import keys
from insignia.data import Cohort, CohortOptions, simulate_cohort, write_h5ad
from insignia.models import MLPEncoder, TrainOptions, train
from insignia.stats import auroc
from insignia.workflows.atlases import create_atlas

__all__ = [
    "QUICK",
    "AtlasSearch",
    "BloodCells",
    "DemoSize",
    "Timings",
    "attribute_blood_cells",
    "attributed_atlas",
    "load_blood_cells",
    "search_simulated_atlas",
]

MYELOID = "cell_type IN ('classical monocyte', 'macrophage')"


@dataclass(frozen=True)
class DemoSize:
    """How large the demo is; `QUICK` checks that all parts work."""

    epochs: int = 30
    n_studies: int = 40
    n_genes: int = 2000
    cells_per_sample: int = 80
    training_studies: int = 4


QUICK = DemoSize(epochs=4, n_studies=8, n_genes=600, cells_per_sample=40, training_studies=2)


@dataclass(frozen=True, eq=False)
class BloodCells:
    """Real blood cells, attributed: the cells, the table of top genes, and shares of uninformative genes."""

    adata: AnnData
    top_genes: pd.DataFrame
    shares: pd.DataFrame
    model: MLPEncoder


@dataclass(frozen=True, eq=False)
class AtlasSearch:
    """A search of the simulated atlas, and how well it found what was planted."""

    cohort: Cohort
    atlas: Atlas
    result: SearchResult
    hits: Hits
    table: SampleTable
    recovery: pd.DataFrame


class Timings(dict[str, float]):
    """Seconds of each step, by name."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body."""
        start = time.perf_counter()
        yield
        self[name] = round(time.perf_counter() - start, 1)


def attribute_blood_cells(
    folder: Path, size: DemoSize, timings: Timings, *, show_progress: bool | None = None
) -> BloodCells:
    """Train on the 700 blood cells that scanpy carries, attribute them, and rank genes per cell type."""
    adata = load_blood_cells()
    with timings.step("pbmc_train"):
        model = train(
            adata,
            labels="cell_type",
            output=folder / "pbmc_model",
            options=TrainOptions(epochs=size.epochs),
            show_progress=show_progress,
        )
    with timings.step("pbmc_attribute"):
        attribute(adata, model, show_progress=show_progress)
        rank_genes(adata, "cell_type")
    write_h5ad(adata, folder / "pbmc_attributed.h5ad")
    return BloodCells(adata, top_genes_table(adata), _uninformative_shares(adata), model)


def load_blood_cells() -> AnnData:
    """Load the 700 blood cells that come inside scanpy: log-normalised, 765 genes, labelled by sorting."""
    import scanpy

    adata = scanpy.datasets.pbmc68k_reduced().raw.to_adata()
    adata.obs = adata.obs[["bulk_labels"]].rename(columns={"bulk_labels": keys.CELL_TYPE})
    for entries in (adata.uns, adata.obsm, adata.varm, adata.obsp):
        entries.clear()
    return adata


def top_genes_table(adata: AnnData, *, n_genes: int = 20, key: str = keys.RANK_GENES) -> pd.DataFrame:
    """List the best genes of each group, one row each: group, rank, gene, score, log2 ratio."""
    ranked = adata.uns[key]
    rows = [
        (
            group,
            place + 1,
            ranked["names"][group][place],
            ranked["scores"][group][place],
            ranked["logfoldchanges"][group][place],
        )
        for group in ranked["names"].dtype.names
        for place in range(n_genes)
    ]
    return pd.DataFrame(rows, columns=[str(ranked["params"]["groupby"]), "rank", "gene", "score", "log2_ratio"])


def search_simulated_atlas(
    folder: Path, size: DemoSize, timings: Timings, *, show_progress: bool | None = None
) -> AtlasSearch:
    """Simulate studies, train on a few of them, attribute all into an atlas, and search MS1 in myeloid cells."""
    with timings.step("simulate"):
        options = CohortOptions(
            n_studies=size.n_studies, n_genes=size.n_genes, cells_per_sample=size.cells_per_sample, difficulty=0.5
        )
        cohort = simulate_cohort(**options.to_dict(), rng=1)
    atlas = attributed_atlas(folder, cohort, size, timings, show_progress=show_progress)
    with timings.step("search"):
        result = atlas.search("MS1", where=MYELOID)
        hits = result.call("percentile", q=90)
    table = hits.by_sample(min_cells=10)
    return AtlasSearch(cohort, atlas, result, hits, table, _recovery(cohort, result))


def attributed_atlas(
    folder: Path, cohort: Cohort, size: DemoSize, timings: Timings, *, show_progress: bool | None = None
) -> Atlas:
    """Train an encoder on the first studies of a cohort, attribute all, and add them to a new atlas."""
    with timings.step("atlas_train"):
        model = train(
            _joined(cohort.studies[: size.training_studies]),
            labels=keys.CELL_TYPE,
            output=folder / "atlas_model",
            hold_out_by=keys.DONOR,
            options=TrainOptions(epochs=size.epochs // 2),
            show_progress=show_progress,
        )
    with timings.step("atlas_attribute"):
        for study in cohort.studies:
            attribute(study, model, show_progress=show_progress)
    with timings.step("atlas_add"):
        atlas = create_atlas(folder / "atlas", model)
        atlas.add(cohort.studies, progress=show_progress)
    return atlas


def _joined(studies: list[AnnData]) -> AnnData:
    import anndata

    return anndata.concat(studies, join="outer", fill_value=0, index_unique="-")


def _uninformative_shares(adata: AnnData) -> pd.DataFrame:
    """Share of ribosomal and mitochondrial genes, in expression and in attribution, by cell type."""
    is_uninformative = adata.var_names.str.match(r"^(RP[SL]\d|MT-|MRP[SL])")
    table = {}
    for name, matrix in (("expression", adata.X), ("attribution", adata.layers[keys.ATTRIBUTION])):
        total = np.asarray(matrix.sum(axis=1)).ravel()
        part = np.asarray(matrix[:, is_uninformative].sum(axis=1)).ravel()
        table[name] = pd.Series(part / total).groupby(adata.obs[keys.CELL_TYPE].to_numpy()).mean()
    return pd.DataFrame(table).rename_axis(keys.CELL_TYPE)


def _recovery(cohort: Cohort, result: SearchResult) -> pd.DataFrame:
    """How well MS1 scores tell active from inactive cells, by study: attribution, expression, shuffled labels."""
    truth = cohort.truth.cells.set_index([keys.STUDY, keys.BARCODE])["activity_MS1"]
    cells = result.metadata([keys.STUDY, keys.BARCODE])
    active = truth.loc[list(cells.itertuples(index=False, name=None))].to_numpy() > 0
    scores = {"attribution": result.scores, "expression": _expression_scores(cohort, cells, result.signature.genes)}
    rng = np.random.default_rng(0)
    rows = []
    for study, rows_here in pd.Series(np.arange(len(cells))).groupby(cells[keys.STUDY].to_numpy()):
        here = rows_here.to_numpy()
        if min(active[here].sum(), (~active[here]).sum()) < 10 or np.isnan(result.scores[here]).any():
            continue
        areas = {name: auroc(values[here], active[here]) for name, values in scores.items()}
        rows.append({"study": study, **areas, "shuffled": auroc(result.scores[here], rng.permutation(active[here]))})
    return pd.DataFrame(rows, columns=["study", "attribution", "expression", "shuffled"])


def _expression_scores(cohort: Cohort, cells: pd.DataFrame, genes: tuple[str, ...]) -> np.ndarray:
    """Mean log1p CP10k of the signature's measured genes, for the cells of a search."""
    scores = []
    for study in cohort.studies:
        counts = study.X.toarray()
        logged = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4)
        mean = logged[:, study.var_names.isin(genes)].mean(axis=1)
        index = pd.MultiIndex.from_product([[str(study.obs[keys.STUDY].iloc[0])], study.obs_names])
        scores.append(pd.Series(mean, index=index))
    wanted = pd.MultiIndex.from_frame(cells[[keys.STUDY, keys.BARCODE]].astype(object))
    return np.asarray(pd.concat(scores).reindex(wanted))
