"""What all routes of one server share: atlases, workers, caches and limits."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

from fastapi import Response
from pydantic import BaseModel

from insignia.core.errors import InsigniaError
from insignia.serve.explore import Found, find
from insignia.serve.memo import Memo
from insignia.serve.options import ServeOptions
from insignia.serve.question import Question
from insignia.serve.shelf import OpenAtlas, Shelf
from insignia.serve.views import search_answer
from insignia.serve.work import Work

__all__ = ["State"]

M = TypeVar("M", bound=BaseModel)


class State:
    """Atlases, workers, caches and limits of one server."""

    def __init__(self, atlases: Mapping[str, Path], options: ServeOptions) -> None:
        self.options = options
        self.shelf = Shelf(atlases)
        self.work = Work(options)
        half = options.cache_bytes // 2
        self._found: Memo[Found] = Memo(half, lambda found: found.nbytes)
        self._bodies: Memo[bytes] = Memo(half, len)
        self.drawing = Lock()

    def find(self, atlas: OpenAtlas, question: Question) -> Found:
        """Search, unless this was searched before."""
        key = (atlas.name, atlas.version, question.core())
        return self._found.get(key, lambda: find(atlas, question, max_genes=self.options.max_genes))

    async def answer(self, name: str, key: tuple[object, ...], make: Callable[[OpenAtlas], BaseModel]) -> Response:
        """Work out an answer in the pool, or take it from the cache.

        Parameters
        ----------
        name
            The atlas.
        key
            What else decides the answer.
        make
            Makes the answer from the version of the atlas that is current when the query starts.
        """
        current = self.shelf.current(name)
        # what is known needs no worker, so that it does not wait behind what is not
        body = None if current is None else self._bodies.peek((name, current.version, key))
        if body is None:
            body = await self.work.run(lambda: self._body(self.shelf.get(name), key, make))
        return Response(body, media_type="application/json")

    def _body(self, atlas: OpenAtlas, key: tuple[object, ...], make: Callable[[OpenAtlas], BaseModel]) -> bytes:
        whole = (atlas.name, atlas.version, key)
        return self._bodies.get(whole, lambda: make(atlas).model_dump_json().encode("utf-8", "replace"))

    def warm(self) -> None:
        """Read the metadata and load what the first search needs, so that the first user does not wait for it."""
        for name in self.shelf.names:
            atlas = self.shelf.get(name)
            if atlas.facets and atlas.completions and len(atlas.atlas):
                question = Question.model_validate({"genes": atlas.completions[0][1], "min_coverage": 0})
                with suppress(InsigniaError):
                    search_answer(self.find(atlas, question), question, max_points=1, seconds=0)

    def about(self) -> dict[str, object]:
        """How the caches are doing."""
        return {"searches": self._found.about(), "answers": self._bodies.about()}


def clock() -> Callable[[], float]:
    """Start a stop watch."""
    began = time.perf_counter()
    return lambda: round(time.perf_counter() - began, 4)
