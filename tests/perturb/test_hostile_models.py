"""A saved predictor whose sizes are made up is refused before anything of that size is built."""

import numpy as np
import pytest

from insignia.core.errors import ModelFormatError
from insignia.perturb.flow.network import VelocityNetwork
from insignia.perturb.saving import pack, unpack

SIZES = {"latent": 3, "width": 8, "depth": 2, "n_contexts": 1}


def packed():
    arrays: dict[str, np.ndarray] = {}
    return pack(VelocityNetwork(**SIZES), arrays), arrays


def test_a_network_comes_back():
    node, arrays = packed()
    again = unpack(node, arrays)
    assert again.sizes == SIZES


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [10**5, 10**12])
def test_sizes_that_do_not_fit_the_weights_are_refused_unbuilt(name, size):
    """A width of 10^5 would take 40 gigabytes a layer, a depth of 10^12 forever."""
    node, arrays = packed()
    (pair,) = [pair for pair in node["sizes"]["pairs"] if pair[0] == name]
    pair[1] = size
    with pytest.raises(ModelFormatError, match=r"other sizes|layers in|does not fit"):
        unpack(node, arrays)


def test_a_number_beyond_all_bounds_is_refused():
    node = {"kind": "csr", "parts": [[1.0], [0], [0, 1]], "shape": [1, 1e300]}
    with pytest.raises(ModelFormatError, match="does not fit this version"):
        unpack(node, {})
