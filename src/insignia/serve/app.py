"""The application: routes, the page, and what guards them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from insignia import __version__
from insignia.serve.downloads import downloads
from insignia.serve.options import ServeOptions
from insignia.serve.problems import add_handlers
from insignia.serve.routes import routes
from insignia.serve.security import Guard
from insignia.serve.state import State

__all__ = ["build"]

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


def build(atlases: Mapping[str, Path], options: ServeOptions) -> FastAPI:
    """Make the application that serves some atlases."""
    state = State(atlases, options)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.work.close()

    app = FastAPI(
        title="insignia explorer",
        version=__version__,
        summary="Where in an atlas is a gene program active? Read only.",
        openapi_url="/api/openapi.json",
        # the usual documentation pages load scripts from another host
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.insignia = state
    app.include_router(routes(state))
    app.include_router(downloads(state))
    add_handlers(app, state.shelf.hide)
    _add_page(app)
    app.add_middleware(Guard, options=options)
    return app


def _add_page(app: FastAPI) -> None:
    assets = static_files()

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _asset(*assets["index.html"])

    @app.get("/static/{name:path}", include_in_schema=False)
    async def asset(name: str) -> Response:
        # a look-up among what was read at the start: no name reaches the file system
        if name not in assets:
            raise HTTPException(404)
        return _asset(*assets[name])


def _asset(content: bytes, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and media type of everything that the page is made of."""
    return {
        name: (file.read_bytes(), _KINDS[f".{name.rsplit('.', 1)[-1]}"])
        for name, file in _walk(files("insignia.serve").joinpath("static"), "")
    }


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            found.append((prefix + entry.name, entry))
    return found
