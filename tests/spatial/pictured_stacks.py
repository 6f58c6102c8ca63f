"""Small stacks with pictures, and an encoder that says what it was shown."""

import numpy as np
import pandas as pd
from anndata import AnnData
from tests.spatial.patches import textured

from insignia.data import Section, SectionImage, SectionStack
from insignia.spatial.features.contract import ImageEncoder

UM_PER_PX = 2.0


def picture(seed=0, side=300):
    return textured(1, side=side, seed=seed)[0]


def section(name="s1", *, seed=0, n=12, image=True, z_um=0.0):
    """Spots anywhere in a picture of 600 x 600 um, in no order."""
    rng = np.random.default_rng(seed)
    spots = AnnData(np.ones((n, 2), dtype=np.float32), pd.DataFrame(index=[f"{name}-{k}" for k in range(n)]))
    spots.obsm["spatial"] = rng.uniform(100, 500, (n, 2))
    return Section(name, z_um, spots, image=SectionImage(picture(seed), UM_PER_PX) if image else None)


def stack(*sections):
    return SectionStack("donor", sections or (section("s1"), section("s2", seed=1, z_um=20.0)), pitch_um=100.0)


class Colours(ImageEncoder):
    """The mean colour of a patch, and how many patches it was shown."""

    name, fingerprint, patch_px, columns = "colours", "f" * 64, 16, ("red", "green", "blue")

    def __init__(self, fail_after=None):
        self.n_shown, self.most_at_once, self.fail_after = 0, 0, fail_after

    def _encode(self, patches):
        if self.fail_after is not None and self.n_shown >= self.fail_after:
            raise KeyboardInterrupt
        self.n_shown += len(patches)
        self.most_at_once = max(self.most_at_once, len(patches))
        return patches.mean(axis=(1, 2))
