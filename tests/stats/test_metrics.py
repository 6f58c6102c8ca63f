"""AUROC against all pairs, its symmetries and refusals."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.stats import auroc


@pytest.mark.parametrize("seed", range(5))
def test_auroc_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 6, 60).astype(float), rng.random(60) < 0.3
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    expected = ((pairs > 0).sum() + 0.5 * (pairs == 0).sum()) / pairs.size
    assert auroc(scores, positive) == pytest.approx(expected, abs=1e-12)
    assert auroc(-scores, positive) == pytest.approx(1 - expected, abs=1e-12)
    assert auroc(np.append(scores, np.nan), np.append(positive, True)) == auroc(scores, positive)


def test_auroc_at_its_ends():
    assert auroc(np.array([0.0, 1, 2, 3]), np.array([False, False, True, True])) == 1.0
    assert auroc(np.zeros(4), np.array([False, False, True, True])) == 0.5


def test_auroc_refuses():
    with pytest.raises(InputError, match="2 positives and 0 negatives"):
        auroc(np.array([1.0, 2.0, np.nan]), np.array([True, True, False]))
    with pytest.raises(InputError, match="one value a cell"):
        auroc(np.ones(3), np.ones(2, bool))
