"""What the server answers, typed; these models are the OpenAPI description."""

from pydantic import BaseModel, Field

__all__ = [
    "AtlasInfo",
    "CellPage",
    "ComparisonAnswer",
    "CompletionList",
    "ContributionTable",
    "Facets",
    "GeneSetList",
    "MatchReport",
    "Problem",
    "ReverseAnswer",
    "SampleGenes",
    "SamplePage",
    "SearchAnswer",
    "SignatureList",
    "TwoSignatures",
]


class Problem(BaseModel):
    """What went wrong (RFC 9457): `detail` says what was expected, what was found, and what to do."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Name of the error in insignia.")


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


class SampleRow(BaseModel):
    """Hits of one sample."""

    study: str
    sample: str
    donor: str
    tissue: str
    disease: str
    cells: int
    hits: int
    fraction: float | None
    mean_score: float | None
    coverage: float | None
    unscored: int


class ExcludedRow(BaseModel):
    """A sample that was put aside."""

    study: str
    sample: str
    donor: str
    tissue: str
    disease: str
    cells: int
    reason: str


class GroupRow(BaseModel):
    """Samples of one group."""

    group: str
    samples: int
    donors: int
    studies: int
    cells: int
    hits: int
    mean_fraction: float | None
    median_fraction: float | None
    enough: bool


class HeatMapAnswer(BaseModel):
    """Hits over cell types and tissues; each matrix is a list of rows."""

    rows: list[str]
    columns: list[str]
    cells: list[list[int]]
    hits: list[list[int]]
    mean_score: list[list[float | None]]


class StudyRow(BaseModel):
    """How much of the signature a study measured."""

    study: str
    cells: int
    genes: int
    coverage: float
    scored: bool
    reason: str


class SearchAnswer(BaseModel):
    """The answer to a search."""

    atlas: str
    version: str
    signature: str
    where: str | None
    answer: list[str]
    cautions: list[str]
    warnings: list[str]
    match: str
    cells: int
    hits: int
    unscored: int
    rule: str
    cutoff: str
    cutoff_from: str
    expected: float | None = Field(description="Share of hits over all scored cells.")
    groups: list[GroupRow]
    samples: list[SampleRow]
    n_samples: int = Field(description="All samples; `samples` may hold fewer.")
    excluded: list[ExcludedRow]
    n_excluded: int
    heat_map: HeatMapAnswer
    studies: list[StudyRow]
    command: str = Field(description="The same search on the command line.")
    seconds: float


class SamplePage(BaseModel):
    """One page of the sample table."""

    rows: list[SampleRow]
    total: int
    page: int
    page_size: int


class ComparisonRow(BaseModel):
    """One group against the reference."""

    group: str
    donors: int
    reference_donors: int
    studies: int
    studies_with_both: int
    mean_fraction: float | None
    reference_fraction: float | None
    shift: float | None
    low: float | None
    high: float | None
    cliffs_delta: float | None
    p: float | None
    smallest_p: float | None
    q: float | None
    testable: bool
    note: str


class ComparisonAnswer(BaseModel):
    """Groups of donors against a reference."""

    verdict: str
    reference: str
    test: str
    alpha: float
    rows: list[ComparisonRow]


class ContributionRow(BaseModel):
    """What one gene adds to the mean score of a group."""

    gene: str
    weight: float
    contribution: float | None
    share: float | None
    attribution: float | None
    detection: float | None
    measured: float | None


class ContributionTable(BaseModel):
    """What each gene adds, the most first."""

    group: str
    groups: list[str]
    score: float | None
    unit: str
    genes: list[ContributionRow]


class CellGene(BaseModel):
    """One gene in one cell."""

    gene: str
    attribution: float | None
    in_signature: bool


class CellRow(BaseModel):
    """One cell."""

    barcode: str
    cell_type: str
    score: float | None
    is_hit: bool
    top_genes: list[CellGene] = Field(description="Genes that matter most in the cell, the most first.")


class CellPage(BaseModel):
    """Cells of one sample, the highest score first."""

    study: str
    sample: str
    cells: int
    hits: int
    rows: list[CellRow]
    page: int
    page_size: int


class SampleGene(BaseModel):
    """One gene over the cells of a sample."""

    gene: str
    attribution: float | None
    detection: float | None
    in_signature: bool


class SampleGenes(BaseModel):
    """Genes of the whole atlas with the highest mean attribution in the cells of a sample."""

    study: str
    sample: str
    genes: list[SampleGene]


class RankedProgram(BaseModel):
    """How a program differs between the cells chosen and those they are compared with."""

    signature: str
    donors: int
    reference_donors: int
    studies: int
    mean_score: float | None
    reference_score: float | None
    shift: float | None
    effect: float | None
    p: float | None
    smallest_p: float | None
    q: float | None
    testable: bool


class RankedGene(BaseModel):
    """How a gene differs between the cells chosen and those they are compared with."""

    gene: str
    donors: int
    reference_donors: int
    mean_attribution: float | None
    reference_attribution: float | None
    detection: float | None
    reference_detection: float | None
    shift: float | None
    effect: float | None
    p: float | None
    q: float | None
    testable: bool


class ReverseAnswer(BaseModel):
    """Programs and genes that stand out in some cells."""

    sentence: str
    where: str
    reference: str
    is_paired: bool
    test: str
    alpha: float
    programs: list[RankedProgram]
    genes: list[RankedGene]
    n_genes: int = Field(description="All genes that were ranked; `genes` holds the first.")
    n_genes_left_out: int


class SharedSample(BaseModel):
    """One sample under two signatures."""

    study: str
    sample: str
    donor: str
    tissue: str
    disease: str
    cells: int
    fraction: float | None
    fraction_other: float | None
    mean_score: float | None
    mean_score_other: float | None


class TwoSignatures(BaseModel):
    """Two signatures over the same cells."""

    first: str
    second: str
    shared_genes: list[str]
    samples: list[SharedSample]
    n_samples: int
    sample_correlation: float | None
    cell_correlation: float | None
    both: int
    only_first: int
    only_second: int
    neither: int
    sentence: str
