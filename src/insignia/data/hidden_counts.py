"""Taking the counts of sections away, so that what is to be predicted cannot leak, and giving them back."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.sections import Section, SectionStack

__all__ = ["hide_counts", "reveal_counts"]


def hide_counts(stack: SectionStack, known: Iterable[str], *, features: Iterable[str] = ()) -> SectionStack:
    """Return a stack in which only some sections are measured.

    The others keep their image, their pose, and names and positions of their spots; everything else of their spots,
    such as totals in `obs` or a PCA, is left out, since it derives from counts.

    Parameters
    ----------
    stack
        Sections with counts; left as it is.
    known
        Names of the sections that stay measured.
    features
        Image encoders whose ``obsm["X_<name>"]`` is kept.

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
    kept = (keys.SPATIAL, *map(keys.features, features))
    hidden = {section.name: _without_counts(section, kept) for section in stack if section.name not in known}
    return stack.with_sections(hidden)


def reveal_counts(hidden: SectionStack, stack: SectionStack) -> SectionStack:
    """Give sections back the spots that `hide_counts` took from them, and keep what was learned about them since.

    Parameters
    ----------
    hidden
        Sections, e.g. registered; their poses, and what their spots have in `obsm`, stay.
    stack
        Sections of the same names and spots, with counts.
    """
    return hidden.with_sections({section.name: _with_counts(section, stack[section.name]) for section in hidden})


def _with_counts(section: Section, measured: Section) -> Section:
    spots = measured.spots.copy()
    for name, values in section.spots.obsm.items():
        spots.obsm[name] = values
    return replace(section, spots=spots)


def _without_counts(section: Section, kept: Iterable[str]) -> Section:
    obsm = section.spots.obsm
    blank = AnnData(
        np.zeros((section.spots.n_obs, 0), dtype=np.float32),
        obs=pd.DataFrame(index=section.spots.obs_names.copy()),
        obsm={key: np.array(obsm[key]) for key in kept if key in obsm},
    )
    return replace(section, spots=blank)
