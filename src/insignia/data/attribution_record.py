"""How attributions were made: the record that travels with them, from a cell to an atlas."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Final

from insignia.core.errors import InputError, MissingMetadata

__all__ = ["AttributionRecord"]

_SIGNS: Final = ("absolute", "signed")
_MAY_DIFFER: Final = ("model", "version", "input_space")


@dataclass(frozen=True)
class AttributionRecord:
    """How attributions were made, all that is needed to repeat the run and to tell whether two runs compare.

    Parameters
    ----------
    model
        Name of the model.
    fingerprint
        Hash of its weights, gene table and preprocessing.
    genes_sha256
        Hash of the model's gene table.
    method, target, baseline
        Names of the attribution method, of the score that it explains and of the point it starts from.
    n_steps
        Integration steps; 0 for methods without.
    sign
        ``"absolute"`` or ``"signed"``.
    scale
        What the absolute values of a row add up to; 0 if rows are not scaled.
    input_space
        What the data held: ``"counts"`` or ``"log1p"``.
    version
        Version of insignia.
    interpolate
        What moved on a straight line: ``"values"`` that the network reads, or ``"amounts"`` before an element-wise
        function such as log1p.
    precision
        ``"float32"``, ``"float64"`` or ``"bf16"``.
    """

    model: str
    fingerprint: str
    genes_sha256: str
    method: str
    target: str
    baseline: str
    n_steps: int
    sign: str
    scale: float
    input_space: str
    version: str
    interpolate: str = "values"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.sign not in _SIGNS:
            raise InputError(f"sign must be one of {', '.join(_SIGNS)}, not {self.sign!r}.")
        if not 0 <= self.scale < float("inf"):
            raise InputError(f"scale must be 0 (not scaled) or a positive number, not {self.scale}.")

    def to_dict(self) -> dict[str, str | int | float]:
        """Plain values, fit for `adata.uns` and JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AttributionRecord":
        """Read back what `to_dict` gave, also after h5ad made numpy values of it; entries it does not know are ignored.

        Records of before there was a choice of what moves and of the precision are those of the defaults.

        Raises
        ------
        MissingMetadata
            An entry is absent or is not of its kind.
        """
        absent = [entry.name for entry in fields(cls) if entry.name not in values and entry.default is MISSING]
        if absent:
            raise MissingMetadata(
                f"The record of the attributions lacks {', '.join(absent)}; it has: {', '.join(values) or 'nothing'}. "
                "Run the attribution again."
            )
        kinds: dict[str, type] = {entry.name: entry.type for entry in fields(cls) if isinstance(entry.type, type)}
        try:
            plain = {name: kind(values[name]) for name, kind in kinds.items() if name in values}
        except (TypeError, ValueError, OverflowError) as error:
            raise MissingMetadata(f"The record of the attributions is damaged: {error}. Run them again.") from error
        return cls(**plain)

    def differences(self, other: "AttributionRecord") -> list[str]:
        """Fields that differ and make two runs incompatible; the model's name, version and input space may differ."""
        return [
            entry.name
            for entry in fields(self)
            if entry.name not in _MAY_DIFFER and getattr(self, entry.name) != getattr(other, entry.name)
        ]
