"""A screen as AnnData and as a h5ad file that says itself what its control is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import FileFormatError
from insignia.data.condition import CONTROL
from insignia.data.perturbation import PerturbationData
from insignia.data.readers import write_h5ad

__all__ = ["number_in", "screen_to_anndata", "stated_in", "write_screen"]

FORMAT: Final = "insignia screen 1"


def screen_to_anndata(data: PerturbationData) -> AnnData:
    """Give a screen as AnnData, log expression in `X`, that `read_screen` reads without being told anything."""
    conditions = np.array([str(condition) for condition in data.conditions], dtype=object)
    obs = pd.DataFrame(
        {
            keys.CONDITION: pd.Categorical(conditions[data.condition]),
            keys.CONTEXT: pd.Categorical(np.array(data.contexts, dtype=object)[data.context]),
            keys.REPLICATE: pd.Categorical(np.array(data.replicates, dtype=object)[data.replicate]),
        },
        index=pd.Index(data.cells.astype(str)),
    )
    about = {"format": FORMAT, "control": CONTROL, "scale": float(data.scale), "notes": list(data.notes)}
    return AnnData(data.expression.copy(), obs=obs, var=pd.DataFrame(index=list(data.genes)), uns={keys.PERTURB: about})


def write_screen(data: PerturbationData, path: str | Path) -> None:
    """Write a screen to a h5ad file, whole or not at all; `read_screen` reads it without being told anything."""
    write_h5ad(screen_to_anndata(data), path)


def number_in(stated: Mapping[str, Any], name: str) -> float:
    """Read a number that a file says of itself; NaN where it says none.

    Raises
    ------
    FileFormatError
        It says something else.
    """
    value = stated.get(name, np.nan)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"uns[{keys.PERTURB!r}][{name!r}] should be a number, and is {value!r}.") from error


def stated_in(adata: AnnData) -> Mapping[str, Any] | None:
    """Return what a file of `write_screen` says of itself; `None` for other files.

    Raises
    ------
    FileFormatError
        It was written by another version, or does not say what it should.
    """
    about = adata.uns.get(keys.PERTURB)
    if not isinstance(about, Mapping) or not str(about.get("format", "")).startswith("insignia screen"):
        return None
    if about["format"] != FORMAT or not {"control", "scale", "notes"} <= set(about):
        raise FileFormatError(
            f"This screen says of itself {dict(about)}; this version reads {FORMAT!r} with control, scale and notes. "
            "Write it again with write_screen."
        )
    return about
