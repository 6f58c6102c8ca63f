"""Sections of which there is nothing but an image."""

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.section_image import SectionImage
from insignia.data.section_readers.contract import ReadOptions
from insignia.data.sections import Section, SectionStack

__all__ = ["add_unmeasured"]

_NONE: Final = pd.Index([], dtype=object)


def add_unmeasured(stacks: list[SectionStack], options: ReadOptions) -> list[SectionStack]:
    """Add the images of the options that belong to no section yet, as sections without spots.

    Raises
    ------
    InputError
        Their depth, their scale or the stack that they belong to is not known.
    """
    found = [name for stack in stacks for name in stack.names]
    added: dict[str, list[Section]] = {stack.name: [] for stack in stacks}
    for name in options.only_images(found):
        if options.sections is not None and name not in options.sections:
            continue
        added[_home(name, added, options)].append(_section(name, options))
    return [
        replace(stack, sections=(*stack.sections, *added[stack.name]), notes=(*stack.notes, *_notes(added[stack.name])))
        for stack in stacks
    ]


def _home(name: str, stacks: dict[str, list[Section]], options: ReadOptions) -> str:
    donor = (options.donors or {}).get(name)
    if donor is None and len(stacks) == 1:
        return next(iter(stacks))
    if donor not in stacks:
        raise InputError(
            f"Of section {name!r} there is only an image, and the stack it belongs to is not known. "
            f"Give donors={{{name!r}: ...}}, one of {', '.join(stacks)}."
        )
    return donor


def _section(name: str, options: ReadOptions) -> Section:
    if options.z_um is None or name not in options.z_um:
        raise InputError(
            f"Of section {name!r} there is only an image: give its depth, and that of all others, as z_um."
        )
    assert options.images is not None
    spots = AnnData(sparse.csr_matrix((0, 0), dtype=np.float32), pd.DataFrame(index=_NONE), pd.DataFrame(index=_NONE))
    spots.obs[keys.SECTION] = pd.Series([], dtype=object)
    spots.obsm[keys.SPATIAL] = np.empty((0, 2))
    return Section(
        name, float(options.z_um[name]), spots, SectionImage.open(options.images[name], options.scale_of(name))
    )


def _notes(sections: list[Section]) -> list[str]:
    return [f"{s.name}: an image without spots, {s.image.um_per_px:.4g} um per px" for s in sections if s.image]
