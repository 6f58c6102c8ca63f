"""Gene programs: which genes go together, and where that is known from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.genes import Signature

__all__ = ["Programs"]

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Programs:
    """A division of genes into programs, by name; the literature also says modules.

    Parameters
    ----------
    genes
        Unique names, in the order of the data that they were induced from.
    program
        (genes,) position in `names`; -1 for a gene about which the source knows nothing.
    names
        Names of the programs, in the order of their first gene by name.
    source
        Registered source.
    about
        Options, seed, and what the source says of its work: plain values, fit for JSON.
    """

    genes: tuple[str, ...]
    program: np.ndarray
    names: tuple[str, ...]
    source: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.program) != len(self.genes) or len(set(self.genes)) < len(self.genes):
            raise InputError(f"Programs name each gene once: {len(self.genes)} genes, {len(self.program)} places.")
        if len(self.genes) and not -1 <= self.program.min() <= self.program.max() < len(self.names):
            raise InputError(f"A gene is in a program that does not exist: there are {len(self.names)}.")

    @classmethod
    def from_labels(
        cls, genes: Sequence[str], labels: np.ndarray, *, source: str, about: Mapping[str, Any] | None = None
    ) -> "Programs":
        """Make programs of labels, numbered by their first gene in alphabetical order; -1 stays without one."""
        order = np.argsort(np.asarray(genes, dtype=str))
        met = dict.fromkeys(int(label) for label in np.asarray(labels)[order] if label >= 0)
        number = {label: place for place, label in enumerate(met)} | {-1: -1}
        width = max(2, len(str(len(met))))
        return cls(
            tuple(genes),
            np.array([number[int(label)] for label in labels], dtype=np.int64),
            tuple(f"program{place + 1:0{width}d}" for place in range(len(met))),
            source,
            dict(about or {}),
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Programs":
        """Read what `to_dict` wrote."""
        program = np.asarray(record["program"], dtype=np.int64)
        return cls(tuple(record["genes"]), program, tuple(record["names"]), record["source"], dict(record["about"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {
            "genes": list(self.genes),
            "program": self.program.tolist(),
            "names": list(self.names),
            "source": self.source,
            "about": dict(self.about),
        }

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> np.ndarray:
        """(programs,) number of genes."""
        return np.bincount(self.program[self.program >= 0], minlength=len(self))

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """The genes of each program, sorted."""
        genes = np.asarray(self.genes, dtype=str)
        return {name: tuple(sorted(genes[self.program == i].tolist())) for i, name in enumerate(self.names)}

    def of(self, gene: str) -> str | None:
        """Name of the program of a gene; `None` where there is none."""
        place = self.genes.index(gene) if gene in self.genes else -1
        return None if place < 0 or self.program[place] < 0 else self.names[self.program[place]]

    def labels(self, genes: Sequence[str]) -> np.ndarray:
        """(genes,) program of each of some genes, by name; -1 for none."""
        known = dict(zip(self.genes, self.program.tolist(), strict=True))
        return np.array([known.get(gene, -1) for gene in genes], dtype=np.int64)

    def averages(self, genes: Sequence[str]) -> csr_matrix:
        """(genes, programs) weights that take the mean of each program, for a matrix over `genes`.

        Raises
        ------
        InputError
            None of these genes is in a program.
        """
        labels = self.labels(genes)
        rows = np.flatnonzero(labels >= 0)
        if not len(rows):
            raise InputError(f"None of {len(genes):,} genes is in a program; programs know e.g. {self.genes[:_SHOWN]}.")
        size = np.bincount(labels[rows], minlength=len(self))
        weights = (1.0 / size[labels[rows]]).astype(np.float32)
        return csr_matrix((weights, (rows, labels[rows])), shape=(len(labels), len(self)))

    def signatures(
        self,
        loadings: "pd.Series | Mapping[str, float] | None" = None,
        *,
        min_genes: int = 3,
        max_genes: int | None = None,
        weights: str = "sign",
        prefix: str = "",
        organism: str | None = None,
    ) -> list[Signature]:
        """Give each program as a signature, which can be searched, scored, imputed and ranked like any other.

        Parameters
        ----------
        loadings
            How each gene goes with its program, e.g. from `program_loadings`. Genes come in the order of their
            strength, and those without any are left out. `None` weighs all genes 1, in alphabetical order.
        min_genes
            Programs with fewer genes are left out.
        max_genes
            Keep so many genes of each program, those with the strongest loadings; `None` keeps all.
        weights
            With loadings: ``"sign"`` weighs genes +1 and -1, which a GMT file can hold; ``"loading"`` by the loadings.
        prefix
            What stands before each name, so that programs of several screens can be told apart, e.g. ``"norman "``.
        organism
            ``"human"`` or ``"mouse"``; `None` tells it from the names.

        Raises
        ------
        InputError
            No program is large enough, `max_genes` is asked for without loadings, or `weights` is neither.
        """
        if weights not in ("sign", "loading"):
            raise InputError(f"weights takes sign or loading, found {weights!r}.")
        if max_genes is not None and loadings is None:
            raise InputError(
                "max_genes keeps the strongest genes: pass loadings, e.g. program_loadings(programs, data)."
            )
        found = []
        for name, genes in self.members.items():
            kept = [(gene, 1.0) for gene in genes] if loadings is None else _strongest(genes, loadings)[:max_genes]
            if len(kept) < max(min_genes, 1):
                continue
            values = [float(np.sign(value)) if weights == "sign" else value for _, value in kept]
            made = Signature.from_genes(
                [gene for gene, _ in kept],
                prefix + name,
                weights=None if loadings is None or set(values) == {1.0} else values,
                organism=organism,
                description=f"{len(kept)} of {len(genes)} genes of one of {len(self)} programs from {self.source}",
            )
            found.append(replace(made, source=f"insignia perturb programs, {self.source}"))
        if not found:
            raise InputError(
                f"No program has {min_genes} genes{'' if loadings is None else ' with a loading'}: {self}."
            )
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row a gene: ``program``, empty where there is none, and ``size`` of the program."""
        sizes = np.append(self.sizes, 0)
        names = np.array([*self.names, None], dtype=object)
        return pd.DataFrame(
            {"program": names[self.program], "size": sizes[self.program]}, index=pd.Index(self.genes, name="gene")
        )

    def __str__(self) -> str:
        sizes, without = self.sizes, int((self.program < 0).sum())
        return (
            f"{len(self)} programs of {sizes.min() if len(sizes) else 0} to {sizes.max() if len(sizes) else 0} genes "
            f"from {self.source}; {without} of {len(self.genes):,} genes without one"
        )


def _strongest(genes: Sequence[str], loadings: "pd.Series | Mapping[str, float]") -> list[tuple[str, float]]:
    """Genes with a loading, the strongest first."""
    known = ((gene, float(loadings.get(gene, np.nan))) for gene in genes)
    return sorted(
        ((gene, value) for gene, value in known if value and np.isfinite(value)), key=lambda one: (-abs(one[1]), one[0])
    )
