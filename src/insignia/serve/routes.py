"""The routes that answer questions; each calls the functions that the command line calls."""

from bisect import bisect_left
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from insignia.core.errors import FilterError, SignatureError
from insignia.genes import pasted_file
from insignia.serve import answers, views
from insignia.serve.explore import cells_of_sample, genes_of_sample
from insignia.serve.predicates import where_of
from insignia.serve.problems import PROBLEMS
from insignia.serve.question import Filters, Genes, Question, by_column
from insignia.serve.shelf import OpenAtlas
from insignia.serve.state import State, clock

__all__ = ["AtlasName", "routes"]

AtlasName = Annotated[str, Path(max_length=300, description="Name of an atlas, see /api/atlases.")]
SortColumn = Literal["study", "sample", "donor", "tissue", "disease", "cells", "hits", "fraction", "mean_score"]


class Completion(BaseModel):
    """What was typed of a gene name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    prefix: str = Field(min_length=1, max_length=100)
    limit: int = Field(12, ge=1, le=100)


class TablePage(Question):
    """A page of the sample table."""

    sort: SortColumn = "fraction"
    descending: bool = True
    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(25, ge=1, le=500)


class Against(Question):
    """A comparison of groups."""

    against: str = Field("normal", max_length=300, description="Group to compare the others with.")
    test: Literal["van_elteren", "meta", "beta_binomial", "mann_whitney"] = "van_elteren"


class GroupOf(Question):
    """One group of a search, and what its means are over."""

    group: str | None = Field(None, max_length=500, description="The group; else the one with the highest score.")
    unit: Literal["donor", "cell"] = Field("donor", description="donor gives each donor one voice, cell each cell.")


class OneSample(Question):
    """A sample of a search."""

    study: str = Field(max_length=500)
    sample: str = Field(max_length=500)
    donor: str | None = Field(None, max_length=500)
    tissue: str | None = Field(None, max_length=500)
    disease: str | None = Field(None, max_length=500)
    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(20, ge=1, le=100)

    def chosen(self) -> dict[str, str]:
        """Columns that choose the sample, and their values."""
        columns = ("study", "sample", "donor", "tissue", "disease")
        return {name: getattr(self, name) for name in columns if getattr(self, name) is not None}


class Reverse(Filters):
    """Some cells, and what they are compared with."""

    than: list[Annotated[str, Field(max_length=500)]] = Field(
        [], max_length=300, description="Cells to compare with, written as filters are; none takes all other cells."
    )
    min_cells: int = Field(25, ge=1, le=1_000_000, description="Leave out samples with fewer such cells.")
    top: int = Field(30, ge=1, le=500, description="Genes to list.")


class Other(Question):
    """A second signature beside the first."""

    other: str | None = Field(None, max_length=200, description="Name of a bundled signature.")
    other_genes: str | None = Field(None, max_length=60_000, description="Genes of the second, instead of its name.")
    other_name: str | None = Field(None, max_length=200)

    def second(self) -> Question:
        """Ask the same of the other signature."""
        fields = {name: getattr(self, name) for name in Question.model_fields}
        return Question(**{**fields, "signature": self.other, "genes": self.other_genes, "name": self.other_name})


def routes(state: State) -> APIRouter:
    """All routes below ``/api`` that answer as JSON."""
    router = APIRouter(prefix="/api", responses=PROBLEMS)
    limits = state.options

    @router.get("/atlases")
    async def list_atlases() -> list[answers.AtlasInfo]:
        """List the atlases that are served."""
        return await state.work.run(lambda: [views.atlas_info(state.shelf.get(name)) for name in state.shelf.names])

    @router.get("/signatures")
    async def list_signatures() -> answers.SignatureList:
        """List the bundled signatures."""
        return await state.work.run(views.signatures)

    @router.post("/signatures", openapi_extra=_TEXT_BODY)
    async def read_file(
        request: Request, file_name: Annotated[str, Query(max_length=200)] = "upload.txt"
    ) -> answers.GeneSetList:
        """Read the gene sets of a GMT or text file; it is not kept."""
        content = await request.body()

        def read() -> answers.GeneSetList:
            sets = list(pasted_file(content, file_name).values())
            if len(sets) > limits.max_sets:
                raise SignatureError(
                    f"The file holds {len(sets):,} sets, and at most {limits.max_sets:,} are read here. Send those "
                    "of interest."
                )
            return views.gene_sets(sets)

        return await state.work.run(read)

    @router.get("/atlases/{atlas}/genes", response_model=answers.CompletionList)
    async def complete(atlas: AtlasName, query: Annotated[Completion, Query()]) -> Response:
        """Complete a gene name."""
        return await state.answer(atlas, ("genes", query), lambda found: _complete(found, query))

    @router.get("/atlases/{atlas}/match", response_model=answers.MatchReport)
    async def match(atlas: AtlasName, query: Annotated[Genes, Query()]) -> Response:
        """Say which genes of a signature the atlas has, which were renamed, and which are missing."""

        def make(found: OpenAtlas) -> answers.MatchReport:
            wanted = query.to_signature(limits.max_genes)
            return views.match_report(wanted, wanted.match(found.atlas.genes))

        return await state.answer(atlas, ("match", _key(query)), make)

    @router.get("/atlases/{atlas}/facets", response_model=answers.Facets)
    async def facets(atlas: AtlasName, query: Annotated[Filters, Query()]) -> Response:
        """Count cells of each value of each column; each column ignores its own filters."""
        return await state.answer(atlas, ("facets", _key(query)), lambda found: views.facets(found, query.by_column()))

    @router.get("/atlases/{atlas}/search", response_model=answers.SearchAnswer)
    async def search(atlas: AtlasName, query: Annotated[Question, Query()]) -> Response:
        """Search a signature: the answer in sentences, groups, samples and the heat map."""

        def make(found: OpenAtlas) -> answers.SearchAnswer:
            seconds = clock()
            searched = state.find(found, query)
            drawn = views.search_answer(searched, query, max_points=limits.max_points, seconds=0.0)
            return drawn.model_copy(update={"seconds": seconds()})

        return await state.answer(atlas, ("search", _key(query)), make)

    @router.get("/atlases/{atlas}/samples", response_model=answers.SamplePage)
    async def samples(atlas: AtlasName, query: Annotated[TablePage, Query()]) -> Response:
        """One page of the sample table."""

        def make(found: OpenAtlas) -> answers.SamplePage:
            return views.sample_page(
                state.find(found, query),
                sort=query.sort,
                descending=query.descending,
                page=query.page,
                page_size=query.page_size,
            )

        return await state.answer(atlas, ("samples", _key(query)), make)

    @router.get("/atlases/{atlas}/compare", response_model=answers.ComparisonAnswer)
    async def compare(atlas: AtlasName, query: Annotated[Against, Query()]) -> Response:
        """Compare groups of donors with a reference group."""

        def make(found: OpenAtlas) -> answers.ComparisonAnswer:
            table = state.find(found, query).table
            return views.comparison_answer(table.compare(query.by, reference=query.against, test=query.test))

        return await state.answer(atlas, ("compare", _key(query)), make)

    @router.get("/atlases/{atlas}/contributions", response_model=answers.ContributionTable)
    async def contributions(atlas: AtlasName, query: Annotated[GroupOf, Query()]) -> Response:
        """Say what each gene adds to the mean score of a group; the parts add up to the score."""

        def make(found: OpenAtlas) -> answers.ContributionTable:
            parts = state.find(found, query).result.contributions(query.by, unit=query.unit)
            return views.contribution_table(parts, query.group)

        return await state.answer(atlas, ("contributions", _key(query)), make)

    @router.get("/atlases/{atlas}/cells", response_model=answers.CellPage)
    async def cells(atlas: AtlasName, query: Annotated[OneSample, Query()]) -> Response:
        """Cells of one sample, the highest score first."""

        def make(found: OpenAtlas) -> answers.CellPage:
            searched = state.find(found, query)
            chosen = query.chosen()
            rows = cells_of_sample(searched, chosen)
            return views.cell_page(searched, rows, chosen, page=query.page, page_size=query.page_size)

        return await state.answer(atlas, ("cells", _key(query)), make)

    @router.get("/atlases/{atlas}/sample_genes", response_model=answers.SampleGenes)
    async def sample_genes(atlas: AtlasName, query: Annotated[OneSample, Query()]) -> Response:
        """Genes of the whole atlas with the highest mean attribution in the searched cells of a sample."""

        def make(found: OpenAtlas) -> answers.SampleGenes:
            searched, chosen = state.find(found, query), query.chosen()
            return views.sample_genes(genes_of_sample(searched, chosen, top=15), chosen)

        return await state.answer(atlas, ("sample_genes", _key(query)), make)

    @router.get("/atlases/{atlas}/reverse", response_model=answers.ReverseAnswer)
    async def reverse(atlas: AtlasName, query: Annotated[Reverse, Query()]) -> Response:
        """Ask the reverse: which bundled programs and which genes stand out in the cells that pass the filters."""

        def make(found: OpenAtlas) -> answers.ReverseAnswer:
            where, reference = where_of(found, query.by_column()), where_of(found, by_column(query.than))
            if where is None:
                raise FilterError("Choose some cells by filters; what stands out in all cells cannot be asked.")
            ranking = found.atlas.rank_programs(
                where, reference=reference or f"NOT ({where})", min_cells=query.min_cells
            )
            return views.reverse_answer(ranking, top=query.top)

        return await state.answer(atlas, ("reverse", _key(query)), make)

    @router.get("/atlases/{atlas}/two", response_model=answers.TwoSignatures)
    async def two(atlas: AtlasName, query: Annotated[Other, Query()]) -> Response:
        """Compare two signatures over the same cells."""

        def make(found: OpenAtlas) -> answers.TwoSignatures:
            pair = state.find(found, query), state.find(found, query.second())
            return views.two_signatures(*pair, max_points=limits.max_points)

        return await state.answer(atlas, ("two", _key(query)), make)

    return router


_TEXT_BODY = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string", "description": "A GMT file or a list of genes."}}},
    }
}


def _key(query: BaseModel) -> str:
    return query.model_dump_json()


def _complete(atlas: OpenAtlas, query: Completion) -> answers.CompletionList:
    wanted = query.prefix.upper()
    known = atlas.completions
    first = bisect_left(known, (wanted, ""))
    found = []
    for upper, label in known[first : first + query.limit]:
        if not upper.startswith(wanted):
            break
        found.append(label)
    return answers.CompletionList(genes=found)
