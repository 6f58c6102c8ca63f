"""What the server answers to a search, and to two."""

from pydantic import BaseModel, Field

__all__ = [
    "ExcludedRow",
    "GroupRow",
    "HeatMapAnswer",
    "SamplePage",
    "SampleRow",
    "SearchAnswer",
    "SharedSample",
    "StudyRow",
    "TwoSignatures",
]


class SampleAnswer(BaseModel):
    """One sample, and how many of its cells were asked about."""

    study: str
    sample: str
    donor: str
    tissue: str
    disease: str
    cells: int


class SampleRow(SampleAnswer):
    """Hits of one sample."""

    hits: int
    fraction: float | None
    mean_score: float | None
    coverage: float | None
    unscored: int


class ExcludedRow(SampleAnswer):
    """A sample that was put aside."""

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


class SharedSample(SampleAnswer):
    """One sample under two signatures."""

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
