"""A PCA directory as `fit_pca` writes it."""

from pathlib import Path

from insignia.models import fit_pca
from tests.attribution.conftest import make_cells
from tests.attribution.conftest import make_cells as cells

__all__ = ["build", "cells"]


def build(folder: Path) -> Path:
    """Fit on simulated cells and write."""
    fit_pca(make_cells(40, seed=5), n_components=6, output=folder)
    return folder
