"""GEARS: ``obs["condition"]`` with ``A+ctrl``, ``ctrl+A`` or ``A+B``, and ``ctrl`` for control cells."""

import pandas as pd

from insignia.data.screen_readers.contract import LabelOptions, Labels, column_of, screen_readers
from insignia.data.screen_readers.joined import joined_labels, split_label

__all__ = ["Gears"]


class Gears:
    """Labels as GEARS, scGPT and scFoundation use them; expression is log-normalised, `var` has ``gene_name``."""

    needs = "obs['condition'] with labels such as 'A+ctrl', 'A+B' and 'ctrl'"
    contexts: tuple[str, ...] = ("cell_type", "cell_line", "celltype")
    is_general = False

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether some label joins a gene with ctrl."""
        if "condition" not in obs or "pert1" in obs:
            return False
        labels = column_of(obs, "condition").unique()
        return any("ctrl" in parts and len(parts) > 1 for parts in (split_label(text, "+") for text in labels))

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Split at the plus sign."""
        return joined_labels(obs, options, column="condition", separator="+")


screen_readers.add("gears", source="doi:10.1038/s41587-023-01905-6")(Gears())
