"""Small registered stacks, and imputed expression in the layout of the imputers, with chosen values."""

from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.data import Pose, SerialOptions, hide_counts, simulate_sections

SMALL = SerialOptions(n_sections=3, size_um=1200.0, um_per_px=12.0, genes_per_group=2)


def simulated(n=3, *, failed=(), poses=True, prefix="s", damage=None, z_um=90.0, images=True):
    """Simulate a small stack with its true poses; `prefix` makes the names of the sections."""
    options = replace(SMALL, n_sections=n, damage=damage or {}, spacing_um=z_um, with_images=images)
    made = simulate_sections(options, name="block $1", rng=0)
    sections = []
    for number, section in enumerate(made.stack):
        pose = None
        if poses:
            transform = made.truth[section.name].transform
            status = "failed" if section.name in failed else "registered" if number else "reference"
            quality = {"ncc": -0.43 if number == 1 else np.nan, "iou": 0.962} if number else {}
            pose = Pose(transform, status, "ecc" if number else "", quality)
        sections.append(replace(section, name=f"{prefix}{number + 1}", pose=pose))
    return replace(made.stack, sections=tuple(sections))


def imputed(stack, *, known=1, genes=6, all_sections=False):
    """Make up what an imputer returns: value = x of the spot + number of the gene, sd = 0.1 + y."""
    tables, points, own = [], [], []
    for number, section in enumerate(stack):
        if number < known and not all_sections:
            continue
        n = section.spots.n_obs
        tables.append(
            pd.DataFrame(
                {
                    keys.SECTION: section.name,
                    keys.SPOT: section.spots.obs_names.to_numpy(),
                    keys.Z_UM: section.z_um,
                    keys.IS_KNOWN: number < known,
                    keys.SUPPORT: 1.0,
                    keys.EXTRAPOLATED: np.arange(n) < (3 if number >= known else 0),
                    keys.REG_OK: section.pose is None or section.pose.is_ok,
                    "MS1": np.linspace(0, 1, n),
                },
                index=section.spots.obs_names,
            )
        )
        points.append(section.common_um)
        own.append(section.points_um)
    points = np.concatenate(points)
    names = list(stack[stack.names[0]].spots.var_names[:genes])
    values = points[:, :1] / 1000 + np.arange(len(names))
    obs = pd.concat(tables)
    obs[keys.SECTION] = obs[keys.SECTION].astype("category")
    sd = np.repeat(0.1 + points[:, 1:2] / 1000, len(names), axis=1)
    return AnnData(
        values.astype(np.float32),
        obs=obs,
        var=pd.DataFrame(index=names),
        layers={keys.SD: sd.astype(np.float32)},
        obsm={keys.SPATIAL: np.concatenate(own), keys.SPATIAL_COMMON: points},
        uns={keys.IMPUTATION: {"pitch_um": stack.pitch_um}},
    )


def partly_known(stack):
    """The stack with the counts of its first section alone."""
    return hide_counts(stack, stack.names[:1])
