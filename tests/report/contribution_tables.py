"""Contributions with chosen values."""

import numpy as np
import pandas as pd

from insignia.atlas import Contributions
from insignia.genes import Signature

VALUES = np.array([[0.9, 0.1, -0.2, 0.4, 0.05], [0.2, 0.3, 0.1, 0.4, 0.0], [0.0, 0.0, 0.0, 0.1, 0.0]])


def contributions(values=VALUES, *, groups=("sepsis", "normal", "flu"), by="disease", name="five genes"):
    """Make contributions whose attributions are the values, with a gene that the last group did not measure."""
    genes = tuple(f"GENE{k}" for k in range(values.shape[1]))
    measured = np.ones(values.shape)
    measured[-1, 0] = 0
    return Contributions(
        signature=Signature(name, genes),
        agg="mean",
        by=(by,),
        unit="donor",
        groups=pd.DataFrame({by: groups, "cells": 100, "unscored": 0, "score": values.sum(axis=1)}),
        genes=genes,
        weights=np.ones(len(genes), dtype=np.float32),
        values=values,
        attribution=np.where(measured > 0, np.abs(values), np.nan),
        detection=np.where(measured > 0, np.minimum(1, np.abs(values)), np.nan),
        measured=measured,
    )
