"""What a change that adds nothing says about itself."""

from dataclasses import dataclass

__all__ = ["ChangeReport"]


@dataclass(frozen=True)
class ChangeReport:
    """What `Atlas.remove` or `Atlas.compact` did.

    Attributes
    ----------
    studies
        Cells of each study that was removed.
    segments, bytes
        Of the atlas, before and after.
    rewritten
        Cells that were copied into new segments.
    """

    studies: dict[str, int]
    segments: tuple[int, int]
    bytes: tuple[int, int]
    rewritten: int
    seconds: float

    def summary(self) -> str:
        """One line for people."""
        before, after = (
            f"{count:,} ({size / 1e6:,.1f} MB)" for count, size in zip(self.segments, self.bytes, strict=True)
        )
        told = (
            f"Removed {sum(self.studies.values()):,} cells of {len(self.studies):,} studies. " if self.studies else ""
        )
        return f"{told}Segments: {before}, now {after}; {self.rewritten:,} cells copied, {self.seconds:,.1f} s."
