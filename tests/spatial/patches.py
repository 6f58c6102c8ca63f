"""Patches with a known content, drawn by the law that light obeys in stained tissue."""

import numpy as np

RGB_OF_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


def stained(haematoxylin, eosin):
    """RGB of amounts of two stains, in units of the density of a black pixel: (...) each -> (..., 3) uint8."""
    amounts = np.stack(np.broadcast_arrays(haematoxylin, eosin), axis=-1)
    return np.rint(255 * np.exp(np.log(1e-6) * amounts @ RGB_OF_STAINS)).astype(np.uint8)


def nuclei(n, radius=4.0, side=112, seed=0, *, haematoxylin=0.15, eosin=0.03):
    """A patch of eosin with `n` round nuclei that do not touch, and the area of one in pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    places = np.stack(np.meshgrid(*[np.arange(10, side - 9, 15)] * 2), axis=-1).reshape(-1, 2)
    amount = np.zeros((side, side))
    for place in rng.permutation(places)[:n]:
        amount[(y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius**2] = haematoxylin
    area = np.count_nonzero((y - 50) ** 2 + (x - 50) ** 2 <= radius**2)
    return stained(amount, eosin), area


def textured(n, side=112, seed=0):
    """Patches of smooth random stains."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (2, n, side // 8 + 1, side // 8 + 1))
    fields = np.kron(coarse, np.ones((8, 8)))[:, :, :side, :side]
    for axis in (2, 3):
        fields = np.mean([np.roll(fields, shift, axis=axis) for shift in range(-4, 5)], axis=0)
    grain = rng.normal(0, 0.004, fields.shape)
    return stained(np.maximum(0.12 * fields[0] + grain[0], 0), np.maximum(0.08 * fields[1] + grain[1], 0))
