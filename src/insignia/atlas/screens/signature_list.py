"""Many signatures from whatever a user has: a GMT file, a list, a mapping, or all that come with the package."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from insignia.core.errors import InputError, SignatureError
from insignia.genes import Signature, bundled, read_gmt, signature

__all__ = ["Signatures", "signature_list"]

Thing: TypeAlias = "str | Signature | Iterable[str] | Mapping[str, float]"
Signatures: TypeAlias = "str | Path | Signature | Iterable[str | Signature] | Mapping[str, Thing] | None"


def signature_list(things: Signatures) -> tuple[Signature, ...]:
    """Make a list of signatures with different names.

    Parameters
    ----------
    things
        Path of a GMT file; a mapping from names to whatever `insignia.genes.signature` takes; a list of signatures or
        of names of bundled ones; one of these; `None` for all bundled ones.

    Raises
    ------
    SignatureError
        There is none, or two share a name.
    UnknownName
        No bundled signature has a name.
    InputError
        A GMT file is not there.
    """
    made = tuple(_made(bundled() if things is None else things))
    if not made:
        raise SignatureError("There are no signatures; give at least one.")
    names = [one.name for one in made]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SignatureError(f"Signatures of a screen need different names; these repeat: {', '.join(twice[:5])}.")
    return made


def _made(things: "str | Path | Signature | Iterable[str | Signature] | Mapping[str, Thing]") -> Iterable[Signature]:
    if isinstance(things, Signature):
        return [things]
    if isinstance(things, Path) or (isinstance(things, str) and things.endswith((".gmt", ".gmt.gz"))):
        if not Path(things).is_file():
            raise InputError(f"There is no file {things}; expected gene sets in the GMT format.")
        return read_gmt(things).values()
    if isinstance(things, str):
        return [signature(things)]
    if isinstance(things, Mapping):
        return [replace(signature(thing), name=str(name)) for name, thing in things.items()]
    return [_one(thing) for thing in things]


def _one(thing: object) -> Signature:
    if isinstance(thing, str | Signature):
        return signature(thing)
    raise SignatureError(
        f"A list of signatures holds Signature objects and names of bundled ones; found {type(thing).__name__}. Gene "
        "lists need names: pass a mapping such as {'mine': ['IL1B', 'S100A8']}."
    )
