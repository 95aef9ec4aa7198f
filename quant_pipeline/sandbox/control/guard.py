"""Who may give orders: whoever holds the token, from this machine, and no web page on anybody's behalf."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NAMES = ("127.0.0.1", "localhost", "::1")
_WITH_A_BODY = ("POST", "PUT", "PATCH")


def guarded(handler: Handler, token: str) -> Handler:
    """The handler for those who may; the others get a status and a sentence."""

    async def answer(request: web.Request) -> web.StreamResponse:
        refusal = _refusal(request, token)
        return await handler(request) if refusal is None else refusal

    return answer


def _refusal(request: web.Request, token: str) -> web.Response | None:
    # a page whose own name was turned to 127.0.0.1 still sends that name
    if request.url.host not in _NAMES:
        return _refused(403, f"the sandbox is only controlled from this machine, not as {request.host}")
    origin = request.headers.get("Origin")
    if origin is not None and origin != str(request.url.origin()):
        return _refused(403, f"a page of {origin} may not control the sandbox")
    brought = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not secrets.compare_digest(brought.encode(), token.encode()):
        return _refused(
            401,
            "the control token is missing or wrong: send 'Authorization: Bearer TOKEN' with the token of sandbox/control.token",
        )
    # what a browser's form can send across sites is never JSON
    if request.method in _WITH_A_BODY and request.content_type != "application/json":
        return _refused(415, f"an order is JSON: send 'Content-Type: application/json', not {request.content_type}")
    return None


def _refused(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
