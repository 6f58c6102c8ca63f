"""A gene signature: ordered genes with weights, and where they come from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from insignia.core.errors import SignatureError
from insignia.core.files import canonical_json, sha256_text
from insignia.genes.match import GeneMatch, match_genes
from insignia.genes.names import UNKNOWN, parse_names
from insignia.genes.renames import Renames
from insignia.genes.vocabulary import GeneVocabulary

__all__ = ["Signature"]


@dataclass(frozen=True)
class Signature:
    """Genes that mean something together.

    Parameters
    ----------
    name
        How it is called in tables and plots.
    genes
        Gene names, in order, each once.
    weights
        One weight a gene, sign included; `None` weighs all genes 1.
    organism
        ``"human"``, ``"mouse"`` or ``"unknown"``.
    id_type
        ``"symbol"`` or ``"ensembl"``.
    doi, source, licence, description
        Where the genes come from and what they may be used for.

    Raises
    ------
    SignatureError
        No genes, a gene twice, or weights that are not one finite number a gene or are all 0.
    """

    name: str
    genes: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    organism: str = "human"
    id_type: str = "symbol"
    doi: str = ""
    source: str = ""
    licence: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        given: object = self.genes
        if isinstance(given, str):
            raise SignatureError(f"The genes of {self.name!r} must be a list, and one text was given: {given!r}.")
        object.__setattr__(self, "genes", tuple(str(gene).strip() for gene in self.genes))
        self._check_genes()
        if self.weights is not None:
            object.__setattr__(self, "weights", self._numbers(self.weights))
            self._check_weights(np.array(self.weights))

    def _numbers(self, weights: Iterable[float]) -> tuple[float, ...]:
        try:
            return tuple(float(weight) for weight in weights)
        except (TypeError, ValueError, OverflowError) as error:
            raise SignatureError(f"Weights of {self.name!r} must be one finite number a gene ({error}).") from error

    def _check_genes(self) -> None:
        if not str(self.name).strip():
            raise SignatureError("A signature needs a name.")
        if self.id_type not in {"symbol", "ensembl"}:
            raise SignatureError(f"The id_type of {self.name!r} must be 'symbol' or 'ensembl', not {self.id_type!r}.")
        if not self.genes:
            raise SignatureError(f"Signature {self.name!r} has no genes; it needs at least one.")
        symbols, ids = parse_names(self.genes)
        nameless = [repr(gene) for gene, *known in zip(self.genes, symbols, ids, strict=True) if not any(known)]
        if nameless:
            raise SignatureError(f"Signature {self.name!r} holds what is no gene name: {', '.join(nameless[:5])}.")
        if len(set(self.genes)) < len(self.genes):
            twice = sorted({gene for gene in self.genes if self.genes.count(gene) > 1})
            raise SignatureError(f"Signature {self.name!r} holds genes more than once: {', '.join(twice[:5])}.")

    def _check_weights(self, weights: np.ndarray) -> None:
        if len(weights) != len(self.genes):
            raise SignatureError(
                f"Signature {self.name!r} has {len(self.genes):,} genes and {len(weights):,} weights; give one each."
            )
        if not np.isfinite(weights).all():
            bad = [gene for gene, weight in zip(self.genes, weights, strict=True) if not np.isfinite(weight)]
            raise SignatureError(f"Weights of {self.name!r} must be finite; these are not: {', '.join(bad[:5])}.")
        if not weights.any():
            raise SignatureError(f"All weights of {self.name!r} are 0; at least one must differ.")

    @classmethod
    def from_genes(
        cls,
        genes: Iterable[str],
        name: str = "custom",
        *,
        weights: Sequence[float] | None = None,
        organism: str | None = None,
        description: str = "",
    ) -> "Signature":
        """Make a signature of a gene list; organism and id type are told from the names where `organism` is `None`."""
        if isinstance(genes, str):
            raise SignatureError(f"Genes must be given as a list, and one text was given: {genes!r}.")
        names = tuple(genes)
        wrong = [repr(gene) for gene in names if not isinstance(gene, str)]
        if wrong:
            raise SignatureError(f"Gene names of {name!r} must be text; these are not: {', '.join(wrong[:5])}.")
        vocabulary = GeneVocabulary.from_names(names, organism=organism)
        is_ensembl = bool(names) and not vocabulary.symbols.astype(bool).any()
        return cls(
            name,
            names,
            None if weights is None else tuple(weights),
            organism=vocabulary.organism,
            id_type="ensembl" if is_ensembl else "symbol",
            description=description,
        )

    @classmethod
    def from_up_down(
        cls, name: str, up: Iterable[str], down: Iterable[str], *, organism: str | None = None, description: str = ""
    ) -> "Signature":
        """Make a signed signature: genes that go up weigh +1, genes that go down -1."""
        up, down = tuple(up), tuple(down)
        both = sorted(set(up) & set(down))
        if both:
            raise SignatureError(f"Genes of {name!r} cannot go up and down at once: {', '.join(both[:5])}.")
        weights = (1.0,) * len(up) + (-1.0,) * len(down)
        return cls.from_genes(up + down, name, weights=weights, organism=organism, description=description)

    def __len__(self) -> int:
        return len(self.genes)

    @cached_property
    def weight_array(self) -> np.ndarray:
        """(genes,) float32 weights."""
        if self.weights is None:
            return np.ones(len(self.genes), dtype=np.float32)
        return np.array(self.weights, dtype=np.float32)

    @property
    def is_signed(self) -> bool:
        """Whether some genes count against the signature."""
        return bool((self.weight_array < 0).any())

    @cached_property
    def vocabulary(self) -> GeneVocabulary:
        """The genes, ready to be matched."""
        return GeneVocabulary.from_names(self.genes, organism=None if self.organism == UNKNOWN else self.organism)

    def match(self, vocabulary: GeneVocabulary, *, renames: Renames | None = None) -> GeneMatch:
        """Find the genes in a data set, a model or an atlas; see `match_genes`."""
        return match_genes(self.vocabulary, vocabulary, renames=renames)

    @cached_property
    def sha256(self) -> str:
        """Hash of what is scored: genes, their order, weights, organism and id type; not of name and source."""
        return sha256_text(canonical_json([self.genes, self.weights, self.organism, self.id_type]))
