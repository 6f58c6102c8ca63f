"""Genes as people paste them: separated by anything, with or without signs or weights."""

import re
from typing import Final

from insignia.core.errors import SignatureError
from insignia.genes.gmt import parse_gmt
from insignia.genes.signature import Signature

__all__ = ["paste_of", "pasted", "pasted_file"]

_BETWEEN: Final = re.compile(r"[\s,;|\"'`()\[\]{}]+")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WEIGHTED: Final = re.compile(rf"(?P<gene>.+?)[:=](?P<weight>{_NUMBER.pattern})")


def pasted(text: str, name: str = "pasted genes") -> Signature:
    """Make a signature of pasted text.

    Parameters
    ----------
    text
        Genes between commas, blanks, semicolons, bars, quotes, brackets or line breaks. ``+GENE`` and ``GENE+`` weigh
        1, ``-GENE`` and ``GENE-`` weigh -1; ``GENE:2.5``, ``GENE=2.5`` and a number after a gene are weights.
    name
        How the signature is called.

    Raises
    ------
    SignatureError
        There is no gene, a number without a gene before it, or a gene twice.
    """
    genes: list[str] = []
    weights: list[float | None] = []
    for word in _BETWEEN.split(text.replace("\N{MINUS SIGN}", "-").replace("\0", " ")):
        if not word:
            continue
        if _NUMBER.fullmatch(word):
            if not genes or weights[-1] is not None:
                raise SignatureError(f"The number {word!r} follows no gene. Write GENE:{word}, or a gene before it.")
            weights[-1] = float(word)
            continue
        gene, weight = _split(word)
        genes.append(gene)
        weights.append(weight)
    if not genes:
        raise SignatureError("There are no genes in the text. Paste symbols or Ensembl ids, e.g. IL1B, S100A8, CD14.")
    given = [1.0 if weight is None else weight for weight in weights]
    return Signature.from_genes(genes, name, weights=None if set(weights) <= {None, 1.0} else given)


def pasted_file(content: bytes, file_name: str) -> dict[str, Signature]:
    """Read the gene sets of an uploaded GMT file, or the one list of a text file.

    Raises
    ------
    SignatureError
        The content is no text, or holds no genes.
    FileFormatError
        A line of a GMT file is malformed.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SignatureError(
            f"{file_name} is no text file: byte {error.start:,} is not UTF-8. Send a GMT file or a list of genes, "
            "unpacked."
        ) from error
    lines = text.splitlines()
    if file_name.lower().endswith(".gmt") or any(_is_gmt(line) for line in lines[:5]):
        return parse_gmt(lines, file_name)
    found = pasted(text, name=re.sub(r"\.\w{1,5}$", "", file_name).strip() or "uploaded genes")
    return {found.name: found}


def paste_of(signature: Signature) -> str:
    """Write a signature so that `pasted` reads it back."""
    if signature.weights is None:
        return ",".join(signature.genes)
    return ",".join(f"{gene}:{weight:g}" for gene, weight in zip(signature.genes, signature.weights, strict=True))


def _is_gmt(line: str) -> bool:
    parts = line.split("\t")
    return len(parts) > 2 and not any(_NUMBER.fullmatch(part.strip()) for part in parts)


def _split(word: str) -> tuple[str, float | None]:
    weighted = _WEIGHTED.fullmatch(word)
    if weighted:
        return weighted["gene"], float(weighted["weight"])
    for sign, weight in (("+", 1.0), ("-", -1.0)):
        # a lone sign is no gene, and is refused as one
        if word.startswith(sign) and len(word) > 1:
            return word[1:], weight
        if word.endswith(sign) and len(word) > 1:
            return word[:-1], weight
    return word, None
