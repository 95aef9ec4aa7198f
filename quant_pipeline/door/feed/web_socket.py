"""Live quotes by a plain WebSocket, in JSON: `/ws/quotes` for programs, `/quotes/feed` for the scripts of our own pages.

{"type": "subscribe", "codes": ["600000.SH", "000001"]} is answered by {"type": "snapshot", "accepted": […], "unknown": […],
"without": {code: why}, "data": [quote…]}; then comes {"type": "quotes", "data": [quote…]} for what changes.
{"type": "unsubscribe", "codes"?} and {"type": "ping"} are answered by {"type": "unsubscribed", "left": […]} and
{"type": "pong"}; what cannot be done, by {"type": "error", "message"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson
import psycopg
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketState

from quant_pipeline.door.errors import Problem, Reason
from quant_pipeline.door.feed.client import Client, Refused, Subscribed, away
from quant_pipeline.door.feed.feeds import LARGEST, Feeds, Shut
from quant_pipeline.warehouse.errors import DatabaseError

_NO_TEXT, _POLICY, _TOO_BIG = 1003, 1008, 1009
_KINDS = "subscribe, unsubscribe, ping"

router = APIRouter()


@router.websocket("/ws/quotes")
async def for_programs(websocket: WebSocket) -> None:
    await _served(websocket, as_page=False)


@router.websocket("/quotes/feed")
async def for_pages(websocket: WebSocket) -> None:
    await _served(websocket, as_page=True)


class _Wire:
    """Sends wait for who reads slowly: that is all the queue there is."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def ready(self) -> None:
        return

    async def send(self, quotes: Sequence[orjson.Fragment], snapshot: Subscribed | None) -> None:
        kind = {"type": "quotes"} if snapshot is None else {"type": "snapshot", **snapshot.as_message()}
        await self.say({**kind, "data": quotes})

    async def say(self, message: dict[str, Any]) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.send_text(orjson.dumps(message).decode())

    async def end(self, why: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(_POLICY, why)


async def _served(websocket: WebSocket, *, as_page: bool) -> None:
    feeds, wire = cast(Feeds, websocket.app.state.feeds), _Wire(websocket)
    try:
        key = await feeds.let_in(websocket.scope, "", as_page=as_page)
        client = feeds.open(wire, key)
    except Shut as shut:
        problem = Problem(message=shut.what, error=Reason(why=shut.why, to_do=shut.to_do, command=""))
        await websocket.send_denial_response(JSONResponse(problem.model_dump(), shut.status))
        return
    try:
        await websocket.accept()
        while (text := await _heard(websocket)) is not None:
            await _answered(text, client, wire)
    except WebSocketDisconnect:  # gone while it was answered
        return
    finally:
        feeds.closed(client)


async def _heard(websocket: WebSocket) -> str | None:
    """The client's next message; None: the connection is over."""
    message = await websocket.receive()
    if message["type"] != "websocket.receive":
        return None
    text: str | None = message.get("text")
    if text is None:
        await websocket.close(_NO_TEXT, "只接受文本 Text alone is taken")
        return None
    if len(text) > LARGEST:
        await websocket.close(_TOO_BIG, "消息过大 The message is too large")
        return None
    return text


async def _answered(text: str, client: Client, wire: _Wire) -> None:
    try:
        asked = orjson.loads(text)
        kind = asked.get("type") if isinstance(asked, dict) else None
        match kind:
            case "subscribe":
                await client.subscribe(asked.get("codes"))
            case "unsubscribe":
                await wire.say({"type": "unsubscribed", "left": await client.unsubscribe(asked.get("codes"))})
            case "ping":
                await wire.say({"type": "pong"})
            case _:
                raise Refused(f'消息应为 {{"type": …}} 之一 The type is one of: {_KINDS}')
    except orjson.JSONDecodeError:
        await wire.say({"type": "error", "message": "不是 JSON This is no JSON"})
    except Refused as refused:
        await wire.say({"type": "error", "message": str(refused)})
    except (DatabaseError, psycopg.Error) as error:
        await wire.say({"type": "error", "message": away(error)})
