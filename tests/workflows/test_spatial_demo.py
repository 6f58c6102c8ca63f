"""The spatial demo writes what it says, and its imputation beats what comes for free."""

import pytest

from insignia.core.errors import InputError
from insignia.workflows import demos


def test_the_quick_demo(tmp_path):
    summary = demos["spatial"](tmp_path / "out", quick=True, show_progress=False)
    assert summary["failed_registration"] == []
    scores = {name: row["skill"] for name, row in summary["scores"].items()}
    assert scores["blend"] > max(scores["ridge"], scores["mean"])
    for name in ("report.html", "stack.png", "gene_maps.png", "stack_3d.png", "scoreboard.png", "imputed.h5ad"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
    with pytest.raises(InputError, match="overwrites nothing"):
        demos["spatial"](tmp_path / "out", quick=True, show_progress=False)
