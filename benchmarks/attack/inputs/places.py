"""Places on disk that cannot be written or read, are something else than they seem, or have odd names; full disks."""

import ctypes
import os
import resource
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.lookalikes import scgpt, scimilarity, scvi, section_folders

from benchmarks.attack.atlas_cells import cells, make_atlas
from benchmarks.attack.case import Case
from insignia import perturb
from insignia.data import read_stack, simulate_screen, write_h5ad, write_screen, write_stack
from insignia.perturb import save_priors

__all__ = ["cases", "give_up_powers"]

SMALL = {"n_genes": 40, "n_perturbations": 6, "n_doubles": 4, "cells_per_condition": 8, "n_controls": 30}
NAMES = {
    "long": "x" * 300,
    "of two lines": "line\nbreak",
    "of spaces": " a  b ",
    "of a home": "~",
    "of a home inside": "~root",
    "of an option": "--help",
    "of no text": b"caf\xe9".decode("utf-8", "surrogateescape"),
    "of colours": "\x1b[31mred",
    "of letters": "Zürich-日本-🧬",
    "of a star": "*",
    "of a shell": "$(touch code-was-run)",
}


@dataclass(frozen=True)
class Command:
    """A command that writes: its words, with ``@`` where the output goes, and what that is."""

    words: tuple[str, ...]
    suffix: str
    inputs: tuple[str, ...]

    @property
    def is_folder(self) -> bool:
        """Whether it writes a folder."""
        return not self.suffix


COMMANDS = {
    "score": Command(("score", "attributed.h5ad", "GENE1,GENE2", "-o", "@"), ".csv", ("attributed.h5ad",)),
    "score parquet": Command(("score", "attributed.h5ad", "GENE1,GENE2", "-o", "@"), ".parquet", ("attributed.h5ad",)),
    "attribute": Command(("attribute", "cells.h5ad", "-m", "model", "-o", "@"), ".h5ad", ("cells.h5ad",)),
    "shards": Command(("attribute", "cells.h5ad", "-m", "model", "-o", "@", "--shards", "2"), "", ("cells.h5ad",)),
    "convert": Command(("model", "convert", "scvi", "-o", "@"), "", ("scvi/model.pt",)),
    "create": Command(("atlas", "create", "@", "-m", "model"), "", ("model/encoder.ckpt", "model/gene_order.tsv")),
    "search page": Command(("search", "atlas", "GENE1,GENE2", "--min-cells", "1", "-o", "@"), ".html", ()),
    "search table": Command(("search", "atlas", "GENE1,GENE2", "--min-cells", "1", "--table", "@"), ".csv", ()),
    "pseudobulk": Command(("atlas", "pseudobulk", "atlas", "-o", "@"), ".h5ad", ()),
    "features": Command(("spatial", "features", "stack", "-o", "@", "--scale-um", "200"), "", ("stack/m1.png",)),
    "impute": Command(
        ("spatial", "impute", "stack", "-o", "@", "--encoder", "none", "--method", "nearest", "--known", "m1"),
        ".h5ad",
        ("stack/m1.tsv", "stack/alignment_table_m1.tsv"),
    ),
    "native": Command(("spatial", "features", "native", "-o", "@", "--scale-um", "200"), "", ("native/stack.json",)),
    "perturb split": Command(("perturb", "split", "screen.h5ad", "-o", "@"), ".json", ("screen.h5ad",)),
    "perturb fit": Command(("perturb", "fit", "screen.h5ad", "-o", "@", "--method", "additive"), "", ("screen.h5ad",)),
    "perturb priors": Command(
        ("perturb", "check", "screen.h5ad", "--priors", "priors", "--save-priors", "@"), "", ("priors/priors.json",)
    ),
    "perturb predict": Command(
        ("perturb", "predict", "fitted", "P1", "-o", "@", "--means"), ".h5ad", ("fitted/model.json",)
    ),
}

