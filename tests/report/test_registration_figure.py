"""The overlay of a registered section."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.data import Handling, SerialOptions, simulate_sections
from insignia.report import registration_figure
from insignia.spatial import register


@pytest.fixture(scope="module")
def stack():
    handling = Handling(rotation_deg=120, shift_um=200)
    return simulate_sections(SerialOptions(n_sections=2, size_um=1600, handling=handling), rng=1).stack


def test_the_sections_agree_after_registration_and_not_before(stack):
    figure = registration_figure(register(stack, reference="s1"), "s2")
    before, after = (ax.images[0].get_array() for ax in figure.axes)

    def disagreement(picture):
        return float(np.abs(picture[..., 0] - picture[..., 1]).mean())

    assert disagreement(after) < disagreement(before)
    assert "registered" in figure.axes[1].get_title()


def test_a_stack_without_poses_is_refused(stack):
    with pytest.raises(InputError, match="Register the stack first"):
        registration_figure(stack, "s2")
