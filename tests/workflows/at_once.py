"""Commands that start together, forked from a process of their own.

python -m tests.workflows.at_once FOLDER '[["attribute", ...], ...]'
"""

import json
import os
import sys
from contextlib import chdir
from pathlib import Path

from tests.fresh_process import last_line

__all__ = ["at_once"]


def at_once(folder, *commands):
    """Run commands in children that start together; their exit codes, once all that they said was our own words."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    codes = json.loads(last_line("-m", "tests.workflows.at_once", str(folder), words, timeout=300))
    said = [(folder / f"said{number}").read_text() for number in range(len(commands))]
    assert all(code == 0 or words.startswith("error: ") for code, words in zip(codes, said, strict=True)), said
    assert not [item for item in folder.iterdir() if item.name.startswith(".")]
    return codes


def _forked(folder, commands):
    from insignia.cli.main import run

    start, go = os.pipe()
    children = []
    for number, words in enumerate(commands):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.dup2(os.open(folder / f"said{number}", os.O_WRONLY | os.O_CREAT), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
                os.close(go)
                os.read(start, 1)
                sys.argv = ["insignia", *words, "--json"]
                with chdir(folder):
                    run()
                code = 0
            except SystemExit as left:
                code = left.code or 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    os.close(start)
    os.close(go)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    print(json.dumps(_forked(Path(sys.argv[1]), json.loads(sys.argv[2]))))
