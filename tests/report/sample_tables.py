"""Sample tables with chosen fractions, and attributed cells with chosen markers."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.atlas import SampleTable
from insignia.attribution import compare_scores, rank_genes
from insignia.core import keys

CELLS = 100


def sample_table(groups, *, stratum=None, studies=None, signature="MS1", rule="percentile", params=None, pooled=False):
    """Make a table in which the samples of group (or of (group, stratum)) have the fractions that `groups` lists."""
    rows = []
    for place, fractions in groups.items():
        group, layer = place if isinstance(place, tuple) else (place, "all")
        for number, fraction in enumerate(fractions):
            known = np.isfinite(fraction)
            rows.append(
                {
                    "study": studies[len(rows) % len(studies)] if studies else f"GSE{number % 4}",
                    "sample": f"sample{number}",
                    "donor": f"donor{group}{number}",
                    "tissue": "blood",
                    "disease": group,
                    "stratum": layer,
                    "cells": CELLS if known else 0,
                    "hits": round(CELLS * fraction) if known else 0,
                    "fraction": fraction,
                    "mean_score": fraction,
                    "coverage": 0.9,
                    "unscored": 0 if known else CELLS,
                }
            )
    columns = ["study", "sample", "donor", "tissue", "disease", "stratum", "cells", "hits", "fraction"]
    table = pd.DataFrame(rows, columns=[*columns, "mean_score", "coverage", "unscored"])
    about = {
        "signature": signature,
        "where": None,
        "rule": rule,
        "params": {"q": 90} if params is None else params,
        "cutoff": "1.5",
        "reference": "1,000 cells of 4 studies (all cells)",
        "cells": int(table["cells"].sum() + table["unscored"].sum()),
        "hits": int(table["hits"].sum()),
        "unscored": int(table["unscored"].sum()),
    }
    made = SampleTable(table, table.head(0).assign(reason=""), stratum, 25, about)
    return made.pool_donors() if pooled else made


def texts(figure):
    """Every text that a figure shows."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def render(figure):
    """Lay out and draw a figure; warnings are errors in tests."""
    figure.draw_without_rendering()
    return figure


def overlapping(boxes):
    """Pairs of boxes that cover each other by more than a pixel."""
    return [
        (i, j)
        for i, a in enumerate(boxes)
        for j, b in enumerate(boxes[:i])
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def attributed_cells(groups=("B cell", "monocyte", "T cell"), *, cells=12, own=8, space="counts", ranked=True):
    """Make cells in which each group has `own` genes of its own, ranked in order, with attributions and counts."""
    n_genes = own * len(groups) + 3
    counts = np.ones((cells * len(groups), n_genes), dtype=np.float32)
    for number in range(len(groups)):
        rows = slice(number * cells, (number + 1) * cells)
        counts[rows, number * own : (number + 1) * own] = 30 - 2 * np.arange(own)
    counts[::2, -1] = 0
    scores = 1000 * counts / counts.sum(axis=1, keepdims=True)
    names = [f"G{number}-{gene}" for number in range(len(groups)) for gene in range(own)] + ["X1", "X2", "X3"]
    adata = AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(
            {keys.CELL_TYPE: np.repeat(list(groups), cells), keys.gap(): np.geomspace(1e-4, 0.2, len(counts))},
            index=[f"c{i}" for i in range(len(counts))],
        ),
        var=pd.DataFrame(index=names),
        layers={keys.ATTRIBUTION: sparse.csr_matrix(scores)},
    )
    if space == "log1p":
        adata.X = sparse.csr_matrix(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)))
    if ranked:
        rank_genes(adata, keys.CELL_TYPE)
    return adata


def compared_cells(*, methods=("attribution", "log_expression", "z_score", "tf_idf"), donors=3, labelled=True):
    """Attributed cells in which the genes of the first group were scored in several ways, as entry ``"s"``."""
    adata = attributed_cells()
    adata.obs["donor"] = [f"donor {i % donors}" for i in range(adata.n_obs)]
    marks = {"labels": keys.CELL_TYPE, "positive": "B cell", "donors": "donor"} if labelled else {}
    genes = [name for name in adata.var_names if name.startswith("G0")]
    compare_scores(adata, genes, methods=list(methods), key_added="s", **marks)
    return adata
