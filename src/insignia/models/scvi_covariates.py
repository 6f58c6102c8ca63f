"""Covariates that an scVI encoder reads beside the genes: which cell has which, and what they add to a layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from insignia.core.errors import MissingMetadata, ModelFormatError
from insignia.models.contract import Context
from insignia.models.scvi_checkpoint import SCVICheckpoint
from insignia.models.scvi_registry import Categories

__all__ = ["CovariateShift", "Covariates"]


class CovariateShift(nn.Module):
    """What the covariates of a cell add to a layer: a row of a table for each category, a slope for each number.

    Parameters
    ----------
    table
        (categories of all covariates, hidden).
    slopes
        (continuous covariates, hidden).
    """

    table: Tensor
    slopes: Tensor

    def __init__(self, table: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table.contiguous())
        self.register_buffer("slopes", slopes.contiguous())

    def forward(self, context: Context) -> Tensor:
        """Return the shift of each cell: (cells, hidden)."""
        return self.table[context["categories"]].sum(1) + context["numbers"] @ self.slopes


class Covariates:
    """The covariates of a checkpoint, in the order in which its layers read them.

    The input of the first layer is genes, continuous covariates, the embedding of the batch if there is one, and then
    a one-hot vector for each categorical covariate of more than one category, the batch first unless it is embedded.
    Deeper layers read what the layer before gives and the one-hot vectors.
    """

    def __init__(self, checkpoint: SCVICheckpoint) -> None:
        batch = checkpoint.batch
        is_embedded = checkpoint.embeds_batch and batch is not None
        one_hot = (*(() if batch is None or is_embedded else (batch,)), *checkpoint.categories)
        self.continuous = checkpoint.continuous
        self.embedded = batch if is_embedded else None
        self.one_hot = tuple(item for item in one_hot if len(item.names) > 1)
        for item in self.one_hot:
            if len(set(item.names)) < len(item.names):
                raise ModelFormatError(f"{checkpoint.source} lists a category of {item.column!r} twice.")
        self._vectors = self._embedding(checkpoint) if is_embedded else torch.zeros(0, 0)
        self.n_deep = sum(len(item.names) for item in self.one_hot)
        self.n_first = len(self.continuous) + self._vectors.shape[1] + self.n_deep

    @property
    def categorical(self) -> tuple[Categories, ...]:
        """All categorical covariates, in the order of the tables."""
        return (*(() if self.embedded is None else (self.embedded,)), *self.one_hot)

    @property
    def columns(self) -> list[str]:
        """The `obs` columns that are read."""
        return [*(item.column for item in self.categorical), *self.continuous]

    def first(self, weight: Tensor) -> CovariateShift:
        """Read the columns of the first layer that follow the genes: (hidden, `n_first`)."""
        sizes = [len(self.continuous), self._vectors.shape[1], self.n_deep]
        slopes, embedding, one_hot = torch.split(weight.T, sizes)
        return CovariateShift(torch.cat([self._vectors.to(weight.dtype) @ embedding, one_hot]), slopes)

    def deep(self, weight: Tensor) -> CovariateShift:
        """Read the columns of a deeper layer that follow its hidden units: (hidden, `n_deep`)."""
        rows = weight.new_zeros(len(self._vectors), len(weight))
        return CovariateShift(torch.cat([rows, weight.T]), weight.new_zeros(len(self.continuous), len(weight)))

    def context(self, obs: pd.DataFrame, model: str) -> dict[str, Tensor]:
        """Look up the covariates of cells.

        Returns
        -------
        ``categories``, (cells, categorical covariates), rows of the tables, and ``numbers``, (cells, continuous
        covariates); nothing if there are no covariates.

        Raises
        ------
        MissingMetadata
            A column is absent, or holds a category that the model does not know or what is no number.
        """
        if not self.columns:
            return {}
        missing = [column for column in self.columns if column not in obs]
        if missing:
            raise MissingMetadata(
                f"{model} reads the covariates {self.columns}, and obs lacks {missing}; it holds {list(obs)[:8]}. "
                f"Add them: {self._choices()}."
            )
        starts = [0, *np.cumsum([len(item.names) for item in self.categorical])]
        codes = [start + _codes(obs, item, model) for item, start in zip(self.categorical, starts, strict=False)]
        numbers = [_numbers(obs, column, model) for column in self.continuous]
        return {
            "categories": torch.from_numpy(_stack(codes, len(obs), np.int64)),
            "numbers": torch.from_numpy(_stack(numbers, len(obs), np.float32)),
        }

    def _choices(self) -> str:
        categories = [f"{item.column!r} takes {_few(item.names)}" for item in self.categorical]
        return "; ".join([*categories, *(f"{column!r} takes numbers" for column in self.continuous)])

    def _embedding(self, checkpoint: SCVICheckpoint) -> Tensor:
        vectors = checkpoint.weights.get("_embeddings_dict.batch.weight")
        n_batches = len(checkpoint.batch.names) if checkpoint.batch else 0
        if vectors is None or vectors.ndim != 2 or len(vectors) != n_batches:
            raise ModelFormatError(f"{checkpoint.source} should hold an embedding for each of {n_batches} batches.")
        return vectors


def _codes(obs: pd.DataFrame, covariate: Categories, model: str) -> np.ndarray:
    values = obs[covariate.column].astype(str)
    codes = pd.Index(covariate.names).get_indexer(pd.Index(values))
    if (codes < 0).any():
        unknown = sorted(set(values[codes < 0]))
        raise MissingMetadata(
            f"{model} knows {_few(covariate.names)} in the covariate {covariate.column!r}, and obs holds "
            f"{_few(unknown)} in {(codes < 0).sum():,} cells. Give these cells the known one that is closest to them, "
            "or use a model that was trained on them."
        )
    return codes.astype(np.int64)


def _numbers(obs: pd.DataFrame, column: str, model: str) -> np.ndarray:
    numbers = pd.to_numeric(obs[column], errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(numbers).all():
        raise MissingMetadata(
            f"{model} reads numbers in the covariate {column!r}, and obs holds none in "
            f"{(~np.isfinite(numbers)).sum():,} of {len(numbers):,} cells. Fill them in."
        )
    return numbers


def _stack(columns: Sequence[np.ndarray], n_cells: int, dtype: type) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.empty((n_cells, 0), dtype=dtype)


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"{list(names[:5])}{more}"
