"""Which label is the control: said by the caller, never guessed; what looks like one is only shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from insignia.core.errors import InputError

__all__ = ["looks_like_control", "need_control", "refuse_unnamed_controls"]

_SHOWN: Final = 5
_CONTROL: Final = re.compile(
    r"(non?[-_ ]?target(ing|s)?|nt|ntc|ctrl|ctl|controls?|neg(ative)?[-_ ]?(ctrl|control)|neg|safe[-_ ]?target(ing)?"
    r"|scrambled?|unperturbed|untreated|vehicle|dmso|intergenic|mock)[-_ ]?\d*",
    re.IGNORECASE,
)


def looks_like_control(name: str) -> bool:
    """Whether a name is one that screens use for controls, and no gene has."""
    return _CONTROL.fullmatch(name) is not None


def need_control(control: str | Sequence[str] | None, sizes: Mapping[str, int], parts: Iterable[str]) -> frozenset[str]:
    """Return the names of the control, all of them in use.

    Parameters
    ----------
    control
        What the caller says.
    sizes
        Label -> number of cells.
    parts
        All names that stand in labels, alone or joined.

    Raises
    ------
    InputError
        None is named, or no label has it; with the labels that it may be.
    """
    if control is None:
        raise InputError(
            "Say which label means that nothing was perturbed, with control=; it is never guessed. "
            f"{_candidates(sizes)}"
        )
    names = frozenset((control,) if isinstance(control, str) else control)
    absent = sorted(names - set(parts))
    if absent or not names:
        raise InputError(
            f"No cell has the control label {', '.join(map(repr, absent)) or '(none was named)'}. {_candidates(sizes)}"
        )
    return names


def refuse_unnamed_controls(control: frozenset[str], parts: Iterable[str]) -> None:
    """Refuse names that can only be controls and were not named as such: they would become perturbed genes.

    Raises
    ------
    InputError
        There are some.
    """
    found = sorted({part for part in parts if part not in control and looks_like_control(part)})
    if found:
        raise InputError(
            f"The labels hold {', '.join(map(repr, found[:_SHOWN]))}, which looks like a control and was not named as "
            f"one: pass control={sorted({*control, *found[:_SHOWN]})!r}, or leave these cells out with leave_out=."
        )


def _candidates(sizes: Mapping[str, int]) -> str:
    order = sorted(sizes, key=lambda label: (-sizes[label], label))
    likely = [label for label in order if looks_like_control(label)]
    others = [label for label in order if label not in likely]
    said = [
        f"{words} {', '.join(f'{label!r} ({sizes[label]:,} cells)' for label in found[:_SHOWN])}."
        for words, found in (("Labels that look like it:", likely), ("The largest others:", others))
        if found
    ]
    return " ".join(said)
