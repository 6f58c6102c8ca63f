"""What is asked of an atlas, as it stands in the address of a view."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from insignia.core.errors import FilterError, InputError, SignatureError
from insignia.genes import Signature, pasted, signature

__all__ = ["By", "Filters", "Genes", "Question"]

By: TypeAlias = Literal["disease", "tissue", "study"]
_FILTER = "column:value, e.g. cell_type:macrophage. Values of one column are alternatives; columns must all hold."
_MAX_TEXT = 60_000


class Filters(BaseModel):
    """Which cells are asked about: structured, so that no expression comes from outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: list[Annotated[str, Field(max_length=500)]] = Field([], max_length=300, description=_FILTER)

    def by_column(self) -> dict[str, tuple[str, ...]]:
        """Wanted values of each column, both sorted.

        Raises
        ------
        FilterError
            A filter has no colon.
        """
        return by_column(self.filter)


class Genes(Filters):
    """A signature, named or pasted, and the cells it is asked of."""

    signature: str | None = Field(None, max_length=200, description="Name of a bundled signature, e.g. MS1.")
    genes: str | None = Field(
        None,
        max_length=_MAX_TEXT,
        description="Genes separated by anything, with signs or weights: IL1B,S100A8:2,CD14:-1. Instead of signature.",
    )
    name: str | None = Field(None, max_length=200, description="What to call pasted genes.")

    def to_signature(self, max_genes: int) -> Signature:
        """Make the signature.

        Raises
        ------
        SignatureError
            Neither or both of a name and genes are given, or there are more than `max_genes`.
        UnknownName
            No bundled signature has the name.
        """
        if (self.signature is None) == (self.genes is None):
            raise SignatureError("Give signature, the name of a bundled one, or genes; not both and not neither.")
        if self.signature is not None:
            found = signature(self.signature)
        else:
            found = pasted(self.genes or "", (self.name or "").strip() or "pasted genes")
        if len(found) > max_genes:
            raise SignatureError(
                f"{found.name!r} has {len(found):,} genes, and at most {max_genes:,} can be searched here. Choose "
                "those that define it, or use `insignia search`."
            )
        return found


class Question(Genes):
    """A search: signature, cells, how hits are called, and how samples are counted."""

    agg: Literal["mean", "sum", "weighted_mean"] = Field("mean", description="How genes are combined.")
    min_coverage: float = Field(0.5, ge=0, le=1, description="Leave out studies that measured less of the signature.")
    rule: Literal["percentile", "quantile", "mad", "value"] = Field("percentile", description="Hit rule.")
    cut: float = Field(
        90.0,
        allow_inf_nan=False,
        description="Percentile (0-100), quantile (0-1), robust standard deviations, or value.",
    )
    within: str | None = Field(None, max_length=200, description="Column each of whose values has its own cut-off.")
    reference: list[Annotated[str, Field(max_length=500)]] = Field(
        [], max_length=100, description="Cells to take cut-offs from, written as filters are."
    )
    by: By = Field("disease", description="What groups samples.")
    min_cells: int = Field(25, ge=1, le=1_000_000, description="Leave out samples with fewer scored cells.")
    min_samples: int = Field(3, ge=1, le=10_000, description="Groups with fewer samples are not ranked.")

    def core(self) -> tuple[object, ...]:
        """Give what decides which cells are hits: equal for questions that share a search."""
        return (
            *(self.signature, self.genes, self.name, tuple(sorted(self.filter)), self.agg, self.min_coverage),
            *(self.rule, self.cut, self.within, tuple(sorted(self.reference)), self.min_cells),
        )

    def rule_params(self) -> dict[str, float]:
        """Give the cut under the name that the rule has for it."""
        return {{"value": "value", "mad": "k"}.get(self.rule, "q"): self.cut}


def by_column(filters: list[str]) -> dict[str, tuple[str, ...]]:
    """Wanted values of each column, both sorted.

    Raises
    ------
    FilterError
        A filter has no colon.
    """
    found: dict[str, set[str]] = {}
    for text in filters:
        column, colon, value = text.partition(":")
        if not (colon and column):
            raise FilterError(f"A filter is written column:value, e.g. tissue:blood; found {text!r}.")
        found.setdefault(column, set()).add(value)
    return {column: tuple(sorted(found[column])) for column in sorted(found)}


def check_group(by: str, facets: tuple[str, ...]) -> None:
    """Refuse a column that the atlas does not have.

    Raises
    ------
    InputError
        It is none of the facets.
    """
    if by not in facets:
        raise InputError(f"There is no column {by!r} to choose from. There are: {', '.join(facets)}.")
