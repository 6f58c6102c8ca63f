"""What an addition to an atlas says about itself."""

from dataclasses import dataclass

__all__ = ["AddReport"]


@dataclass(frozen=True)
class AddReport:
    """What one call of `Atlas.add` or `Atlas.replace` wrote.

    Attributes
    ----------
    studies
        Cells of each study.
    values
        Attributions that were stored.
    bytes
        Size on disk.
    replaced
        Studies that the atlas had before.
    """

    ingest: str
    studies: dict[str, int]
    cells: int
    values: int
    segments: tuple[str, ...]
    bytes: int
    seconds: float
    replaced: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for people."""
        instead = f", {len(self.replaced):,} of them in place of older ones" if self.replaced else ""
        return (
            f"Added {self.cells:,} cells of {len(self.studies):,} studies{instead}: {self.values:,} values, "
            f"{self.bytes / 1e6:,.1f} MB, {self.seconds:,.1f} s."
        )
