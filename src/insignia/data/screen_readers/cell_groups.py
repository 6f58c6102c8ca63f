"""Which cells are read, by which convention, and how columns of metadata divide them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core.errors import FileFormatError, InputError
from insignia.data.screen_readers.contract import Labels, ScreenReader, column_of, screen_readers

__all__ = ["chosen_cells", "coded", "context_columns", "find_reader", "joined_columns", "narrowed"]


def find_reader(obs: pd.DataFrame, layout: str | None) -> tuple[str, ScreenReader]:
    """Return the named layout and its reader, or the one that the metadata look like.

    Raises
    ------
    FileFormatError
        None is recognised, or several are.
    """
    if layout is not None:
        return layout, screen_readers[layout]
    known = {name: screen_readers[name] for name in screen_readers}
    matches = [name for name, reader in known.items() if reader.recognises(obs)]
    special = [name for name in matches if not known[name].is_general]
    matches = special or matches
    if len(matches) == 1:
        return matches[0], known[matches[0]]
    if matches:
        raise FileFormatError(f"The labels look like {' and '.join(matches)}. Say which one with layout=.")
    layouts = "; ".join(f"{name}: {reader.needs}" for name, reader in known.items())
    raise FileFormatError(
        f"No labels of perturbations are recognised among the columns {', '.join(map(str, obs.columns)) or '(none)'}. "
        f"Known layouts are {layouts}. Name the column with layout='plain', perturbation=."
    )


def chosen_cells(obs: pd.DataFrame, where: Mapping[str, str] | None) -> np.ndarray:
    """(cells,) whether each has the wanted values in some columns.

    Raises
    ------
    InputError
        No cell has one of them.
    """
    kept = np.ones(len(obs), dtype=bool)
    for name, value in (where or {}).items():
        column = column_of(obs, name)
        has = (column == str(value)).to_numpy()
        if not has.any():
            there = sorted(column.unique())[:8]
            raise InputError(f"No cell has {value!r} in obs[{name!r}]; there are {', '.join(map(repr, there))}.")
        kept &= has
    return kept


def narrowed(adata: AnnData, labels: Labels, kept: np.ndarray) -> tuple[AnnData, Labels]:
    """Keep some cells, and the labels that they have."""
    if not kept.any():
        raise InputError("No cell is left to read: see where= and leave_out=.")
    if not kept.all():
        adata = adata[np.flatnonzero(kept)]
    used, code = np.unique(labels.code[kept], return_inverse=True)
    return adata, Labels(tuple(labels.raw[i] for i in used), code)


def context_columns(obs: pd.DataFrame, context: str | Sequence[str] | None, reader: ScreenReader) -> list[str]:
    """Return the columns that make contexts: those of the caller, else the usual one of the layout."""
    if context is None:
        return [name for name in reader.contexts if name in obs][:1]
    return [context] if isinstance(context, str) else list(context)


def joined_columns(obs: pd.DataFrame, columns: Sequence[str], alone: str) -> tuple[list[str], np.ndarray]:
    """Values of some columns joined by a slash: the different ones, and (cells,) the place of each."""
    if not columns:
        return [alone], np.zeros(len(obs), dtype=np.int64)
    joined = column_of(obs, columns[0])
    for name in columns[1:]:
        joined = joined + " / " + column_of(obs, name)
    code, texts = pd.factorize(joined)
    return [str(text) for text in texts], np.asarray(code)


def coded(texts: Sequence[str], code: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Sort texts, joining equal ones, and give each cell the place of its own."""
    ordered, place = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)
    return tuple(ordered.tolist()), place[code]
