"""What an addition to an atlas says about itself."""

from dataclasses import dataclass

__all__ = ["AddReport"]


@dataclass(frozen=True)
class AddReport:
    """What one call of `Atlas.add` wrote.

    Attributes
    ----------
    studies
        Cells of each study.
    values
        Attributions that were stored.
    bytes
        Size on disk.
    """

    ingest: str
    studies: dict[str, int]
    cells: int
    values: int
    segments: tuple[str, ...]
    bytes: int
    seconds: float

    def summary(self) -> str:
        """One line for people."""
        return (
            f"Added {self.cells:,} cells of {len(self.studies):,} studies: {self.values:,} values, "
            f"{self.bytes / 1e6:,.1f} MB, {self.seconds:,.1f} s."
        )
