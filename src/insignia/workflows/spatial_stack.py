"""From a stack as it was read to imputed expression: whatever step is missing is done on the way."""

from collections.abc import Collection, Sequence
from typing import Any

from anndata import AnnData

from insignia.core import keys
from insignia.data import SectionStack
from insignia.spatial import features, impute, lay_grids, register

__all__ = ["impute_stack", "prepare_stack"]


def prepare_stack(
    stack: SectionStack,
    *,
    known: Collection[str] | None = None,
    encoder: str | None = "handcrafted",
    mirrored: bool = False,
    show_progress: bool | None = None,
) -> SectionStack:
    """Give a stack what imputation needs and it does not have yet: spots on tissue, poses, features of the image.

    Parameters
    ----------
    stack
        As it was read.
    known
        Sections whose expression may be seen; the middle one of them is the reference of the registration.
    encoder
        Encoder of the images; `None` for no features. Without any image there are none.
    mirrored
        Whether a section may lie upside down.
    show_progress
        `None` shows bars when standard error is a terminal.

    Warns
    -----
    RegistrationWarning
        A section could not be registered; it takes part by its image alone.
    """
    if any(not section.spots.n_obs for section in stack):
        stack = lay_grids(stack)
    if any(section.pose is None for section in stack):
        seen = [name for name in stack.names if known and name in known]
        reference = seen[len(seen) // 2] if seen else None
        stack = register(stack, reference=reference, mirrored=mirrored, show_progress=show_progress)
    if encoder is not None and _lacks_features(stack, encoder):
        stack = features(stack, encoder=encoder, show_progress=show_progress)
    return stack


def impute_stack(
    stack: SectionStack,
    *,
    known: Collection[str] | None = None,
    encoder: str | None = "handcrafted",
    training: Sequence[SectionStack] = (),
    mirrored: bool = False,
    show_progress: bool | None = None,
    **options: Any,
) -> AnnData:
    """Prepare a stack and impute it.

    Parameters
    ----------
    stack, known, encoder, mirrored, show_progress
        As for `prepare_stack`.
    training
        Stacks of other donors, measured in full; prepared alike.
    options
        Further options of `insignia.spatial.impute`.

    Returns
    -------
    As `insignia.spatial.impute`.
    """
    settings: dict[str, Any] = {"encoder": encoder, "mirrored": mirrored, "show_progress": show_progress}
    ready = prepare_stack(stack, known=known, **settings)
    others = [prepare_stack(other, **settings) for other in training]
    return impute(ready, known=known, training=others, features=_column(encoder), **options)


def _lacks_features(stack: SectionStack, encoder: str) -> bool:
    return any(
        section.image is not None and keys.features(str(_column(encoder))) not in section.spots.obsm
        for section in stack
    )


def _column(encoder: str | None) -> str | None:
    """Name under which the features of an encoder are kept: what stands before the path, if it has one."""
    return None if encoder is None else encoder.partition(":")[0]
