"""Signatures as they are typed on a command line."""

from pathlib import Path

from insignia.core.errors import SignatureError, UnknownName
from insignia.genes import Signature, bundled, load_signature, read_gmt, signature

__all__ = ["parse_signature"]


def parse_signature(text: str) -> Signature:
    """Read a bundled name, a comma-separated gene list, ``FILE.gmt:SET`` or ``FILE.toml``.

    A set that is there as ``SET_UP`` and ``SET_DN`` is read as one signed signature.

    Raises
    ------
    SignatureError
        The GMT file has no such set, or several and none is named.
    UnknownName
        It is none of these.
    """
    path, _, name = text.partition(":")
    if path.endswith(".gmt"):
        sets = read_gmt(path)
        if name in sets:
            return sets[name]
        if not name and len(sets) == 1:
            return next(iter(sets.values()))
        signed = read_gmt(path, merge_up_down=True)
        if name in signed:
            return signed[name]
        raise SignatureError(
            f"{path} has {len(sets)} sets; name one as {path}:SET, e.g. {list(sets)[:3]}. Found {name!r}."
        )
    if text.endswith(".toml") and Path(text).exists():
        return load_signature(text)
    genes = [gene for gene in text.replace(";", ",").split(",") if gene.strip()]
    if len(genes) > 1 and text.lower() not in {known.lower() for known in bundled()}:
        return Signature.from_genes([gene.strip() for gene in genes], name="custom")
    try:
        return signature(text)
    except UnknownName as error:
        known = str(error).partition(" Genes are given")[0]
        raise UnknownName(
            f"{known} Genes are given as IL1B,S100A8,..., and sets of a GMT file as FILE.gmt:SET."
        ) from None