Put = Callable[[Path], object]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Write with every command to odd places, and let every input be an odd thing."""
    folder.chmod(0o755)
    _originals(folder)
    made = []
    for name, command in COMMANDS.items():
        for what, out, put, more in _places(command.suffix):
            # parts may be written beside others
            more = {**more, "must": "either"} if name == "shards" and what.endswith(("full folder", "above")) else more
            made.append(_writing(f"{name} to {what}", folder, command, out, put, **more))
        for size in (2_000, *rng.integers(3_000, 60_000, amount).tolist()):
            full = _full(int(size))
            made.append(
                _writing(f"{name} to a disk of {size} bytes", folder, command, f"o{command.suffix}", before=full)
            )
        for file in command.inputs:
            for what, put in _things():
                made.append(_reading(f"{name} of {file} that is {what}", folder, command, file, put))
    for name in ("score", "attribute", "features", "perturb fit", "search page"):
        for what, before in _surroundings().items():
            made.append(_writing(f"{name} {what}", folder, COMMANDS[name], f"o{COMMANDS[name].suffix}", before=before))
    return made


def _originals(folder: Path) -> None:
    write_h5ad(cells("S1", 30), folder / "attributed.h5ad")
    make_atlas(folder / "atlas", [cells("S1", 30), cells("S2", 30)])
    scgpt.cells(6).write_h5ad(folder / "cells.h5ad")
    scimilarity.build(folder / "model")
    scvi.build(folder / "scvi")
    section_folders.stutility(folder / "stack")
    write_stack(read_stack(folder / "stack"), folder / "native", images="copy")
    made = simulate_screen(rng=0, **SMALL)
    write_screen(made.data, folder / "screen.h5ad")
    save_priors(made.priors, folder / "priors")
    perturb.fit(made.data, method="additive", show_progress=False).save(folder / "fitted")


def _open_up(place: Path) -> None:
    """Let whoever the child becomes reach the folder."""
    for part in (place, place.parent, place.parent.parent, place.parent.parent / "tmp"):
        part.chmod(0o777)


def _prepared(folder: Path, command: Command, place: Path) -> None:
    _open_up(place)
    for word in {word for word in command.words if (folder / word).exists()}:
        if (folder / word).is_dir():
            shutil.copytree(folder / word, place / word)
        else:
            shutil.copyfile(folder / word, place / word)


def _writing(name: str, folder: Path, command: Command, out: str, put: Put | None = None, **what: Any) -> Case:
    def prepare(place: Path) -> Sequence[str]:
        _prepared(folder, command, place)
        if put is not None:
            put(place / out)
        words = [out if word == "@" else word for word in command.words]
        return words if not out.startswith("-") else [word if word != out else f"./{out}" for word in words]

    return Case(name, prepare, **{"seconds": 60.0, **what})


def _reading(name: str, folder: Path, command: Command, file: str, put: Put) -> Case:
    def prepare(place: Path) -> Sequence[str]:
        _prepared(folder, command, place)
        put(place / file)
        return [f"o{command.suffix}" if word == "@" else word for word in command.words]

    # a picture that is not there is said in a note
    must = "either" if file.endswith(".png") else "refuse"
    return Case(name, prepare, must=must, before=give_up_powers, seconds=20.0)


def _places(suffix: str) -> Iterator[tuple[str, str, Put | None, dict[str, Any]]]:
    """Say what is at the place of the output, its name, and what must come of it."""
    out, refuse = f"o{suffix}", {"must": "refuse"}
    yield "a new folder", f"a/b/{out}", None, {}
    yield "a folder that may not be written", f"a/{out}", _locked, {**refuse, "before": give_up_powers}
    yield (
        "a folder below one",
        f"a/b/c/{out}",
        lambda path: _locked(path.parents[1]),
        {
            **refuse,
            "before": give_up_powers,
        },
    )
    yield "below a file", f"a/{out}", lambda path: path.parent.write_text("a file"), refuse
    yield "below a link to nothing", f"a/{out}", lambda path: path.parent.symlink_to("nowhere"), {}
    yield "a link to itself", out, lambda path: path.symlink_to(path.name), {}
    yield "below a link to itself", f"a/{out}", lambda path: path.parent.symlink_to("a"), refuse
    yield "a link to nothing", out, lambda path: path.symlink_to("nowhere"), {}
    yield "a pipe", out, os.mkfifo, {}
    yield "the null device", out, lambda path: path.symlink_to("/dev/null"), {}
    yield "the process", f"/proc/{out}", None, refuse
    yield "a file", out, lambda path: path.write_text("precious"), {"holds": _kept if not suffix else _anything}
    yield "a full folder", out, lambda path: (path.mkdir(), (path / "precious").write_text("precious")), refuse
    yield "an empty folder", out, Path.mkdir, {"must": "refuse" if suffix else "answer"}
    yield "the folder itself", ".", None, refuse
    yield "the folder above", "..", None, refuse
    yield "nowhere", "", None, {}
    for name, text in NAMES.items():
        yield f"a name {name}", f"{text}{suffix}", None, {}
        yield f"a folder {name}", f"{text}/{out}", None, {}


def _anything(_folder: Path, _output: str) -> None:
    """Accept any answer."""


def _kept(_folder: Path, _output: str) -> None:
    raise AssertionError("a file was replaced by a folder")


def _locked(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o555)


def _things() -> Iterator[tuple[str, Put]]:
    """Say what an input may be in place of a file."""
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a pipe", lambda path: (path.unlink(), os.mkfifo(path))
    yield "a socket", _socket
    yield "empty", lambda path: path.write_bytes(b"")
    yield "not to be read", lambda path: path.chmod(0)
    yield (
        "in a folder not to be read",
        lambda path: path.parent.chmod(0o600) if path.parent.name != "here" else path.unlink(),
    )
    yield "a link to itself", lambda path: (path.unlink(), path.symlink_to(path.name))
    yield "a link to nothing", lambda path: (path.unlink(), path.symlink_to("nowhere"))
    yield "an endless device", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))
    yield "gone", Path.unlink


def _socket(path: Path) -> None:
    path.unlink()
    made = socket.socket(socket.AF_UNIX)
    made.bind(path.name if len(str(path)) > 100 and path.parent == Path.cwd() else os.path.relpath(path))
    made.close()


def give_up_powers() -> None:
    """Be bound by permissions, also as root: drop all capabilities."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(126, struct.pack("<Ii", 0x20080522, 0), bytes(24)):
            raise OSError(ctypes.get_errno(), "the powers of root cannot be given up here")


def _full(size: int) -> Callable[[], None]:
    """Let no file grow beyond a size, which is how a full disk looks to a program."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


def _surroundings() -> dict[str, Callable[[], object]]:
    """Say what may be wrong around a command that is right."""

    def without_folder() -> None:
        gone = Path(tempfile.mkdtemp())
        os.chdir(gone)
        gone.rmdir()

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    def caches(where: str) -> Callable[[], object]:
        def before() -> None:
            give_up_powers()
            os.environ["INSIGNIA_CACHE"] = where

        return before

    def closed_output() -> None:
        sys.stdout.flush()
        os.close(1)

    return {
        "in a folder that is gone": without_folder,
        "with few open files": few_files,
        "without HOME": lambda: (os.environ.pop("HOME", None), os.environ.pop("INSIGNIA_CACHE", None)),
        "with a HOME that is not there": lambda: os.environ.update(HOME="/nowhere", XDG_CACHE_HOME=""),
        "with a cache below a file": caches("/etc/passwd/x"),
        "with a cache in the root": caches("/insignia-cache"),
        "without a place for drafts": lambda: (
            os.environ.update(TMPDIR="/nowhere"),
            setattr(tempfile, "tempdir", None),
        ),
        "with its output closed": closed_output,
    }
