"""Taking the counts of sections away, so that what is to be predicted cannot leak."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.sections import Section, SectionStack

__all__ = ["hide_counts"]


def hide_counts(stack: SectionStack, known: Iterable[str]) -> SectionStack:
    """Return a stack in which only some sections are measured.

    The others keep their image, their pose, and names and positions of their spots; everything else of their spots,
    such as totals in `obs`, is left out, since it derives from counts.

    Parameters
    ----------
    stack
        Sections with counts; left as it is.
    known
        Names of the sections that stay measured.

    Raises
    ------
    InputError
        A name is not in the stack, or its section is not measured.
    """
    known = (known,) if isinstance(known, str) else tuple(known)
    for name in known:
        if not stack[name].is_measured:
            raise InputError(
                f"Section {name!r} cannot stay known: it has no counts. Measured: {', '.join(stack.measured)}."
            )
    hidden = {section.name: _without_counts(section) for section in stack if section.name not in known}
    return stack.with_sections(hidden)


def _without_counts(section: Section) -> Section:
    obs = pd.DataFrame(index=section.spots.obs_names.copy())
    empty = np.zeros((len(obs), 0), dtype=np.float32)
    return replace(section, spots=AnnData(empty, obs=obs, obsm={keys.SPATIAL: section.points_um.copy()}))
