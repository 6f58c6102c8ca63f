"""All there is to know about programs before they are used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.programs.enrichment import Cohesion, program_cohesion, program_enrichment
from insignia.perturb.programs.evidence import Evidence
from insignia.perturb.programs.record import Programs
from insignia.perturb.programs.stability import Stability, program_stability

__all__ = ["ProgramReport", "report_programs"]

_CONFIDENT = 0.05


@dataclass(frozen=True, eq=False)
class ProgramReport:
    """Coverage, stability, cohesion and meaning of programs.

    Parameters
    ----------
    programs
        What is reported on.
    coverage
        Genes that each kind of evidence knows.
    stability
        Over subsamples.
    cohesion
        Interactions within programs; `None` without a network.
    enrichment
        Tests against gene sets; `None` without any.
    """

    programs: Programs
    coverage: Mapping[str, int]
    stability: Stability
    cohesion: Cohesion | None = None
    enrichment: pd.DataFrame | None = None

    @property
    def without(self) -> tuple[str, ...]:
        """Genes about which the source knows nothing, and which have no program."""
        pairs = zip(self.programs.genes, self.programs.program, strict=True)
        return tuple(sorted(gene for gene, program in pairs if program < 0))

    def record(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        found: dict[str, Any] = {
            "programs": len(self.programs),
            "source": self.programs.source,
            "coverage": dict(self.coverage),
            "without": list(self.without),
            "stability": float(self.stability.with_reference.mean()),
            "stability_by_program": dict(
                zip(self.programs.names, self.stability.by_program.round(3).tolist(), strict=True)
            ),
        }
        if self.cohesion is not None:
            found["cohesion_z"] = self.cohesion.z
        if self.enrichment is not None:
            found["enriched_programs"] = self._enriched()
        return found

    def _enriched(self) -> int:
        assert self.enrichment is not None
        return int(self.enrichment.loc[self.enrichment["q"] < _CONFIDENT, "program"].nunique())

    def __str__(self) -> str:
        lines = [str(self.programs), "known: " + ", ".join(f"{name} {n:,}" for name, n in self.coverage.items())]
        if self.without:
            lines.append(f"without a program, e.g.: {', '.join(self.without[:5])}")
        lines.append(f"stability: {self.stability}")
        if self.cohesion is not None:
            lines.append(f"cohesion: {self.cohesion}")
        if self.enrichment is not None:
            lines.append(f"meaning: {self._enriched()} programs with an enriched gene set (q < {_CONFIDENT})")
        return "\n".join(lines)


def report_programs(
    programs: Programs, data: PerturbationData, *, priors: GenePriors | None = None, n_runs: int = 10, seed: int = 0
) -> ProgramReport:
    """Report on programs.

    Parameters
    ----------
    programs
        From `induce_programs`.
    data, priors
        What they were induced from; gene sets of the priors are tested.
    n_runs
        Subsamples for the stability.
    seed
        Of subsamples and draws.
    """
    evidence = Evidence.make(data, priors)
    network = None if priors is None else priors.network
    gene_sets = {} if priors is None else priors.gene_sets
    return ProgramReport(
        programs,
        evidence.coverage(),
        program_stability(evidence, programs, n_runs=n_runs, seed=seed),
        None if network is None else program_cohesion(programs, network, seed=seed),
        program_enrichment(programs, gene_sets) if gene_sets else None,
    )
