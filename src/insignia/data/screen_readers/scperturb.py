"""The scPerturb collection: ``obs["perturbation"]`` with ``A`` or ``A_B``, and ``obs["nperts"]``."""

import pandas as pd

from insignia.core.errors import InputError
from insignia.data.screen_readers.contract import LabelOptions, Labels, RawCondition, collect, column_of, screen_readers
from insignia.data.screen_readers.joined import kind_column, split_label

__all__ = ["ScPerturb"]


class ScPerturb:
    """Labels whose number of parts stands in ``nperts``, so that a name with an underscore is not cut."""

    needs = "obs['perturbation'] with labels such as 'A' or 'A_B', and obs['nperts']"
    contexts: tuple[str, ...] = ("cell_line", "celltype", "cell_type")
    is_general = False

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether both columns are there."""
        return {"perturbation", "nperts"} <= set(obs)

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Split labels of several perturbations.

        Raises
        ------
        InputError
            A label has another number of parts than ``nperts`` says.
        """
        separator = options.separator or "_"

        def take_apart(text: str, number: str, kind: str) -> RawCondition:
            parts = (text,) if number in ("0", "0.0", "1", "1.0") else split_label(text, separator)
            if number not in ("0", "0.0") and len(parts) != float(number):
                raise InputError(
                    f"obs['nperts'] says {number} perturbations for {text!r}, which {separator!r} divides into "
                    f"{len(parts)}. Name what joins them with separator=."
                )
            return RawCondition(text, parts, (1.0,) * len(parts), (kind,) * len(parts))

        label = column_of(obs, options.perturbation or "perturbation")
        return collect([label, column_of(obs, "nperts"), kind_column(obs, options)], take_apart)


screen_readers.add("scperturb", source="doi:10.1038/s41592-023-02144-y")(ScPerturb())
