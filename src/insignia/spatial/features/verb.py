"""`spatial.features`: describe what the image shows at every spot of a stack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from insignia import __version__
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.progress import progress
from insignia.data import Section, SectionImage, SectionStack
from insignia.spatial.features.cache import FeatureCache
from insignia.spatial.features.contract import ImageEncoder, find_encoder
from insignia.spatial.features.precomputed import precomputed
from insignia.spatial.features.runner import describe_places
from insignia.spatial.features.surroundings import averaged_around

__all__ = ["features"]

_COARSE = 2.0
_SCALES_UM = (110.0, 260.0, 520.0)


@dataclass(frozen=True)
class _Plan:
    """What is asked of every section."""

    encoder: ImageEncoder
    scales_um: tuple[float, ...]
    surroundings_um: float | None
    batch_size: int
    cache: FeatureCache | None

    @property
    def columns(self) -> list[str]:
        names = [f"{scale:g}um_{column}" for scale in self.scales_um for column in self.encoder.columns]
        return names + ([f"around_{name}" for name in names] if self.surroundings_um else [])


def features(
    stack: SectionStack,
    *,
    encoder: str | ImageEncoder = "handcrafted",
    scales_um: Sequence[float] = _SCALES_UM,
    surroundings_um: float | None = None,
    batch_size: int = 64,
    key_added: str | None = None,
    use_cache: bool = True,
    show_progress: bool | None = None,
) -> SectionStack:
    """Describe what the image shows at every spot, at several scales.

    Sections without an image are left out and named in the notes of the stack. What was computed is kept by the hash of
    the image, the places, the scale and the encoder, so that an interrupted run goes on where it was, and a repeated
    one takes no time; see `clear_feature_cache`.

    Parameters
    ----------
    stack
        Sections with images; they need no poses.
    encoder
        An encoder, or the name of one: ``"handcrafted"``; ``"vit:PATH"`` and ``"resnet:PATH"``, weights with the names
        of timm's ViT and torchvision's ResNet; ``"hf:PATH"``, a folder of transformers; or ``"precomputed:WHAT"``, see
        `precomputed`.
    scales_um
        Sides of the square patches around each spot, in micrometres; each is described on its own.
    surroundings_um
        Adds averages of all features over the spots of the section, weighted by a Gaussian of this width. On real
        data they make the image alone predict better, and its blend with aligned neighbours not.
    batch_size
        Patches in memory at a time.
    key_added
        Stands for the encoder's name in ``obsm["X_" + name]``.
    use_cache
        Whether to keep features, and to use those that are kept.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    The stack with ``obsm["X_handcrafted"]``, or what the encoder is called: (spots, features) float32 as the encoder
    gives them, scale after scale, for `zscore_within_section`; and ``uns["X_handcrafted"]`` with the names of the
    columns and how they were made.

    Raises
    ------
    InputError
        No section has an image, spots lie outside it, a scale is not positive, or a section looks the same everywhere.
    UnknownName
        There is no such encoder.
    ModelFormatError, UnsafeCheckpoint
        The weights are not what they should be, or reading them would run code.
    """
    if isinstance(encoder, str) and encoder.startswith("precomputed:"):
        if tuple(scales_um) != _SCALES_UM or surroundings_um is not None:
            raise InputError("Precomputed features are taken as they are: leave out scales_um and surroundings_um.")
        return precomputed(stack, encoder.removeprefix("precomputed:"), key_added=key_added)
    plan = _plan(encoder, scales_um, surroundings_um, batch_size, use_cache=use_cache)
    name = key_added or plan.encoder.name
    pictured = {section.name: image for section in stack if (image := section.image) is not None}
    _check(stack, pictured)
    total = sum(stack[section].spots.n_obs for section in pictured) * len(plan.scales_um)
    described, notes = {}, _notes(stack, pictured, plan, name)
    with progress("describing images", total, show=show_progress) as advance:
        for section, image in pictured.items():
            described[section] = _with_features(stack[section], image, plan, name, advance)
    if plan.cache is not None:
        plan.cache.prune()
    kept = tuple(note for note in stack.notes if note not in notes)
    return replace(stack.with_sections(described), notes=kept + notes)


def _plan(
    encoder: str | ImageEncoder,
    scales_um: Sequence[float],
    surroundings_um: float | None,
    batch_size: int,
    *,
    use_cache: bool,
) -> _Plan:
    scales = tuple(float(scale) for scale in scales_um)
    if not scales or len(set(scales)) < len(scales) or not all(0 < scale < np.inf for scale in scales):
        raise InputError(f"scales_um are different positive sizes in micrometres, found {list(scales_um)}.")
    if surroundings_um is not None and not 0 < surroundings_um < np.inf:
        raise InputError(f"surroundings_um is a positive width in micrometres, or None; found {surroundings_um}.")
    if batch_size < 1:
        raise InputError(f"batch_size is at least 1, found {batch_size}.")
    cache = FeatureCache.default() if use_cache else None
    return _Plan(find_encoder(encoder), scales, surroundings_um, batch_size, cache)


def _check(stack: SectionStack, pictured: dict[str, SectionImage]) -> None:
    if not pictured:
        raise InputError(
            f"No section of {stack.name!r} has an image, and features describe images. Read the stack with its images, "
            "take features made elsewhere with encoder='precomputed:...', or impute without features."
        )
    for name, image in pictured.items():
        section = stack[name]
        is_outside = np.any((section.points_um < 0) | (section.points_um > image.size_um), axis=1)
        if is_outside.any():
            width, height = image.size_um
            raise InputError(
                f"{is_outside.sum()} of {len(is_outside)} spots of section {name!r} lie outside its image of "
                f"{width:.0f} x {height:.0f} um, e.g. {list(section.spots.obs_names[is_outside][:3])} at "
                f"{section.points_um[is_outside][0].round(1).tolist()}. Positions are micrometres from its "
                f"top-left corner: check them, and um_per_px, {image.um_per_px:g} now."
            )


def _notes(stack: SectionStack, pictured: dict[str, SectionImage], plan: _Plan, name: str) -> tuple[str, ...]:
    """Say which sections are left out, and which images are coarser than what the encoder is shown."""
    notes = []
    without = [section.name for section in stack if section.name not in pictured]
    if without:
        notes.append(f"{', '.join(without)}: no image, so no {keys.features(name)}.")
    finest = min(plan.scales_um) / plan.encoder.patch_px
    coarse = [section for section, image in pictured.items() if image.um_per_px > _COARSE * finest]
    if coarse:
        notes.append(
            f"{', '.join(coarse)}: images are coarser than {finest:.2g} um per pixel, which {name} is shown at "
            f"{min(plan.scales_um):g} um; fine texture is not in them."
        )
    return tuple(notes)


def _with_features(
    section: Section, image: SectionImage, plan: _Plan, name: str, advance: Callable[[float], None]
) -> Section:
    values = describe_places(
        plan.encoder,
        image,
        section.points_um,
        plan.scales_um,
        batch_size=plan.batch_size,
        cache=plan.cache,
        advance=advance,
    )
    if len(values) > 1 and (values == values[0]).all():
        raise InputError(
            f"The image of section {section.name!r} looks the same at all of its {len(values)} spots, so its features "
            "say nothing. Check that the picture is not blank, and that positions are micrometres in its frame."
        )
    if plan.surroundings_um:
        around = averaged_around(values, section.points_um, plan.surroundings_um)
        values = np.concatenate([values, around], axis=1)
    spots = section.spots.copy()
    spots.obsm[keys.features(name)] = values
    spots.uns[keys.features(name)] = _record(image, plan)
    return replace(section, spots=spots)


def _record(image: SectionImage, plan: _Plan) -> dict[str, Any]:
    """Return what is needed to make the features again, as an AnnData file can hold it."""
    return {
        "encoder": plan.encoder.name,
        "fingerprint": plan.encoder.fingerprint,
        "columns": np.array(plan.columns),
        "scales_um": np.array(plan.scales_um),
        "patch_px": plan.encoder.patch_px,
        "surroundings_um": plan.surroundings_um or 0.0,
        "um_per_px": image.um_per_px,
        "version": __version__,
    }
