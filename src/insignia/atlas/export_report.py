"""What an export of an atlas wrote."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExportReport"]


@dataclass(frozen=True)
class ExportReport:
    """What `Atlas.export` wrote.

    Attributes
    ----------
    files
        One, or one for each set of genes that studies measured.
    """

    files: tuple[Path, ...]
    cells: int
    values: int
    seconds: float

    def summary(self) -> str:
        """One line for people."""
        told = str(self.files[0]) if len(self.files) == 1 else f"{len(self.files):,} files in {self.files[0].parent}"
        return f"Wrote {self.cells:,} cells and {self.values:,} values to {told}, {self.seconds:,.1f} s."
