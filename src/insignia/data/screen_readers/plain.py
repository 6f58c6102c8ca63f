"""One column of labels such as ``A`` and ``A+B``, and one of its own for controls, as in insignia and PerturBench."""

from dataclasses import replace

import pandas as pd

from insignia.data.condition import GenePerturbation
from insignia.data.screen_readers.contract import LabelOptions, Labels, RawCondition, screen_readers
from insignia.data.screen_readers.joined import joined_labels

__all__ = ["Plain"]

_COLUMNS = ("condition", "perturbation")


class Plain:
    """Labels joined by a plus sign; kind and dose may stand in them, as in ``CRISPRi:MAPK1@0.5``."""

    needs = "obs['condition'] or obs['perturbation'] with labels such as 'A' and 'A+B'"
    contexts: tuple[str, ...] = ("context", "cell_type", "celltype", "cell_line")
    is_general = True

    def recognises(self, obs: pd.DataFrame) -> bool:
        """Whether one of the columns is there."""
        return any(name in obs for name in _COLUMNS)

    def labels(self, obs: pd.DataFrame, options: LabelOptions) -> Labels:
        """Split at the plus sign, and read kind and dose where the label has them."""
        column = next((name for name in _COLUMNS if name in obs), _COLUMNS[0])
        found = joined_labels(obs, options, column=column, separator="+", dose="dose")
        return replace(found, raw=tuple(_read_parts(one) for one in found.raw))


def _read_parts(raw: RawCondition) -> RawCondition:
    """Take kind and dose out of the parts that have them; columns are for the others."""
    parts, doses, kinds = list(raw.parts), list(raw.doses), list(raw.kinds)
    for place, part in enumerate(parts):
        if set(":@") & set(part):
            said = GenePerturbation.parse(part)
            parts[place], doses[place], kinds[place] = said.gene, said.dose, said.kind
    return RawCondition(raw.text, tuple(parts), tuple(doses), tuple(kinds))


screen_readers.add("plain", source="insignia; PerturBench, arXiv:2408.10609")(Plain())
