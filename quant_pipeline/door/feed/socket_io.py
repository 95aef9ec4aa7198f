"""Live quotes by Socket.IO at `/socket.io/`, with the stock scan's events: `subscribe {codes}` -> `realtime_data`.

python-socketio queues without bound for who does not read, and what it sends is not waited for. So nothing is emitted before
the last packet is on its way, and a client that does not take its answers is not heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import psycopg
import socketio
from fastapi.responses import JSONResponse
from socketio.exceptions import ConnectionRefusedError as NotLetIn
from starlette.types import Message, Receive, Scope, Send

from quant_pipeline.door.feed.client import Client, Refused, Subscribed, away
from quant_pipeline.door.feed.feeds import LARGEST, Feeds, Shut
from quant_pipeline.quotes.hub import MOST_READERS
from quant_pipeline.warehouse.errors import DatabaseError

EVENT = "realtime_data"
_BRIDGE = "quant_pipeline.socket_io"
"""Where in a connection's scope its `_Bridge` stands."""
_HELLO = 10.0
"""Seconds within which a connection says who it is."""
_FIRST = 4
"""Messages until then: one is enough."""
_CONNECT = "40"
"""How Socket.IO's packet CONNECT begins, within Engine.IO's message."""
_OVER: Message = {"type": "websocket.disconnect", "code": 1008}
_NO_WEB_SOCKET = (
    '请直接使用 WebSocket Connect by WebSocket: io(url, {transports: ["websocket"]}) · '
    'python-socketio: sio.connect(url, transports=["websocket"])'
)


class _Json:
    """What python-socketio writes and reads packets with: a quote's text is made once, not once for each client."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:
        return orjson.loads(text)


class SocketIo:
    """The application below /socket.io/."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._open = 0
        self._clients: dict[str, Client] = {}
        self._server: Any = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            cors_allowed_origins=[],  # hosts.py has looked at the origin, as at every other request's
            async_handlers=False,  # a client's messages are answered one after the other
            max_http_buffer_size=LARGEST,
            ping_interval=20,
            ping_timeout=20,
            json=_Json,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("subscribe", self._subscribe)
        self._server.on("unsubscribe", self._unsubscribe)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # In the form of Engine.IO's own errors.
            await JSONResponse({"code": 0, "message": _NO_WEB_SOCKET}, 400)(scope, receive, send)
            return
        if self._open >= MOST_READERS:
            await JSONResponse({"code": 3, "message": "行情连接已满 Too many clients of quotes"}, 503)(scope, receive, send)
            return
        bridge = scope[_BRIDGE] = _Bridge(receive)
        self._open += 1
        try:
            await self._server.handle_request(scope, bridge.receive, send)
        finally:
            self._open -= 1

    async def close(self) -> None:
        """Ends the library's own tasks; connections end with the server."""
        await self._server.shutdown()

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        scope = environ["asgi.scope"]
        token = auth.get("token", "") if isinstance(auth, dict) else ""
        try:
            key = await self._feeds.let_in(scope, token if isinstance(token, str) else "")
            socket = self._server.eio.sockets[self._server.manager.eio_sid_from_sid(sid, "/")]
            self._clients[sid] = self._feeds.open(_Wire(self._server, sid, socket), key)
        except Shut as shut:
            told = {"status": shut.status, "why": shut.why, "to_do": shut.to_do}
            raise NotLetIn(shut.what, told) from None
        scope[_BRIDGE].let_in(socket)

    async def _disconnect(self, sid: str, _: str) -> None:
        if (client := self._clients.pop(sid, None)) is not None:
            self._feeds.closed(client)

    async def _subscribe(self, sid: str, asked: object = None) -> dict[str, Any]:
        client = self._clients[sid]
        return await _answered(lambda: client.subscribe(_codes_in(asked)), Subscribed.as_message)

    async def _unsubscribe(self, sid: str, asked: object = None) -> dict[str, Any]:
        client = self._clients[sid]
        return await _answered(lambda: client.unsubscribe(_codes_in(asked)), lambda left: {"left": left})


class _Wire:
    def __init__(self, server: Any, sid: str, socket: Any) -> None:
        self._server, self._sid, self._socket = server, sid, socket

    async def ready(self) -> None:
        await self._socket.queue.join()

    async def send(self, quotes: Sequence[orjson.Fragment], snapshot: Subscribed | None) -> None:
        if quotes:
            await self._server.emit(EVENT, {"data": list(quotes), "snapshot": snapshot is not None}, to=self._sid)

    async def end(self, why: str) -> None:
        del why  # Socket.IO's disconnect has no words
        await self._server.disconnect(self._sid)


class _Bridge:
    """What a client says, one thing at a time: the next is heard when the answer to the last is on its way. Whoever does not
    say in time who it is, sends what nobody needs or says hello twice, is cut off."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._socket: Any = None
        self._until = time.monotonic() + _HELLO
        self._left = _FIRST

    def let_in(self, socket: Any) -> None:
        self._socket = socket

    async def receive(self) -> Message:
        if self._socket is not None:
            await self._socket.queue.join()
            return _fit(await self._receive(), hello=False)
        self._left -= 1
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            return _OVER
        return _fit(message, hello=True) if self._left else _OVER


def _fit(message: Message, *, hello: bool) -> Message:
    if message["type"] != "websocket.receive":
        return message
    text = message.get("text")
    return _OVER if text is None or (text.startswith(_CONNECT) and not hello) else message


def _codes_in(asked: object) -> object:
    """{"codes": […]}, or the codes alone, as older clients send them."""
    return asked.get("codes") if isinstance(asked, dict) else asked


async def _answered(work: Callable[[], Any], form: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    try:
        return form(await work())
    except Refused as refused:
        return {"error": str(refused)}
    except (DatabaseError, psycopg.Error) as error:
        return {"error": away(error)}
