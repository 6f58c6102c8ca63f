"""What scores a cut-off was taken from, so that it calls no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from insignia.core.errors import AtlasMismatch, SignatureError
from insignia.data import AttributionRecord

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """What scores a cut-off was taken from, all that tells whether other scores compare with it.

    Attributes
    ----------
    signature, signature_sha256, agg, min_coverage
        What was scored, and how.
    where, filters
        Which cells were searched: the expression, and each named filter with what it dropped.
    record
        How the attributions were made.
    atlas_sha256
        Version of the atlas: hash of its manifest.
    software
        Version of insignia that took the cut-off.
    """

    signature: str
    signature_sha256: str
    agg: str
    min_coverage: float
    where: str | None
    filters: tuple[Mapping[str, Any], ...]
    record: AttributionRecord
    atlas_sha256: str
    software: str

    @classmethod
    def of(cls, result: "SearchResult") -> "Calibration":
        """Describe a search."""
        return cls(
            signature=result.signature.name,
            signature_sha256=result.signature.sha256,
            agg=result.agg,
            min_coverage=result.min_coverage,
            where=result.where,
            filters=tuple(step._asdict() for step in result.filters),
            record=result.snapshot.manifest.record,
            atlas_sha256=result.snapshot.manifest.sha256(),
            software=version("insignia"),
        )

    def check(self, result: "SearchResult") -> None:
        """Refuse scores that do not compare with those of the calibration.

        Raises
        ------
        SignatureError
            The search scored another signature, or combined genes in another way.
        AtlasMismatch
            Its atlas holds attributions of another kind.
        """
        if result.signature.sha256 != self.signature_sha256 or result.agg != self.agg:
            raise SignatureError(
                f"The cut-off was taken from scores of {self.signature!r} ({self.agg}) and cannot call scores of "
                f"{result.signature.name!r} ({result.agg}). Search the same signature the same way."
            )
        differences = self.record.differences(result.snapshot.manifest.record)
        if differences:
            raise AtlasMismatch(
                f"The cut-off belongs to attributions that differ in {', '.join(differences)} from those of the other "
                "search, so the scores do not compare. Call that search on its own."
            )
