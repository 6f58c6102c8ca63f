"""Two columns, ``obs["pert1"]`` and ``obs["pert2"]``, where the control's name means that nothing was done."""

import pandas as pd

from insignia.data.screen_readers.contract import LabelOptions, Labels, RawCondition, collect, column_of, screen_readers
from insignia.data.screen_readers.joined import kind_column

__all__ = ["Pairs"]


class Pairs:
    """One column a perturbed gene, each with a dose in ``dose1`` and ``dose2`` where they are there."""

    needs = "obs['pert1'] and obs['pert2'], one perturbed gene in each"
    contexts: tuple[str, ...] = ("cell_line", "cell_type", "celltype")
    is_general = False

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether both columns are there."""
        return {"pert1", "pert2"} <= set(obs)

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Take one part from each column."""
        has_doses = {"dose1", "dose2"} <= set(obs) and options.dose is None
        doses = [column_of(obs, name) if has_doses else pd.Series("1", index=obs.index) for name in ("dose1", "dose2")]

        def take_apart(first: str, second: str, kind: str, *doses: str) -> RawCondition:
            # an empty slot has no dose of its own
            values = tuple(float(dose) if dose not in ("nan", "") and float(dose) > 0 else 1.0 for dose in doses)
            return RawCondition(f"{first}+{second}", (first, second), values, (kind, kind))

        columns = [column_of(obs, "pert1"), column_of(obs, "pert2"), kind_column(obs, options), *doses]
        return collect(columns, take_apart)


screen_readers.add("pairs", source="arXiv:2602.04901, arXiv:2504.13791")(Pairs())
