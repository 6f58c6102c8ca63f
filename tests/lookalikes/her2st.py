"""Patients in the layout of HER2ST, without pictures, whose sections can be registered by their outline."""

import numpy as np
import pandas as pd

from tests.spatial.measured_stacks import measured_stack

__all__ = ["build"]


def build(root, **options):
    """Write two or three sections of each of three patients; `options` are those of `measured_stack`."""
    for folder in ("ST-cnts", "ST-spotfiles"):
        (root / folder).mkdir()
    for seed, patient in enumerate("ABC"):
        for number, section in enumerate(measured_stack(sections=2 + (patient == "B"), seed=seed, **options), start=1):
            place = np.stack(np.meshgrid(np.arange(9), np.arange(9)), -1).reshape(-1, 2) + 3
            # a shape that fits over itself in one way only
            inside = (place @ [1.0, 1.7] < 26) & ~((place[:, 0] > 8) & (place[:, 1] < 6))
            place, values = place[inside], section.spots.X[inside].astype(int)
            names = [f"{x}x{y}" for x, y in place]
            counts = pd.DataFrame(values, index=names, columns=section.spots.var_names)
            counts.to_csv(root / f"ST-cnts/{patient}{number}.tsv.gz", sep="\t")
            table = pd.DataFrame(place, columns=["x", "y"])
            table[["new_x", "new_y"]] = place
            table[["pixel_x", "pixel_y"]] = 290.0 * place + np.array([40.0 * number, 0])
            table["selected"] = 1
            table.to_csv(root / f"ST-spotfiles/{patient}{number}_selection.tsv", sep="\t", index=False)
    return root
