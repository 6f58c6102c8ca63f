"""What a wheel and an sdist must hold, and what they must not."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

__all__ = ["complaints"]

BESIDE_THE_CODE = (
    "py.typed",
    "data/maps/*.toml",
    "genes/renames.tsv",
    "genes/signatures/*.toml",
    "genes/signatures/manifest.json",
    "report/page.css",
    "report/page.js",
    "serve/static/*",
    "serve/static/js/*.js",
    "serve/static/vendor/*",
)
"""Files of `src/insignia` that are not Python, as patterns."""

_LARGEST_WHEEL = 3_000_000
_KEPT_OUT = (".git", ".venv", "build", "dist", "out", "shared")


def complaints(file: Path, root: Path) -> list[str]:
    """Compare a distribution with the repository; an empty list if nothing is wrong."""
    return _of_wheel(file, root) if file.suffix == ".whl" else _of_sdist(file, root)


def _of_wheel(file: Path, root: Path) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
    source = root / "src"
    wanted = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    for pattern in BESIDE_THE_CODE:
        found = [path for path in (source / "insignia").glob(pattern) if path.is_file()]
        assert found, pattern
        wanted |= {path.relative_to(source).as_posix() for path in found}
    about = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    wanted |= {f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    said = [f"the wheel lacks {name}" for name in sorted(wanted - names)]
    said += [f"the wheel holds {name}" for name in sorted(names - wanted)]
    if file.stat().st_size > _LARGEST_WHEEL:
        said.append(f"the wheel has {file.stat().st_size:,} bytes, more than {_LARGEST_WHEEL:,}")
    return said


def _of_sdist(file: Path, root: Path) -> list[str]:
    with tarfile.open(file) as archive:
        names = {"/".join(PurePosixPath(name).parts[1:]) for name in archive.getnames()}
    parts = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", "Makefile")
    wanted = {*parts, "requirements/constraints.txt"}
    for folder in ("src", "tests", "benchmarks"):
        wanted |= {path.relative_to(root).as_posix() for path in (root / folder).rglob("*.py")}
    said = [f"the sdist lacks {name}" for name in sorted(wanted - names)]
    said += [f"the sdist holds {name}" for name in sorted(names) if name.split("/")[0] in _KEPT_OUT]
    return said
