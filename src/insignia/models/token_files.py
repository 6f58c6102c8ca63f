"""Dictionaries of token models: which number a gene has, and what Geneformer knows of it besides."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import ModelFormatError, UnsafeCheckpoint
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_json

__all__ = ["GeneformerFiles", "gene_tokens", "read_tokens"]

_SPECIAL: Final = ("<cls>", "<eos>")


@dataclass(frozen=True)
class GeneformerFiles:
    """The dictionaries of a Geneformer directory.

    Parameters
    ----------
    tokens
        Number of each gene and special token.
    names
        The genes among them, by number.
    special
        ``<cls>`` and ``<eos>``, or nothing.
    genes
        The vocabulary, in the order of `names`.
    medians
        (genes,) median of each gene over the training corpus.
    """

    tokens: dict[str, int]
    names: list[str]
    special: list[str]
    genes: GeneVocabulary
    medians: np.ndarray

    @classmethod
    def read(cls, path: Path) -> "GeneformerFiles":
        """Read ``token_dictionary*.json``, ``gene_median_dictionary*.json`` and, if there, ``gene_name_id_dict*.json``.

        Raises
        ------
        ModelFormatError
            A file is missing or damaged, or a gene has no median.
        UnsafeCheckpoint
            A dictionary is a pickle, as in the release.
        """
        tokens = read_tokens(_find(path, "token_dictionary"))
        names = gene_tokens(tokens)
        special: list[str] = [name for name in _SPECIAL if name in tokens]
        if len(special) == 1:
            raise ModelFormatError(
                f"The token dictionary in {path} holds {special[0]} alone; {' and '.join(_SPECIAL)} go together."
            )
        return cls(tokens, names, special, _genes(path, names), _medians(path, names))


def read_tokens(path: Path) -> dict[str, int]:
    """Read which number each gene and each special token, such as ``<pad>``, has."""
    tokens = read_json(path)
    numbers = list(tokens.values())
    whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers)
    if not whole or len(set(numbers)) != len(numbers) or not gene_tokens(tokens):
        raise ModelFormatError(f"{path} should give each gene a whole number of its own. Copy or download it again.")
    return tokens


def gene_tokens(tokens: dict[str, int]) -> list[str]:
    """Names that are no special tokens, by number."""
    return [name for name in sorted(tokens, key=tokens.__getitem__) if not name.startswith("<")]


def _genes(path: Path, names: list[str]) -> GeneVocabulary:
    symbols: dict[str, str] = {}
    if any(path.glob("gene_name_id_dict*")):
        for symbol, identifier in read_json(_find(path, "gene_name_id_dict")).items():
            symbols.setdefault(str(identifier), symbol)
    return GeneVocabulary.from_names([symbols.get(name, name) for name in names], ids=names)


def _medians(path: Path, names: list[str]) -> np.ndarray:
    source = _find(path, "gene_median_dictionary")
    given = read_json(source)
    bad = [name for name in names if not _is_positive(given.get(name))]
    if bad:
        raise ModelFormatError(
            f"{source} should hold a positive number for each of the {len(names):,} genes; {len(bad):,} have none, "
            f"e.g. {bad[:3]}. Take it from the release of the token dictionary."
        )
    return np.array([given[name] for name in names], dtype=np.float64)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < np.inf


def _find(path: Path, stem: str) -> Path:
    """Find the one JSON dictionary of this stem; a pickle in its place is refused unread."""
    found, pickles = sorted(path.glob(f"{stem}*.json")), sorted(path.glob(f"{stem}*.pkl"))
    if len(found) > 1:
        raise ModelFormatError(f"{path} holds {[item.name for item in found]}. Leave the one that the model needs.")
    if not found and pickles:
        old, new = (json.dumps(name) for name in (pickles[0].name, f"{pickles[0].stem}.json"))
        raise UnsafeCheckpoint(
            f"{pickles[0]} is a pickle, and insignia runs no code from checkpoints. Convert it once, where you trust "
            f'the file: python -c \'import json, pickle; json.dump(pickle.load(open({old}, "rb")), '
            f'open({new}, "w"), default=lambda x: x.item())\''
        )
    return found[0] if found else path / f"{stem}.json"
