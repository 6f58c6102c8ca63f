"""What a stack holds, section by section, before anything is done with it."""

import numpy as np
import pandas as pd

from insignia.data import SectionStack

__all__ = ["check"]


def check(stack: SectionStack) -> pd.DataFrame:
    """List what each section of a stack holds.

    Returns
    -------
    Indexed by section, in order of depth: ``z_um``, ``spots``, ``is_virtual``, ``genes``, ``median_counts`` (NaN where
    nothing was measured), ``image_um_per_px`` and ``image_mm`` (NaN and empty without a picture), ``pose``, and
    ``features``, the encoders whose features are there.
    """
    rows = {}
    for section in stack:
        image, spots = section.image, section.spots
        measured = section.is_measured and spots.n_obs > 0
        rows[section.name] = {
            "z_um": section.z_um,
            "spots": spots.n_obs,
            "is_virtual": section.is_virtual,
            "genes": spots.n_vars,
            "median_counts": float(np.median(np.asarray(spots.X.sum(axis=1)))) if measured else float("nan"),
            "image_um_per_px": float("nan") if image is None else image.um_per_px,
            "image_mm": "" if image is None else " x ".join(f"{size / 1000:.1f}" for size in image.size_um),
            "pose": "none" if section.pose is None else section.pose.status,
            "features": ", ".join(sorted(name[2:] for name in spots.obsm if name.startswith("X_"))),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("section")
