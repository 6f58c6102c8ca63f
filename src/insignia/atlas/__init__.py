"""Atlases: attributed cells of many studies, searched for signatures, with hits counted by sample."""

from insignia.atlas.add_report import AddReport
from insignia.atlas.calibration import Calibration
from insignia.atlas.calls import Hits
from insignia.atlas.cell_filters import CellFilters, FilterStep
from insignia.atlas.change_report import ChangeReport
from insignia.atlas.comparison import Comparison
from insignia.atlas.cutoffs import Cutoffs
from insignia.atlas.export_report import ExportReport
from insignia.atlas.neighbours import Neighbours
from insignia.atlas.population import Stratum
from insignia.atlas.result import SearchResult, StudyCoverage
from insignia.atlas.samples import SampleTable
from insignia.atlas.screens.comparison import ScreenComparison
from insignia.atlas.screens.contributions import Contributions
from insignia.atlas.screens.ranking import ProgramRanking
from insignia.atlas.screens.screen import Screen
from insignia.atlas.store import Atlas
from insignia.atlas.verify_report import VerifyReport

__all__ = [
    "AddReport",
    "Atlas",
    "Calibration",
    "CellFilters",
    "ChangeReport",
    "Comparison",
    "Contributions",
    "Cutoffs",
    "ExportReport",
    "FilterStep",
    "Hits",
    "Neighbours",
    "ProgramRanking",
    "SampleTable",
    "Screen",
    "ScreenComparison",
    "SearchResult",
    "Stratum",
    "StudyCoverage",
    "VerifyReport",
]
