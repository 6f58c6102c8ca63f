"""What was done to a cell: a set of gene perturbations, equal in whatever order it is written."""

from collections.abc import Iterable
from dataclasses import dataclass

from insignia.core.errors import InputError

__all__ = ["CONTROL", "Condition", "GenePerturbation"]


@dataclass(frozen=True, order=True)
class GenePerturbation:
    """One gene, perturbed in one way.

    Parameters
    ----------
    gene
        Its symbol.
    kind
        How, e.g. ``"CRISPRi"``; the same gene activated and repressed is two perturbations. Empty where a screen has
        one kind only.
    dose
        Relative to the full dose.
    """

    gene: str
    kind: str = ""
    dose: float = 1.0

    def __post_init__(self) -> None:
        if not self.gene or set("+:@|") & set(self.gene + self.kind):
            raise InputError(f"A perturbed gene needs a name without '+', ':', '@' or '|', found {self.gene!r}.")
        if not self.dose > 0:
            raise InputError(f"The dose of {self.gene} must be positive, found {self.dose}.")

    @classmethod
    def parse(cls, text: str) -> "GenePerturbation":
        """Read what `str` writes: ``"KLF1"``, ``"CRISPRi:MAPK1@0.5"``.

        Raises
        ------
        InputError
            The text is not of that form.
        """
        kind, _, rest = text.rpartition(":")
        gene, at, dose = rest.partition("@")
        try:
            return cls(gene.strip(), kind, float(dose) if at else 1.0)
        except (ValueError, InputError) as error:
            raise InputError(
                f"{text!r} is not a gene perturbation. Write a gene, with the kind before a ':' and the dose after an "
                "'@' where they matter, e.g. 'KLF1' or 'CRISPRi:MAPK1@0.5'."
            ) from error

    def __str__(self) -> str:
        kind = f"{self.kind}:" if self.kind else ""
        return f"{kind}{self.gene}" + (f"@{self.dose:g}" if self.dose != 1 else "")


@dataclass(frozen=True)
class Condition:
    """A set of gene perturbations; the empty set is the control.

    Parameters
    ----------
    perturbations
        Kept sorted; a gene may stand there once.
    """

    perturbations: tuple[GenePerturbation, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.perturbations))
        genes = [part.gene for part in ordered]
        if len(set(genes)) < len(genes):
            raise InputError(f"A condition names each gene once, found {'+'.join(map(str, ordered))}.")
        object.__setattr__(self, "perturbations", ordered)

    @classmethod
    def of(cls, genes: Iterable[str], *, kind: str = "") -> "Condition":
        """Perturb some genes at full dose, all in the same way."""
        return cls(tuple(GenePerturbation(gene, kind) for gene in genes))

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read what `str` writes: ``"control"``, ``"KLF1"``, ``"KLF1+MAP2K6"``, ``"CRISPRi:MAPK1@0.5"``.

        Raises
        ------
        InputError
            The text is not of that form.
        """
        if text == CONTROL:
            return cls()
        return cls(tuple(_parse_one(part.strip(), text) for part in text.split("+")))

    @property
    def is_control(self) -> bool:
        """Whether nothing was perturbed."""
        return not self.perturbations

    @property
    def genes(self) -> tuple[str, ...]:
        """The perturbed genes, sorted."""
        return tuple(part.gene for part in self.perturbations)

    @property
    def singles(self) -> tuple["Condition", ...]:
        """Each of its perturbations alone."""
        return tuple(Condition((part,)) for part in self.perturbations)

    def __str__(self) -> str:
        return "+".join(map(str, self.perturbations)) or CONTROL


CONTROL = "control"
"""How the control is written."""


def _parse_one(part: str, text: str) -> GenePerturbation:
    try:
        return GenePerturbation.parse(part)
    except InputError as error:
        raise InputError(
            f"{text!r} is not a condition. Write genes joined by '+', e.g. 'KLF1+MAP2K6', with the kind before a ':' "
            "and the dose after an '@' where they matter, or 'control'."
        ) from error
