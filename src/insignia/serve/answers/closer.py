"""What the server answers to who looks closer: comparisons, contributions, cells, genes and programs."""

from pydantic import BaseModel, Field

__all__ = [
    "CellGene",
    "CellPage",
    "CellRow",
    "ComparisonAnswer",
    "ComparisonRow",
    "ContributionRow",
    "ContributionTable",
    "RankedGene",
    "RankedProgram",
    "ReverseAnswer",
    "SampleGene",
    "SampleGenes",
]


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
