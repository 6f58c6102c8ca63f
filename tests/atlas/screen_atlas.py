"""An atlas with a planted program: its genes matter more in the monocytes of the sick, in every study."""

import numpy as np
from benchmarks.attack.atlas_cells import N_GENES, cells, make_atlas, scaled

PLANTED = [f"GENE{k}" for k in range(5, 11)]
TYPES = ("monocyte", "T cell")


def study(name, *, cases=6, controls=6, n=80, effect=1.2, disease="sepsis", genes=None, seed=0, tissue="blood"):
    """Attributed cells of some donors, `n` each; donors differ, and so do studies."""
    rng = np.random.default_rng([seed, *name.encode()])
    donors = cases + controls
    donor = np.repeat(np.arange(donors), n)
    sick = donor < cases
    kind = rng.integers(0, 2, donors * n)
    values = rng.gamma(0.7, size=(donors * n, N_GENES)) * (rng.random((donors * n, N_GENES)) < 0.5)
    values *= np.exp(rng.normal(0, 0.25, (donors, N_GENES)))[donor] * np.exp(rng.normal(0, 0.5, N_GENES))
    values[:, 5:11] *= np.where(sick & (kind == 0), np.exp(effect), 1.0)[:, None]
    measured = np.arange(N_GENES) if genes is None else np.asarray(genes)
    return cells(
        name,
        donors * n,
        genes=measured,
        values=scaled(values[:, measured]),
        sample=[f"s{k}" for k in donor],
        donor=[f"d{k}" for k in donor],
        disease=np.where(sick, disease, "normal").tolist(),
        cell_type=[TYPES[k] for k in kind],
        tissue=tissue,
    )


def planted_atlas(path, **options):
    """Two studies of sepsis and one of flu without an effect; one study did not measure all genes."""
    return make_atlas(
        path,
        [
            study("A", **options),
            study("B", genes=range(36), **options),
            study("C", disease="flu", effect=0.0),
        ],
    )


def random_sets(n, size=6, seed=1):
    """Gene sets without the planted genes."""
    rng = np.random.default_rng(seed)
    others = [f"GENE{k}" for k in range(N_GENES) if not 5 <= k < 11]
    return {f"random {k}": rng.choice(others, size, replace=False).tolist() for k in range(n)}
