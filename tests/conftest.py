"""Fixtures that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Find a file of the optional real data, or skip the test and say why."""
    root = Path(os.environ.get("INSIGNIA_DATA", Path(__file__).parents[2] / "shared" / "data"))

    def find(relative: str) -> Path:
        path = root / relative
        if not path.exists():
            pytest.skip(f"real data not found: {relative} (set INSIGNIA_DATA to a copy of the test data)")
        return path

    return find
