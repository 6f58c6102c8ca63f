"""Signatures that come with the package, and the one door through which signatures enter.

To bundle another signature, add ``signatures/<name>.toml`` and the line that
``python -c "from insignia.genes.library import manifest_entry; print(manifest_entry('<name>.toml'))"`` prints to
``signatures/manifest.json``.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from insignia.core.errors import FileFormatError, SignatureError, UnknownName
from insignia.genes.signature import Signature

__all__ = ["bundled", "load_signature", "manifest_entry", "signature"]

_FIELDS = {"name", "genes", "weights", "organism", "id_type", "doi", "source", "licence", "description"}
_NOTES = {"renamed"}


def bundled() -> tuple[str, ...]:
    """Names of the bundled signatures, sorted."""
    return tuple(sorted(_manifest(), key=str.lower))


def signature(thing: str | Signature | Iterable[str] | Mapping[str, float]) -> Signature:
    """Make a signature of whatever a user gives.

    Parameters
    ----------
    thing
        A `Signature`, the name of a bundled one (``"MS1"``, in any letter case), a list of genes, or a mapping from
        gene to weight.

    Raises
    ------
    UnknownName
        No bundled signature has this name.
    SignatureError
        The genes or weights are no signature.
    """
    if isinstance(thing, Signature):
        return thing
    if isinstance(thing, str):
        return _load_bundled(_bundled_name(thing))
    if isinstance(thing, Mapping):
        return Signature.from_genes(thing.keys(), weights=tuple(thing.values()))
    if isinstance(thing, Iterable):
        return Signature.from_genes(thing)
    raise SignatureError(
        f"A signature is a bundled name, a list of genes, a mapping from gene to weight or a Signature, "
        f"not {type(thing).__name__}."
    )


def load_signature(path: str | Path) -> Signature:
    """Read a signature from a TOML file in the format of the bundled ones.

    Raises
    ------
    FileFormatError
        The file is no TOML, or has no name and genes, or holds unknown keys or values of another kind.
    """
    path = Path(path)
    return _parse(path.read_bytes(), path.name)


def manifest_entry(path: str | Path) -> str:
    """Line for ``manifest.json`` about a signature file: name, file, sha256, number of genes and DOI."""
    path = Path(path)
    made = load_signature(path)
    entry = {"file": path.name, "sha256": sha256(path.read_bytes()).hexdigest(), "n_genes": len(made), "doi": made.doi}
    return f"{json.dumps(made.name)}: {json.dumps(entry)}"


def _folder() -> Traversable:
    return files("insignia.genes").joinpath("signatures")


@cache
def _manifest() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = json.loads(_folder().joinpath("manifest.json").read_text(encoding="utf-8"))
    return loaded


def _bundled_name(asked: str) -> str:
    known = {name.lower(): name for name in _manifest()}
    if asked.strip().lower() in known:
        return known[asked.strip().lower()]
    close = [known[name] for name in get_close_matches(asked.lower(), known, n=2, cutoff=0.6)]
    hint = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    raise UnknownName(
        f"There is no bundled signature {asked!r}.{hint} Known: {', '.join(bundled())}. "
        f"Genes are given as a list, [{asked!r}, ...], and sets of a GMT file with read_gmt(path)[name]."
    )


@cache
def _load_bundled(name: str) -> Signature:
    entry = _manifest()[name]
    content = _folder().joinpath(entry["file"]).read_bytes()
    if sha256(content).hexdigest() != entry["sha256"]:
        raise FileFormatError(
            f"The bundled signature {entry['file']} was changed: its sha256 is not the one of manifest.json. "
            "Reinstall insignia, and keep changed signatures in a file of your own."
        )
    return _parse(content, entry["file"])


def _parse(content: bytes, file_name: str) -> Signature:
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{file_name} is no TOML file: {error}.") from error
    except RecursionError as error:
        raise FileFormatError(f"{file_name} is no signature: its entries are nested too deeply.") from error
    absent, extra = {"name", "genes"} - table.keys(), table.keys() - _FIELDS - _NOTES
    if absent or extra:
        raise FileFormatError(
            f"{file_name} is no signature: it lacks {sorted(absent)} and has unknown keys {sorted(extra)}. "
            f"Known keys: {sorted(_FIELDS | _NOTES)}."
        )
    fields = {key: value for key, value in table.items() if key in _FIELDS}
    _check_kinds(fields, file_name)
    for key in ("genes", "weights"):
        if key in fields:
            fields[key] = tuple(fields[key])
    return Signature(**fields)


def _check_kinds(fields: Mapping[str, Any], file_name: str) -> None:
    """Refuse texts where lists belong, and the reverse; TOML knows dates and truth values too."""
    for key, value in fields.items():
        if key not in ("genes", "weights"):
            fits, expected = isinstance(value, str), "a text"
        elif key == "genes":
            fits, expected = isinstance(value, list) and all(isinstance(one, str) for one in value), "a list of texts"
        else:
            fits = isinstance(value, list) and all(type(one) in (int, float) for one in value)
            expected = "a list of numbers"
        if not fits:
            raise FileFormatError(f"{file_name} is no signature: {key} must be {expected}; found {str(value)[:60]!r}.")
