"""Python in a process of its own: one with threads, as a test process may be, must not be forked."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["last_line"]


def last_line(*arguments: str, timeout: float) -> str:
    """Run Python with arguments in the folder of the project; the last line that it printed."""
    root = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]
