"""From a search to single cells: the highest ones, those of a sample, and the genes that matter most in them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.atlas.gene_values import segments_of
from insignia.atlas.layout import BLOCK
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["cells_of", "top_cells", "top_genes"]

_GENES: Final = 1024
_CELLS: Final = 2000


def top_cells(result: "SearchResult", n: int, *, per_sample: int | None, n_genes: int) -> pd.DataFrame:
    """List the cells with the highest scores; see `SearchResult.top_cells`."""
    if n < 1 or (per_sample is not None and per_sample < 1):
        raise InputError(f"At least one cell is asked for; n is {n}, per_sample {per_sample}.")
    scored = np.flatnonzero(~np.isnan(result.scores))
    order = scored[np.argsort(-result.scores[scored], kind="stable")]
    if per_sample is not None:
        obs = result.metadata([keys.STUDY, keys.SAMPLE])
        sample = obs.groupby([keys.STUDY, keys.SAMPLE], observed=True).ngroup().to_numpy()[order]
        order = order[pd.Series(sample).groupby(sample).cumcount().to_numpy() < per_sample]
    return _table(result, order[:n], n_genes)


def cells_of(result: "SearchResult", study: str, sample: str, *, n_genes: int) -> pd.DataFrame:
    """List the searched cells of a sample; see `SearchResult.cells_of`."""
    obs = result.metadata([keys.STUDY, keys.SAMPLE])
    of_study = (obs[keys.STUDY] == study).to_numpy()
    places = np.flatnonzero(of_study & (obs[keys.SAMPLE] == sample).to_numpy())
    if not places.size:
        there = sorted(obs.loc[of_study, keys.SAMPLE].unique())
        known = f"samples {there[:12]}" if there else f"studies {sorted(obs[keys.STUDY].unique())[:12]}"
        raise InputError(f"No cell of sample {sample!r} of study {study!r} was searched. There are the {known}.")
    # highest first, cells without a score last
    order = np.argsort(-np.nan_to_num(result.scores[places], nan=-np.inf), kind="stable")
    return _table(result, places[order], n_genes)


def top_genes(result: "SearchResult", places: np.ndarray, n: int) -> pd.DataFrame:
    """List the genes with the largest attributions in some cells of a search.

    Parameters
    ----------
    places
        Cells by their place in the search.
    n
        Genes of each cell.

    Returns
    -------
    One row a cell and gene, largest absolute value first: ``cell`` (its place in the search), ``gene``,
    ``attribution``, ``in_signature``. A cell with fewer genes has fewer rows.
    """
    places = np.asarray(places, dtype=np.int64)
    rows = places if result.rows is None else result.rows[places]
    labels = np.asarray(result.snapshot.genes.labels, dtype=object)
    of_signature = np.zeros(labels.size, dtype=bool)
    of_signature[result.match.index[result.match.found]] = True
    parts = []
    for here, values in _dense(result.snapshot, rows):
        size = np.abs(values)
        top = np.argsort(-size, axis=1, kind="stable")[:, :n]
        cell, rank = np.nonzero(np.take_along_axis(size, top, axis=1) > 0)
        gene = top[cell, rank]
        parts.append(
            pd.DataFrame(
                {
                    "cell": places[here[cell]],
                    "gene": labels[gene],
                    "attribution": values[cell, gene],
                    "in_signature": of_signature[gene],
                }
            )
        )
    if not parts:
        return pd.DataFrame({"cell": [], "gene": [], "attribution": [], "in_signature": []})
    return pd.concat(parts, ignore_index=True)


def _table(result: "SearchResult", places: np.ndarray, n_genes: int) -> pd.DataFrame:
    rows = places if result.rows is None else result.rows[places]
    # metadata come in the order of the atlas
    ascending = np.argsort(rows, kind="stable")
    obs = result.snapshot.frame(rows=rows[ascending])
    table = obs.iloc[np.argsort(ascending, kind="stable")].reset_index(drop=True)
    table.insert(0, "score", result.scores[places])
    table.insert(0, "row", rows)
    if n_genes:
        genes = top_genes(result, places, n_genes)
        text = genes["gene"].astype(str) + " " + genes["attribution"].map("{:.3g}".format)
        listed = text.groupby(genes["cell"]).agg(", ".join)
        table["top_genes"] = listed.reindex(places, fill_value="").to_numpy()
    return table


def _dense(snapshot: Snapshot, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All genes of some cells, a few cells at a time: their places among the rows, and values, (cells, genes)."""
    # here, so that an atlas opens without compiled code
    from insignia.atlas.cell_kernels import pick_cells
    from insignia.atlas.kernels import FLOAT_OF_HALF

    ascending = np.argsort(rows, kind="stable")
    n_genes = snapshot.manifest.genes.count
    for start in range(0, rows.size, _CELLS):
        part = ascending[start : start + _CELLS]
        done = 0
        for segment, here in segments_of(snapshot, rows[part]):
            out = np.zeros((here.size, n_genes), dtype=np.float32)
            codes = np.full(segment.n_cells, -1, dtype=np.int64)
            codes[here] = np.arange(here.size)
            first, last = _ends(here, segment.n_blocks)
            for gene in range(0, n_genes, _GENES):
                runs = segment.genes(np.arange(gene, min(gene + _GENES, n_genes)))
                columns = out[:, gene : gene + _GENES]
                if not pick_cells(runs.offsets, runs.cells, runs.values, FLOAT_OF_HALF, first, last, codes, columns):
                    raise segment.damaged("offsets.npy or cells.npy points outside the segment")
            yield part[done : done + here.size], out
            done += here.size


def _ends(rows: np.ndarray, n_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest wanted cell within each block, -1 where there is none."""
    first, last = np.full(n_blocks, -1, dtype=np.int64), np.full(n_blocks, -1, dtype=np.int64)
    block = rows // BLOCK
    held, start = np.unique(block, return_index=True)
    first[held] = rows[start] - held * BLOCK
    last[held] = rows[np.append(start[1:], rows.size) - 1] - held * BLOCK
    return first, last
