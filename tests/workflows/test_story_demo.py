"""One program through all four questions: each answer is checked against what was planted."""

import pytest

from insignia.core.errors import InputError
from insignia.workflows import demos


def test_the_quick_story(tmp_path):
    out = tmp_path / "out"
    summary = demos["story"](out, quick=True, show_progress=False)
    assert summary["planted_share_of_found"] > 2.5 * summary["planted_share_by_chance"]
    assert len(summary["found_genes"]) == 40
    assert summary["tissue"]["blend"]["correlation"] > 0.4
    assert 0.8 < summary["tissue"]["blend"]["covered"] <= 1
    accuracy = summary["accuracy"]
    assert accuracy["model"]["spearman"] > 0.2
    assert accuracy["model"]["error"] < accuracy["mean of all"]["error"]
    for name in ("report.html", "genes.png", "diseases.png", "tissue.png", "perturbations.png"):
        assert (out / name).stat().st_size > 1000
    assert summary["quietest"] in (out / "report.html").read_text()
    with pytest.raises(InputError, match="overwrites nothing"):
        demos["story"](out, quick=True, show_progress=False)
