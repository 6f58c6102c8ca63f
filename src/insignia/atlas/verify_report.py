"""What a look at every file of an atlas found."""

from dataclasses import dataclass
from typing import Any

__all__ = ["VerifyReport"]


@dataclass(frozen=True)
class VerifyReport:
    """What `Atlas.verify` looked at, and what is wrong.

    Attributes
    ----------
    full
        Whether every byte was read, or sizes and headers only.
    files, bytes
        What was looked at.
    problems
        One sentence for each thing that is not as it was written; empty if all is well.
    left_over
        Files and folders that no version names; the next change removes them.
    """

    full: bool
    files: int
    bytes: int
    cells: int
    problems: tuple[str, ...]
    left_over: int
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return {"is_sound": self.is_sound, **vars(self), "problems": list(self.problems)}

    def summary(self) -> str:
        """Lines for people."""
        how = "read every byte of" if self.full else "looked at sizes and headers of"
        found = f"{len(self.problems):,} problems" if self.problems else "all is as it was written"
        lines = [
            f"{how.capitalize()} {self.files:,} files, {self.bytes / 1e6:,.1f} MB, {self.seconds:,.1f} s: {found}."
        ]
        if self.left_over:
            lines.append(f"{self.left_over:,} left-overs of changes that did not finish; the next change removes them.")
        return "\n".join([*lines, *self.problems])
