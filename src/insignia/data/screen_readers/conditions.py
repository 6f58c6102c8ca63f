"""From labels taken apart to conditions: controls, kinds, and genes by their names of today."""

from collections.abc import Mapping, Sequence

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition, GenePerturbation
from insignia.data.screen_readers.contract import Labels, RawCondition
from insignia.data.screen_readers.controls import need_control, refuse_unnamed_controls
from insignia.genes import Renames

__all__ = ["conditions_of", "kept_cells"]


def kept_cells(labels: Labels, leave_out: Sequence[str]) -> np.ndarray:
    """(cells,) whether the label of each is none of those to leave out.

    Raises
    ------
    InputError
        A label to leave out is not there.
    """
    texts = [one.text for one in labels.raw]
    absent = [text for text in leave_out if text not in texts]
    if absent:
        raise InputError(f"leave_out names {', '.join(map(repr, absent[:5]))}, which no cell has as its label.")
    kept: np.ndarray = ~np.isin(labels.code, [i for i, text in enumerate(texts) if text in leave_out])
    return kept


def conditions_of(
    labels: Labels, control: str | Sequence[str] | None, renames: Renames, *, needs_control: bool = True
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """Turn each label that has cells into a condition.

    Parameters
    ----------
    labels
        Of the cells that are kept.
    control
        Names that mean that nothing was perturbed.
    renames
        Old symbols of the perturbed genes.
    needs_control
        Whether there must be a control; predicted cells may come without.

    Returns
    -------
    One condition a label, and notes about what was renamed and left aside.

    Raises
    ------
    InputError
        The control is not named or not there, a cell has no label, or a label is no set of genes.
    """
    sizes = np.bincount(labels.code, minlength=len(labels.raw))
    used = [one for one, size in zip(labels.raw, sizes, strict=True) if size]
    by_text: dict[str, int] = {}
    for one, size in zip(labels.raw, sizes, strict=True):
        by_text[one.text] = by_text.get(one.text, 0) + int(size)
    parts = {part for one in used for part in one.parts}
    _refuse_unlabelled(by_text)
    is_needed = needs_control or control is not None
    sizes_by_text = {text: size for text, size in by_text.items() if size}
    names = need_control(control, sizes_by_text, parts) if is_needed else frozenset[str]()
    refuse_unnamed_controls(names, parts)
    genes, notes = _renamed(sorted(parts - names), renames)
    kinds = {kind for one in used for part, kind in zip(one.parts, one.kinds, strict=True) if part not in names}
    if len(kinds) == 1 and (kind := next(iter(kinds))):
        notes.append(f"all perturbations are of one kind, {kind}, which conditions therefore do not name")
    keep_kinds = len(kinds) > 1
    return tuple(_condition(one, names, genes, keep_kinds=keep_kinds) for one in labels.raw), tuple(notes)


def _condition(raw: RawCondition, control: frozenset[str], genes: Mapping[str, str], *, keep_kinds: bool) -> Condition:
    try:
        return Condition(
            tuple(
                GenePerturbation(genes.get(part, part), kind if keep_kinds else "", dose)
                for part, kind, dose in zip(raw.parts, raw.kinds, raw.doses, strict=True)
                if part not in control
            )
        )
    except InputError as error:
        error.add_note(
            f"This is about the label {raw.text!r}. Leave its cells out with leave_out={[raw.text]!r}, or name what "
            "joins genes with separator=."
        )
        raise


def _refuse_unlabelled(sizes: Mapping[str, int]) -> None:
    for text in ("nan", ""):
        if sizes.get(text):
            raise InputError(
                f"{sizes[text]:,} cells have no label of what was perturbed. If they are to be left out, pass "
                f"leave_out=[{text!r}]; they are never taken for controls."
            )


def _renamed(genes: Sequence[str], renames: Renames) -> tuple[dict[str, str], list[str]]:
    """Map each gene that has exactly one new symbol to it; a name that may mean several genes stays."""
    new = {gene: renames.new[gene] for gene in genes if gene in renames.new}
    certain = {gene: next(iter(names)) for gene, names in new.items() if len(names) == 1}
    certain = {gene: name for gene, name in certain.items() if gene != name}
    notes = []
    if certain:
        notes.append(f"perturbed genes by their new names: {', '.join(f'{a} -> {b}' for a, b in certain.items())}")
    unsure = [f"{gene} ({' or '.join(sorted(names))})" for gene, names in new.items() if len(names) > 1]
    if unsure:
        notes.append(f"old names that may mean several genes, kept: {', '.join(unsure)}")
    return certain, notes
