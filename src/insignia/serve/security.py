"""What stands between the network and the routes: a token, the name asked for, sizes, and headers of every answer."""

import hmac
import logging
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from insignia.serve.options import ServeOptions
from insignia.serve.problems import problem

__all__ = ["POLICY", "Guard"]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
COOKIE: Final = "insignia_token"
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]", "::1")


_log = logging.getLogger(__name__)


class _TooLarge(Exception):
    pass


class Guard:
    """Refuses callers without the token, foreign host names, and bodies that are too large."""

    def __init__(self, app: ASGIApp, options: ServeOptions) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_safely)
            return
        try:
            await self._app(scope, self._limited(receive), send_safely)
        except _TooLarge:
            if not started:
                await self._too_large()(scope, receive, send_safely)
        except Exception:
            _log.exception("a request failed: %s %s", scope["method"], scope["path"])
            if started:
                raise
            await _broken()(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        # a page of another site that has its name point here would otherwise read along
        if self._options.is_local and name not in (*_LOCAL_NAMES, self._options.host.lower()):
            return problem(
                421, "This is a local explorer", f"It answers to localhost, not to {host[:80]!r}.", code="WrongHost"
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._options.max_upload_bytes:
            return self._too_large()
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self._options.token
        if token is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and _same(given, token) and scope["path"] == "/" and scope["method"] == "GET":
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            onward = RedirectResponse(f"/?{rest}" if rest else "/", status_code=303)
            onward.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
            return onward
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), token):
            return None
        if _same(_cookie(headers), token):
            return None
        detail = (
            "This explorer asks for a token. Open the address that `insignia serve` printed, or send the token in the "
            "header `Authorization: Bearer TOKEN`."
        )
        response = problem(401, "A token is needed", detail, code="TokenNeeded")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _limited(self, receive: Receive) -> Receive:
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._options.max_upload_bytes:
                raise _TooLarge
            return message

        return limited

    def _too_large(self) -> Response:
        limit = self._options.max_upload_bytes
        return problem(
            413,
            "Too much was sent",
            f"At most {limit:,} bytes are taken. Send fewer gene sets, or search the file with `insignia search`.",
            code="TooLarge",
        )


def _broken() -> Response:
    return problem(500, "Something broke", "This is a fault of the explorer; its log says more.", code="Fault")


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
