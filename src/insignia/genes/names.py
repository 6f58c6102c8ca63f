"""What a gene name says: symbol, Ensembl id, both joined, another organism, or something a spreadsheet broke."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from insignia.core.errors import OrganismMismatch

__all__ = ["UNKNOWN", "canonical_organism", "detect_organism", "is_ensembl_id", "parse_names", "spreadsheet_victim"]

UNKNOWN: Final = "unknown"
PAR_Y: Final = "_PAR_Y"
_OTHER: Final = "other: "
_NOT_GENES: Final = frozenset({"", "nan", "NaN", "None", "none", "NA", "N/A", "n/a", "<NA>", "null", "NULL"})

_ID = r"(?P<id>ENS[A-Z]*G\d{11})(?:\.\d+)?(?P<par>_PAR_Y)?"
_ENSEMBL: Final = re.compile(_ID)
_SYMBOL_FIRST: Final = re.compile(rf"(?P<symbol>.+?)[_|:-]{_ID}")
_ID_FIRST: Final = re.compile(rf"{_ID}[_|:-](?P<symbol>.+)")

_ORGANISMS: Final = {
    "human": ("human", "homo sapiens", "hsapiens", "9606", "ncbitaxon:9606"),
    "mouse": ("mouse", "mus musculus", "mmusculus", "10090", "ncbitaxon:10090"),
}
_MIN_SYMBOLS: Final = 3
_CLEAR: Final = 0.9
_ORF: Final = re.compile(r"(?<=\d)orf(?=\d)")
_PLACEHOLDER: Final = re.compile(r"gene[ _-]?\d+", re.IGNORECASE)
_MOUSE_CASE: Final = re.compile(r"(?:[A-Z][a-z]|[A-Z0-9-]+[a-z]|mt-[A-Z]).*")

_MONTHS: Final = {"mar": "MARCH/MARC", "sep": "SEPT", "sept": "SEPT", "dec": "DEC", "oct": "OCT", "apr": "APR"}
_MONTH_NUMBER: Final = {3: "mar", 4: "apr", 9: "sep", 10: "oct", 12: "dec"}
_DAY_MONTH: Final = re.compile(r"(?P<day>\d{1,2})-(?P<month>[A-Za-z]{3,4})")
_MONTH_DAY: Final = re.compile(r"(?P<month>[A-Za-z]{3,4})-(?P<day>\d{1,2})")
_ISO_DATE: Final = re.compile(r"\d{4}-(?P<number>\d{2})-(?P<day>\d{2})(?:[ T]00:00:00.*)?")


def is_ensembl_id(name: str) -> bool:
    """Whether a name is an Ensembl gene id of any organism, with or without a version suffix."""
    return _ENSEMBL.fullmatch(name) is not None


def parse_names(names: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Split names into symbols and Ensembl ids, each ``""`` where the name does not say it.

    Understands symbols, ids with or without version (``ENSG00000105369.11``), and the two joined in either
    order (``CD79A_ENSG00000105369``). The copy of a pseudo-autosomal gene on Y keeps ``_PAR_Y`` in its id.
    """
    pairs = [_parse(name) for name in names]
    symbols, ids = np.empty(len(pairs), dtype=object), np.empty(len(pairs), dtype=object)
    symbols[:] = [symbol for symbol, _ in pairs]
    ids[:] = [identifier for _, identifier in pairs]
    return symbols, ids


def _parse(name: Any) -> tuple[str, str]:
    text = str(name).strip()
    if "ENS" not in text:
        return ("" if text in _NOT_GENES else text), ""
    for pattern in (_ENSEMBL, _SYMBOL_FIRST, _ID_FIRST):
        found = pattern.fullmatch(text)
        if found is not None:
            parts = found.groupdict()
            symbol = parts.get("symbol", "")
            # "ENSG00000204388-1" is what make_unique does to a repeated id
            is_name = symbol not in _NOT_GENES and not symbol.isdecimal() and not is_ensembl_id(symbol)
            return (symbol if is_name else ""), parts["id"] + (parts["par"] or "")
    return text, ""


def canonical_organism(name: str) -> str:
    """Return ``"human"``, ``"mouse"``, ``"unknown"`` or ``"other: ..."`` for a name or an NCBI taxon."""
    known = name.strip().lower()
    for organism, spellings in _ORGANISMS.items():
        if known in spellings:
            return organism
    if known in {UNKNOWN, ""}:
        return UNKNOWN
    return name if name.startswith(_OTHER) else _OTHER + known


def detect_organism(symbols: Sequence[str] | np.ndarray, ids: Sequence[str] | np.ndarray, told: str | None) -> str:
    """Tell the organism from Ensembl ids, else from the letter case of symbols where that is clear.

    Parameters
    ----------
    symbols, ids
        As `parse_names` returns them.
    told
        What the caller says; checked against the ids, and used where they are silent.

    Raises
    ------
    OrganismMismatch
        The ids belong to another organism than the caller says.
    """
    by_id = _organism_of_ids([identifier for identifier in ids if identifier])
    if told is None:
        return by_id if by_id != UNKNOWN else _organism_of_case([symbol for symbol in symbols if symbol])
    organism = canonical_organism(told)
    if by_id.startswith(_OTHER) and organism.startswith(_OTHER):
        return by_id
    if UNKNOWN not in (by_id, organism) and by_id != organism:
        example = next(identifier for identifier in ids if identifier)
        raise OrganismMismatch(
            f"The organism was given as {told!r}, but the Ensembl ids are of {by_id} (e.g. {example}). "
            f"Give organism={by_id!r}, or leave it out."
        )
    return organism


def _organism_of_ids(ids: list[str]) -> str:
    if not ids:
        return UNKNOWN
    prefixes, counts = np.unique([identifier.removesuffix(PAR_Y)[:-12] for identifier in ids], return_counts=True)
    if counts.max() < _CLEAR * len(ids):
        return UNKNOWN
    prefix = str(prefixes[counts.argmax()])
    return {"ENS": "human", "ENSMUS": "mouse"}.get(prefix, _OTHER + prefix)


def _organism_of_case(symbols: list[str]) -> str:
    telling = [
        _ORF.sub("ORF", symbol)
        for symbol in symbols
        if any(letter.isalpha() for letter in symbol) and not _PLACEHOLDER.fullmatch(symbol)
    ]
    if len(telling) < _MIN_SYMBOLS:
        return UNKNOWN
    if sum(symbol.isupper() for symbol in telling) >= _CLEAR * len(telling):
        return "human"
    if sum(_MOUSE_CASE.fullmatch(symbol) is not None for symbol in telling) >= _CLEAR * len(telling):
        return "mouse"
    return UNKNOWN


def spreadsheet_victim(name: str) -> str | None:
    """Return the family of the symbol that a spreadsheet turned into this date, e.g. ``"SEPT2"`` for ``"2-Sep"``."""
    for pattern in (_DAY_MONTH, _MONTH_DAY, _ISO_DATE):
        found = pattern.fullmatch(name)
        if found is None:
            continue
        parts = found.groupdict()
        month = (parts.get("month") or _MONTH_NUMBER.get(int(parts.get("number") or 0), "")).lower()
        if month in _MONTHS:
            return "/".join(f"{family}{int(parts['day'])}" for family in _MONTHS[month].split("/"))
    return None
