"""The tutorial runs as it is printed, and finds what it says."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "ms1.md"


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_every_block_is_python():
    assert len(blocks()) == 5
    for block in blocks():
        compile(block, str(PAGE), "exec")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_the_blocks_run_in_order_and_the_planted_diseases_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope, said = {}, io.StringIO()
    for block in blocks():
        with redirect_stdout(said):
            exec(block, scope)
    called = re.findall(r"^\[.*\]$", PAGE.read_text(), flags=re.MULTILINE)
    assert str(scope["answer"].called()) in called
    assert {"septic shock", "Kawasaki disease"} <= set(scope["answer"].called())
    assert not {"asthma", "hypertension", "systemic lupus erythematosus"} & set(scope["answer"].called())
    assert (tmp_path / "ms1" / "report.html").exists()
    assert (tmp_path / "scores.png").exists()
