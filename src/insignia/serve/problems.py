"""Errors as problem details (RFC 9457), with the text that the command line would print."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from insignia.core.errors import AtlasError, InputError, InsigniaError, UnknownName
from insignia.serve.answers import Problem
from insignia.serve.work import TooBusy, TooSlow

__all__ = ["PROBLEMS", "add_handlers", "problem"]

MEDIA_TYPE = "application/problem+json"

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text, "content": {MEDIA_TYPE: {}}}
    for status, text in {
        400: "The question cannot be answered as it is asked.",
        401: "A token is needed.",
        404: "There is nothing of this name.",
        413: "Too much was sent.",
        422: "A parameter is not what it must be.",
        503: "Too many queries wait, or this one took too long.",
    }.items()
}
"""What routes may answer beside their own model."""


def problem(status: int, title: str, detail: str, *, code: str = "", retry_after: int | None = None) -> JSONResponse:
    """One problem as a response."""
    content = Problem(
        type=f"urn:insignia:{code}" if code else "about:blank", title=title, status=status, detail=detail, code=code
    )
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(content.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def add_handlers(app: FastAPI, hide: Callable[[str], str]) -> None:
    """Let every error of the application leave as a problem; `hide` takes out what tells where things lie."""

    @app.exception_handler(InsigniaError)
    async def _ours(_: Request, error: InsigniaError) -> JSONResponse:
        status, title = _status(error)
        detail = hide("\n".join([str(error), *getattr(error, "__notes__", [])]))
        retry = 2 if isinstance(error, TooBusy) else None
        return problem(status, title, detail, code=type(error).__name__, retry_after=retry)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(_sentence(one) for one in error.errors()[:5])
        return problem(422, "A parameter is not what it must be", said, code="InvalidParameter")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        response = problem(error.status_code, str(error.detail), _HTTP.get(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response


_HTTP = {
    404: "There is no such page. The explorer is at /, and its data are described at /api/openapi.json.",
    405: "This address is only read: use GET.",
}


def _status(error: InsigniaError) -> tuple[int, str]:
    if isinstance(error, TooBusy | TooSlow):
        return 503, "Too many queries" if isinstance(error, TooBusy) else "The query took too long"
    if isinstance(error, UnknownName):
        return 404, "There is nothing of this name"
    if isinstance(error, InputError):
        return 400, "The question cannot be answered as it is asked"
    if isinstance(error, AtlasError):
        return 503, "The atlas cannot be read"
    return 500, "Something broke"


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("query", "path", "body"))
    given = error.get("input")
    found = f"; found {str(given)[:80]!r}" if isinstance(given, str | int | float) else ""
    return f"{where or 'the request'}: {error['msg']}{found}"
