"""From a registered stack to what imputers see: one table of spots in the common frame."""

from collections.abc import Collection

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import Section, SectionStack
from insignia.spatial.contract import StackSpots
from insignia.spatial.features.scaling import zscore_within_section
from insignia.spatial.panel import Panel, normalise, panel_counts

__all__ = ["assemble", "known_sections"]


def known_sections(stack: SectionStack, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the sections whose expression may be seen, in order of depth; all that are measured by default.

    Raises
    ------
    InputError
        A name is not in the stack, or its section is not measured.
    """
    if known is None:
        return stack.measured
    if isinstance(known, str):
        known = (known,)
    for name in known:
        if not stack[name].is_measured:
            raise InputError(
                f"Section {name!r} cannot be known: nothing was measured there. "
                f"Measured: {', '.join(stack.measured) or 'none'}."
            )
    return tuple(name for name in stack.names if name in set(known))


def assemble(
    stack: SectionStack, panel: Panel, *, known: Collection[str] | None = None, features: str | None = "handcrafted"
) -> StackSpots:
    """Bring all spots of a stack into one table.

    Only the counts of known sections are read; the expression of all other spots is NaN.

    Parameters
    ----------
    stack
        Its sections have poses; a stack of one section needs none.
    panel
        The genes, in their order.
    known
        Names of the sections whose expression may be seen; `None` for all that are measured.
    features
        Encoder whose features, ``obsm["X_<features>"]``, are taken, z-scored within each section and clipped at 4;
        `None` takes none. Sections without that entry get NaN, and a stack without any gets no features.

    Raises
    ------
    InputError
        A section has no pose, spots repeat within a section, or feature lengths differ.
    """
    known = known_sections(stack, known)
    sections = tuple(stack)
    sizes = [section.spots.n_obs for section in sections]
    expression = np.full((sum(sizes), len(panel)), np.nan, dtype=np.float32)
    is_known = np.repeat([section.name in known for section in sections], sizes)
    seen = [normalise(panel_counts(section.spots, panel)) for section in sections if section.name in known]
    if seen:
        expression[is_known] = np.concatenate(seen)
    names = np.concatenate([spot_names(section) for section in sections]) if sizes else np.empty(0, dtype=object)
    return StackSpots(
        names=names,
        sections=stack.names,
        section=np.repeat(np.arange(len(sections)), sizes),
        xyz_um=np.concatenate([_positions(section, is_alone=len(sections) == 1) for section in sections]),
        is_placed=np.repeat([section.pose is None or section.pose.is_ok for section in sections], sizes),
        genes=panel.genes,
        expression=expression,
        is_known=is_known,
        features=None if features is None else _features(sections, features),
        pitch_um=stack.pitch_um,
    )


def spot_names(section: Section) -> np.ndarray:
    """Return the names of a section's spots within the stack, ``section:spot``."""
    names = section.spots.obs_names
    if not names.is_unique:
        repeated = list(names[names.duplicated()][:3])
        raise InputError(f"Spots of section {section.name!r} need names of their own; repeated: {repeated}.")
    return np.array([f"{section.name}:{name}" for name in names], dtype=object)


def _positions(section: Section, *, is_alone: bool) -> np.ndarray:
    if section.pose is None and is_alone:
        return np.column_stack([section.points_um, np.full(section.spots.n_obs, section.z_um)])
    return section.common_um


def _features(sections: tuple[Section, ...], encoder: str) -> np.ndarray | None:
    key = keys.features(encoder)
    found = [np.asarray(s.spots.obsm[key], dtype=np.float64) if key in s.spots.obsm else None for s in sections]
    lengths = {array.shape[1] for array in found if array is not None}
    if len(lengths) > 1:
        raise InputError(f"Sections have obsm[{key!r}] of different lengths: {sorted(lengths)}. Encode them alike.")
    if not lengths:
        return None
    width = lengths.pop()
    blank = [
        np.full((s.spots.n_obs, width), np.nan) if a is None else zscore_within_section(a)
        for s, a in zip(sections, found, strict=True)
    ]
    return np.concatenate(blank).astype(np.float32)
