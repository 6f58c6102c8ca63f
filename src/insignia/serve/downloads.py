"""The routes behind download links: tables, figures, and the result as one page."""

import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from insignia.report import samples_figure, search_report
from insignia.serve import views
from insignia.serve.explore import Found
from insignia.serve.problems import PROBLEMS
from insignia.serve.question import Question
from insignia.serve.routes import AtlasName
from insignia.serve.state import State

__all__ = ["downloads", "result_page"]

_KINDS = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html; charset=utf-8",
}


class Drawing(Question):
    """A figure of a search."""

    top: int = Field(12, ge=1, le=100, description="Groups in the figure.")


def downloads(state: State) -> APIRouter:
    """All routes below ``/api`` that give files."""
    router = APIRouter(prefix="/api", responses=PROBLEMS, default_response_class=Response)

    async def send(atlas: str, query: Question, kind: str, make: Callable[[Found], bytes]) -> Response:
        found = await state.work.run(lambda: state.find(state.shelf.get(atlas), query))
        content = await state.work.run(lambda: make(found))
        what = "figure" if kind in ("svg", "png") else "report" if kind == "html" else "samples"
        name = re.sub(r"[^A-Za-z0-9._]+", "-", f"{found.result.signature.name}-{what}").strip("-.") or what
        return Response(
            content,
            media_type=_KINDS[kind],
            headers={"Content-Disposition": f'attachment; filename="{name[:100]}.{kind}"'},
        )

    @router.get("/atlases/{atlas}/samples.csv", responses=_file("csv"))
    async def samples_csv(atlas: AtlasName, query: Annotated[Question, Query()]) -> Response:
        """Give the whole sample table as CSV."""
        return await send(atlas, query, "csv", lambda found: found.table.table.to_csv(index=False).encode())

    @router.get("/atlases/{atlas}/samples.parquet", responses=_file("parquet"))
    async def samples_parquet(atlas: AtlasName, query: Annotated[Question, Query()]) -> Response:
        """Give the whole sample table as Parquet."""
        return await send(atlas, query, "parquet", lambda found: found.table.table.to_parquet(None, index=False))

    @router.get("/atlases/{atlas}/figure.svg", responses=_file("svg"))
    async def figure_svg(atlas: AtlasName, query: Annotated[Drawing, Query()]) -> Response:
        """Draw the samples by group as SVG."""
        return await send(atlas, query, "svg", lambda found: _figure(state, found, query, "svg"))

    @router.get("/atlases/{atlas}/figure.png", responses=_file("png"))
    async def figure_png(atlas: AtlasName, query: Annotated[Drawing, Query()]) -> Response:
        """Draw the samples by group as PNG."""
        return await send(atlas, query, "png", lambda found: _figure(state, found, query, "png"))

    @router.get("/atlases/{atlas}/report.html", responses=_file("html"))
    async def report(atlas: AtlasName, query: Annotated[Question, Query()]) -> Response:
        """Give the result as one page that needs no server."""

        def make(found: Found) -> bytes:
            with state.drawing, tempfile.TemporaryDirectory() as folder:
                text = result_page(found, query, Path(folder) / "report.html").read_text(encoding="utf-8")
            return state.shelf.hide(text).encode()

        return await send(atlas, query, "html", make)

    return router


def result_page(found: Found, question: Question, path: Path) -> Path:
    """Write the result of a search as one self-contained page."""
    return search_report(
        found.result,
        found.hits,
        found.table,
        path,
        by=question.by,
        min_samples=question.min_samples,
        command=views.command(found, question),
    )


def _figure(state: State, found: Found, query: Drawing, kind: str) -> bytes:
    buffer = io.BytesIO()
    # matplotlib keeps global state, so figures are drawn one at a time
    with state.drawing:
        figure = samples_figure(found.table, by=query.by, top=query.top, min_samples=query.min_samples)
        figure.savefig(buffer, format=kind, dpi=200, bbox_inches="tight")
    return buffer.getvalue()


def _file(kind: str) -> dict[int | str, dict[str, object]]:
    return {200: {"description": "The file.", "content": {_KINDS[kind].split(";")[0]: {}}}}
