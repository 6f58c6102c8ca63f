"""Features that were made elsewhere, matched to spots by name or by place, never by order."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import CoverageWarning, InputError
from insignia.data import Section, SectionStack
from insignia.spatial.features.feature_files import SUFFIXES, FoundFeatures, from_table, read_features
from insignia.spatial.features.feature_matching import FeatureCoverage, match_features

__all__ = ["feature_coverage", "precomputed"]

Source = str | Path | pd.DataFrame


def precomputed(
    stack: SectionStack,
    source: Source | Mapping[str, Source],
    *,
    min_coverage: float = 0.5,
    key_added: str | None = None,
) -> SectionStack:
    """Take features that were made elsewhere.

    Parameters
    ----------
    stack
        Its sections need no images, except where features come with places instead of names.
    source
        An `obsm` key that sections have; a file or a table of features, see `read_features`; a folder with one such
        file for each section, called after it; or files or tables by section. One file for several sections says in a
        column `section` which is which, or calls its rows ``section:spot``.
    min_coverage
        Share of a section's spots below which its features are refused.
    key_added
        Stands for the name of the file, folder or key in ``obsm["X_" + name]``.

    Returns
    -------
    The stack with ``obsm["X_" + name]``, (spots, features) float32; spots without features have NaN, and sections
    without any are named in the notes. How many spots were found stands in ``uns["X_" + name]``, and `feature_coverage`
    makes a table of it.

    Raises
    ------
    InputError
        No section or too few spots of one are found, or sections have different features.
    DuplicateNames
        A name has several rows or several spots.
    FileFormatError
        A file is not readable, or does not say whose features it holds.

    Warns
    -----
    CoverageWarning
        Some spots of a section have no features.
    """
    name, found = _find(stack, source)
    key = keys.features(key_added or name)
    changed = {}
    for section, features in found.items():
        values, coverage = match_features(stack[section], features)
        _check_coverage(stack[section], features, coverage, min_coverage)
        changed[section] = _with_features(stack[section], key, values, coverage, features.columns)
    widths = {section: changed[section].spots.obsm[key].shape[1] for section in changed}
    if len(set(widths.values())) > 1:
        raise InputError(f"Sections have features of different lengths: {widths}. Make them with one encoder.")
    without = [section for section in stack.names if section not in changed]
    note = (f"{', '.join(without)}: not in the source, so no {key}.",) if without else ()
    kept = tuple(existing for existing in stack.notes if existing not in note)
    return replace(stack.with_sections(changed), notes=kept + note)


def feature_coverage(stack: SectionStack, name: str) -> pd.DataFrame:
    """Count the spots of each section that have features called `name`: one row a section."""
    rows = {}
    for section in stack:
        values = section.spots.obsm.get(keys.features(name))
        made = section.spots.uns.get(keys.features(name), {})
        rows[section.name] = {
            "n_spots": section.spots.n_obs,
            "n_found": 0 if values is None else int(np.isfinite(np.asarray(values)).all(axis=1).sum()),
            "n_unused": int(made.get("n_unused", 0)),
            "matched_by": str(made.get("matched_by", "")),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("section")


def _find(stack: SectionStack, source: Source | Mapping[str, Source]) -> tuple[str, dict[str, FoundFeatures]]:
    """Find what the features are called, and those of each section that has some."""
    if isinstance(source, Mapping):
        unknown = sorted(set(source) - set(stack.names))
        if unknown or not source:
            raise InputError(f"Features are given for sections {unknown}; there are {', '.join(stack.names)}.")
        return "precomputed", {name: _read(given) for name, given in source.items()}
    if isinstance(source, pd.DataFrame):
        return "precomputed", _divide(stack, from_table(source), "the table")
    having = {section.name: section for section in stack if source in section.spots.obsm}
    if having:
        key = str(source)
        return key.removeprefix("X_"), {name: _of_obsm(section, key) for name, section in having.items()}
    path = Path(source)
    if path.is_dir():
        return path.name, _read_folder(stack, path)
    if not path.exists():
        held = sorted({key for section in stack for key in section.spots.obsm})
        raise InputError(f"{str(source)!r} is neither a file, a folder nor an obsm key; sections have {held}.")
    return path.stem, _divide(stack, read_features(path), str(path))


def _read(source: Source) -> FoundFeatures:
    return from_table(source) if isinstance(source, pd.DataFrame) else read_features(Path(source))


def _of_obsm(section: Section, key: str) -> FoundFeatures:
    held = section.spots.obsm[key]
    columns = tuple(str(column) for column in held) if isinstance(held, pd.DataFrame) else ()
    return FoundFeatures(np.asarray(held, dtype=np.float32), section.spots.obs_names.to_numpy(str), columns=columns)


def _read_folder(stack: SectionStack, folder: Path) -> dict[str, FoundFeatures]:
    files = {
        file.stem: file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES and file.stem in stack.names
    }
    if not files:
        raise InputError(
            f"{folder} should hold files called after sections, e.g. {stack.names[0]}{SUFFIXES[0]}; "
            f"it holds {sorted(item.name for item in folder.iterdir())[:5]}."
        )
    return {name: read_features(files[name]) for name in stack.names if name in files}


def _divide(stack: SectionStack, found: FoundFeatures, source: str) -> dict[str, FoundFeatures]:
    """Divide rows among sections, by what they say."""
    if found.sections is None and len(stack) == 1:
        return {stack.names[0]: found}
    if found.names is None:
        raise InputError(
            f"{source} has places in one image, and there are {len(stack)} sections. Give a file for each."
        )
    sections, names = found.sections, found.names
    if sections is None:
        split = [name.partition(":") for name in names.astype(str)]
        sections, names = np.array([left for left, _, _ in split]), np.array([right for _, _, right in split])
    divided = {
        name: replace(found, values=found.values[sections == name], names=names[sections == name], sections=None)
        for name in stack.names
        if (sections == name).any()
    }
    if not divided:
        raise InputError(
            f"None of the rows of {source} belongs to {', '.join(stack.names)}; the first are "
            f"{found.names[:3].tolist()}. Add a column 'section', call rows 'section:spot', or give one "
            "file for each section."
        )
    return divided


def _check_coverage(section: Section, found: FoundFeatures, coverage: FeatureCoverage, least: float) -> None:
    if coverage.share == 1:
        return
    rows = f"rows such as {found.names[:3].tolist()}" if found.names is not None else f"tiles of {found.tile_px:g} px"
    message = (
        f"{coverage.n_found} of {coverage.n_spots} spots of section {section.name!r} have features: "
        f"{rows}, and spots such as {section.spots.obs_names[:3].tolist()}"
    )
    if coverage.share < least:
        raise InputError(f"{message}. Rename one to match the other, or lower min_coverage, {least:g} now.")
    warnings.warn(f"{message}. The others count as having none.", CoverageWarning, stacklevel=3)


def _with_features(
    section: Section, key: str, values: np.ndarray, coverage: FeatureCoverage, columns: tuple[str, ...]
) -> Section:
    spots = section.spots.copy()
    spots.obsm[key] = values
    spots.uns[key] = {
        "encoder": "precomputed",
        "columns": np.array(columns or [str(number) for number in range(values.shape[1])]),
        "n_found": coverage.n_found,
        "n_unused": coverage.n_unused,
        "matched_by": coverage.matched_by,
    }
    return replace(section, spots=spots)
