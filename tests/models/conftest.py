"""Tiny models in the published layouts."""

import pytest
from tests.lookalikes import scimilarity


@pytest.fixture
def scimilarity_directory(tmp_path):
    """Write a look-alike of a released directory, and return its folder with the weights in it."""

    def build(*, hidden=(16, 12), genes=40, seed=0, folder="look-alike"):
        names = [f"GENE{i}" for i in range(genes)]
        path = scimilarity.build(tmp_path / folder, names=names, hidden=hidden, latent=6, seed=seed)
        return path, scimilarity.state_dict(genes=genes, hidden=hidden, latent=6, seed=seed)

    return build
