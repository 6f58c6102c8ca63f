"""Gene programs: induced from training cells and from what is known about genes, with their stability and meaning."""

import insignia.perturb.programs.embedding
import insignia.perturb.programs.expression
import insignia.perturb.programs.fused
import insignia.perturb.programs.grc
import insignia.perturb.programs.plain  # noqa: F401 - registers
from insignia.perturb.programs.annotate import annotate_programs
from insignia.perturb.programs.contract import program_sources
from insignia.perturb.programs.enrichment import program_cohesion, program_enrichment
from insignia.perturb.programs.induce import check_programs, induce_programs
from insignia.perturb.programs.loadings import program_loadings
from insignia.perturb.programs.record import Programs
from insignia.perturb.programs.report import ProgramReport, report_programs
from insignia.perturb.programs.stability import Stability, program_stability

__all__ = [
    "ProgramReport",
    "Programs",
    "Stability",
    "annotate_programs",
    "check_programs",
    "induce_programs",
    "program_cohesion",
    "program_enrichment",
    "program_loadings",
    "program_sources",
    "program_stability",
    "report_programs",
]
