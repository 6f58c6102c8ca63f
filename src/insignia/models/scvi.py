"""scVI and scANVI: directories that scvi-tools writes, as encoders of counts.

Lopez et al. 2018 (doi:10.1038/s41592-018-0229-2), Xu et al. 2021 (doi:10.15252/msb.20209620). A cell's embedding is the
mean of its latent distribution: log1p of its counts through layers of Linear, batch or layer norm and ReLU, and a last
Linear. Integrated gradients move log1p of the counts, or, if asked, the counts themselves.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.errors import DuplicateNames, ModelFormatError
from insignia.core.files import canonical_json
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.contract import Context, Inputs, fingerprint
from insignia.models.gene_transform import LOG1P
from insignia.models.mlp import MLPEncoder
from insignia.models.registry import families
from insignia.models.scvi_checkpoint import SCVICheckpoint, find_layout, read_checkpoint
from insignia.models.scvi_converted import WEIGHTS, read_converted
from insignia.models.scvi_covariates import Covariates, CovariateShift
from insignia.models.scvi_layers import classifier_layers, encoder_layers

__all__ = ["SCVIEncoder", "load_scvi"]


@families.add("scvi", source="doi:10.1038/s41592-018-0229-2")
class _SCVI:
    needs = "[prefix]model.pt (scVI, scANVI)"

    @staticmethod
    def recognises(path: Path) -> bool:
        if (path / WEIGHTS).is_file():
            return True
        try:
            return find_layout(path) is not None
        except ModelFormatError:
            return True

    @staticmethod
    def load(path: Path) -> "SCVIEncoder":
        return load_scvi(path)


class SCVIEncoder(MLPEncoder):
    """The mean of the latent distribution of scVI, from counts; not normalised, and not transformed where it is "ln".

    Parameters
    ----------
    name
        What the model is called.
    checkpoint
        What is needed of its directory.

    Raises
    ------
    ModelFormatError
        A tensor is missing, or sizes disagree.
    DuplicateNames
        A gene is listed twice.
    """

    accepts = frozenset({"counts"})

    def __init__(self, name: str, checkpoint: SCVICheckpoint) -> None:
        genes = _vocabulary(checkpoint)
        covariates = Covariates(checkpoint)
        layers, self._first_shift = encoder_layers(checkpoint, covariates)
        classifier, n_labels = classifier_layers(checkpoint)
        super().__init__(
            name,
            genes,
            layers,
            is_normalised=False,
            fingerprint=_fingerprint(checkpoint, genes),
            classifier=classifier,
            labels=checkpoint.labels[:n_labels],
        )
        self.takes_log = checkpoint.takes_log
        self.transform = LOG1P if checkpoint.takes_log else None
        self._covariates = covariates if self._first_shift is not None else None
        if any(isinstance(layer, CovariateShift) for layer in self.module):
            self.tail_layers = None

    def prepare(self, cells: Cells) -> Inputs:
        """Take log1p of the counts, unscaled, and look up the covariates.

        Raises
        ------
        MissingMetadata
            `obs` lacks a covariate that the encoder reads, or holds a category that it does not know.
        """
        self.check_space(cells.space)
        counts = cells.matrix
        values = np.log1p(counts.data.astype(np.float64)).astype(np.float32) if self.takes_log else counts.data
        context = {} if self._covariates is None else self._covariates.context(cells.obs, self.name)
        return Inputs(csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape), context)

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed values: (rows, genes) -> (rows, latent)."""
        hidden = self.module[0](point)
        shift = self._first_shift
        return self.tail(hidden if shift is None else hidden + shift(context), context)

    def first_bias(self, context: Context) -> Tensor:
        """Give the constant of the first layer, which the covariates of a cell shift: (cells, hidden)."""
        bias = super().first_bias(context)
        return bias if self._first_shift is None else bias + self._first_shift(context)

    def tail(self, hidden: Tensor, context: Context) -> Tensor:
        """Do the rest of the network after the first affine layer: (rows, hidden) -> (rows, latent)."""
        for layer in list(self.module)[1:]:
            hidden = hidden + layer(context) if isinstance(layer, CovariateShift) else layer(hidden)
        return hidden

    def describe(self) -> dict[str, Any]:
        """Facts for people and `--json`."""
        return {
            **super().describe(),
            "preprocessing": "log1p of counts, not scaled" if self.takes_log else "counts, not scaled",
            "covariates": [] if self._covariates is None else self._covariates.columns,
            "labels": list(self.labels),
        }


def load_scvi(path: str | Path) -> SCVIEncoder:
    """Load a directory of SCVI or SCANVI, as scvi-tools or as `convert_scvi` wrote it.

    Raises
    ------
    ModelFormatError
        A file or tensor is missing or damaged, sizes disagree, or it is another model of scvi-tools.
    UnsafeCheckpoint
        What is needed can only be read by running code from the checkpoint.
    DuplicateNames
        A gene is listed twice.
    """
    path = Path(path)
    is_converted = (path / WEIGHTS).is_file()
    return SCVIEncoder(path.resolve().name, read_converted(path) if is_converted else read_checkpoint(path))


def _vocabulary(checkpoint: SCVICheckpoint) -> GeneVocabulary:
    names = pd.Index(checkpoint.genes)
    repeated = names[names.duplicated()]
    if len(repeated):
        raise DuplicateNames(f"{checkpoint.source} lists {len(repeated)} genes twice, e.g. {list(repeated[:3])}.")
    return GeneVocabulary.from_names(checkpoint.genes)


def _fingerprint(checkpoint: SCVICheckpoint, genes: GeneVocabulary) -> str:
    covariates = [checkpoint.batch, *checkpoint.categories]
    reads = [[item.column, item.names] for item in covariates if item is not None]
    flags = [checkpoint.takes_log, checkpoint.has_layer_norm, checkpoint.embeds_batch]
    content = canonical_json([flags, reads, checkpoint.continuous])
    return fingerprint(checkpoint.weights, genes, f"scvi:align,counts,{content}")
