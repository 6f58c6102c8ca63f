"""cell-eval and the Virtual Cell Challenge: one perturbed gene a cell, in ``target_gene`` or ``target`` of `obs`."""

import pandas as pd

from insignia.data.screen_readers.contract import LabelOptions, Labels, screen_readers
from insignia.data.screen_readers.joined import joined_labels

__all__ = ["CellEval"]

_COLUMNS = ("target_gene", "target")


class CellEval:
    """One label a cell that is never divided, unless a separator is named."""

    needs = "obs['target_gene'] or obs['target'] with one perturbed gene"
    contexts: tuple[str, ...] = ("cell_type", "celltype", "cell_line")
    is_general = False

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether one of the columns is there."""
        return any(name in obs for name in _COLUMNS)

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Take the labels as they are."""
        column = next((name for name in _COLUMNS if name in obs), _COLUMNS[0])
        return joined_labels(obs, options, column=column, separator=options.separator or "")


screen_readers.add("cell_eval", source="https://github.com/ArcInstitute/cell-eval")(CellEval())
