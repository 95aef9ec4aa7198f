"""What a request may bring at most: a body of a bounded size, and no character that no text of the database can hold."""

from __future__ import annotations

from fastapi.exceptions import HTTPException
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quant_pipeline.door import errors
from quant_pipeline.door.errors import MOST_BYTES, PageError
from quant_pipeline.door.tushare.route import is_call


class Bounds:
    """Stands before every address but Tushare's calls, which tell the same in a form of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_call(scope):
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            nul = PageError(
                400, "地址含有 NUL 字符 The address holds a NUL character", why="没有名称含有它。No name holds one."
            )
            await errors.told(Request(scope), nul)(scope, receive, send)
            return
        written = Headers(scope=scope).get("content-length", "")
        told = int(written) if written.isascii() and written.isdigit() else 0
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if max(read, told) > MOST_BYTES:
                # Raised where a route reads: FastAPI hands on this error alone.
                raise HTTPException(413, "请求过大 The request is too large")
            return message

        await self._app(scope, bounded, send)
