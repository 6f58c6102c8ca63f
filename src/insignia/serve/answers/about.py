"""What the server answers about an atlas, and about signatures before they are searched."""

from pydantic import BaseModel, Field

__all__ = [
    "AtlasInfo",
    "CompletionList",
    "Facet",
    "FacetValue",
    "Facets",
    "GeneRow",
    "GeneSet",
    "GeneSetList",
    "MatchReport",
    "SignatureInfo",
    "SignatureList",
]


class AtlasInfo(BaseModel):
    """What an atlas holds."""

    name: str
    version: str = Field(description="Hash of the manifest; changes with every addition.")
    cells: int
    values: int
    studies: int
    genes: int
    organism: str
    model: str
    method: str
    facets: list[str]


class SignatureInfo(BaseModel):
    """A bundled signature."""

    name: str
    genes: int
    organism: str
    description: str
    doi: str
    is_signed: bool


class SignatureList(BaseModel):
    """The bundled signatures."""

    signatures: list[SignatureInfo]


class GeneSet(BaseModel):
    """One set of an uploaded file; `genes` is what the other routes take."""

    name: str
    size: int
    genes: str
    description: str


class GeneSetList(BaseModel):
    """Sets of an uploaded file."""

    sets: list[GeneSet]


class CompletionList(BaseModel):
    """Genes of the atlas that start with what was typed."""

    genes: list[str]


class GeneRow(BaseModel):
    """What became of one gene."""

    gene: str
    weight: float
    status: str = Field(description="matched, renamed, ambiguous or missing")
    found_as: str


class MatchReport(BaseModel):
    """Which genes of a signature the atlas has."""

    name: str
    summary: str
    matched: int
    renamed: int
    ambiguous: int
    missing: int
    coverage: float
    genes: list[GeneRow]
    hints: list[str]


class FacetValue(BaseModel):
    """Cells with one value, among those that pass the filters of all other columns."""

    value: str
    cells: int
    chosen: bool


class Facet(BaseModel):
    """A column to filter by."""

    column: str
    values: list[FacetValue]


class Facets(BaseModel):
    """Columns to filter by, and how many cells pass all filters."""

    cells: int
    facets: list[Facet]
