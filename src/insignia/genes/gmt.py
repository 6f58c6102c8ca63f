"""Read and write gene sets in the GMT format of MSigDB and Enrichr: name, description, genes; tabs between."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from insignia.core.errors import FileFormatError, SignatureError
from insignia.core.files import atomic_file
from insignia.core.text_files import text_file
from insignia.genes.signature import Signature

__all__ = ["parse_gmt", "read_gmt", "write_gmt"]

_SIGNED = re.compile(r"(?P<name>.+)_(?P<sign>UP|DN|DOWN)", re.IGNORECASE)


def read_gmt(path: str | Path, *, merge_up_down: bool = False, organism: str | None = None) -> dict[str, Signature]:
    """Read all sets of a GMT file, in order.

    Parameters
    ----------
    path
        The file, may be gzipped. The second column may be empty.
    merge_up_down
        Join the pairs ``NAME_UP`` and ``NAME_DN`` (or ``NAME_DOWN``) into one signed signature ``NAME``.
    organism
        Organism of the genes; `None` tells it from their names.

    Raises
    ------
    FileFormatError
        There is no such file, it is no text, or a line has no genes, a gene twice, or a name that was there before.
    """
    path = Path(path)
    with text_file(path, encoding="utf-8-sig") as file:
        sets = parse_gmt(file, path.name, organism=organism)
    return _merged(sets, organism) if merge_up_down else sets


def parse_gmt(lines: Iterable[str], file_name: str, *, organism: str | None = None) -> dict[str, Signature]:
    """Read the sets of the lines of a GMT file, in order; see `read_gmt`."""
    sets: dict[str, Signature] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = _parse_line(line, f"{file_name}, line {number}", organism)
        if found.name in sets:
            raise FileFormatError(f"{file_name}, line {number}: the set {found.name!r} was there before.")
        sets[found.name] = found
    if not sets:
        raise FileFormatError(f"{file_name} holds no gene sets.")
    return sets


def _parse_line(line: str, where: str, organism: str | None) -> Signature:
    name, *rest = (part.strip() for part in line.rstrip("\r\n").split("\t"))
    genes = [gene for gene in rest[1:] if gene]
    if not name or not genes:
        raise FileFormatError(
            f"{where}: expected a name, a description (may be empty) and genes, with tabs between; found {line[:60]!r}."
        )
    try:
        return Signature.from_genes(genes, name, organism=organism, description=rest[0])
    except SignatureError as error:
        raise FileFormatError(f"{where}: {error}") from error


def _merged(sets: dict[str, Signature], organism: str | None) -> dict[str, Signature]:
    pairs: dict[str, dict[str, Signature]] = {}
    for name, found in sets.items():
        signed = _SIGNED.fullmatch(name)
        if signed:
            pairs.setdefault(signed["name"], {})["UP" if signed["sign"].upper() == "UP" else "DN"] = found
    complete = {name: pair for name, pair in pairs.items() if len(pair) == 2}
    merged: dict[str, Signature] = {}
    for name, found in sets.items():
        signed = _SIGNED.fullmatch(name)
        if signed is None or signed["name"] not in complete:
            merged[name] = found
        elif signed["name"] not in merged:
            base, pair = signed["name"], complete[signed["name"]]
            if base in sets:
                raise FileFormatError(f"The set {base!r} and the pair {base}_UP, {base}_DN cannot share a name.")
            merged[base] = Signature.from_up_down(
                base, pair["UP"].genes, pair["DN"].genes, organism=organism, description=pair["UP"].description
            )
    return merged


def write_gmt(signatures: Iterable[Signature] | Mapping[str, Signature], path: str | Path) -> None:
    """Write signatures as a GMT file, whole or not at all.

    A signature of +1 and -1 becomes the pair ``NAME_UP`` and ``NAME_DN``. GMT holds names, descriptions and genes;
    DOI, source and licence stay behind.

    Raises
    ------
    SignatureError
        A signature has other weights than 1 and -1, which GMT cannot hold, or two share a name.
    """
    made = list(signatures.values() if isinstance(signatures, Mapping) else signatures)
    lines = [line for found in made for line in _lines(found)]
    names = [line.split("\t", 1)[0] for line in lines]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SignatureError(f"Sets of a GMT file need different names; these repeat: {', '.join(twice[:5])}.")
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _lines(found: Signature) -> list[str]:
    weights = found.weight_array
    if not set(weights.tolist()) <= {1.0, -1.0}:
        raise SignatureError(
            f"{found.name!r} has weights other than 1 and -1, which a GMT file cannot hold. Leave it out, or write "
            "Signature.from_genes(signature.genes, signature.name) to give the weights up."
        )
    groups = {"_UP": weights > 0, "_DN": weights < 0} if found.is_signed else {"": weights > 0}
    description = " ".join(found.description.split())
    return [
        "\t".join(
            [
                found.name + suffix,
                description,
                *(gene for gene, is_in in zip(found.genes, chosen, strict=True) if is_in),
            ]
        )
        for suffix, chosen in groups.items()
        if chosen.any()
    ]
