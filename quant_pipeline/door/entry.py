"""The pages of a door that others than this machine can reach, by its address or through a proxy: only for who shows a key."""

from __future__ import annotations

import base64
import binascii

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Request

from quant_pipeline.door.admission import Admission, NotAdmitted, NotAllowed, TooMany, forwarded
from quant_pipeline.door.callbacks import PREFIX
from quant_pipeline.door.hosts import named_from_afar
from quant_pipeline.door.keys import Key, Scope
from quant_pipeline.door.traffic import CALLER
from quant_pipeline.door.tushare.route import is_call

ADMITTED = "quant_pipeline.key"
"""Where in a request's scope the key stands that it was let in with."""
_OPEN = ("/static/", "/look/", "/health", "/api/v1/health")
"""What pages are drawn with, and whether anybody is there: there is nothing of anybody's in it."""
_ASKS_ITSELF = "/socket.io/"
"""Its clients may show their key in their first message."""
_ASKS = {"WWW-Authenticate": 'Basic realm="quant_pipeline: any name, the key as password", charset="UTF-8"'}
_NO_KEY = (
    "A key is needed here: as the password of this page (any user name), or in the header `Authorization: Bearer KEY` or "
    "`X-API-Key: KEY`. Make one on the server: quant-pipeline serve token add NAME. 需要密钥，在服务器上用该命令生成。"
)


def key_in(headers: Headers) -> str:
    """The key that a request shows, in any usual form; "": none."""
    if key := headers.get("x-api-key"):
        return key
    kind, _, value = headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


class KeyCheck:
    """Asks for a key at every address but Tushare's, whose calls bear theirs in the body, Socket.IO's, whose first message may,
    and those of callbacks, whose path is one. On the loopback for none, but where a proxy stands before it (which opens it to
    others than this machine)."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Request, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else None
        checked = headers is not None and (not self._admission.on_loopback or forwarded(headers) or named_from_afar(headers))
        if checked and not is_call(scope) and not scope["path"].startswith((*_OPEN, _ASKS_ITSELF, PREFIX)):
            admitted = await run_in_threadpool(self._admitted, key_in(Headers(scope=scope)))
            if isinstance(admitted, Response):
                await admitted(scope, receive, send)
                return
            scope[ADMITTED], scope[CALLER] = admitted, admitted.name
        await self._app(scope, receive, send)

    def _admitted(self, shown: str) -> Key | Response:
        """The key, or why it lets nobody in."""
        try:
            key = self._admission.admit(shown, Scope.READ, from_afar=True)
            assert key is not None  # where others can come, nobody gets in without one
            return key
        except (NotAdmitted, NotAllowed):
            return PlainTextResponse(_NO_KEY, 401, _ASKS)
        except TooMany as many:
            wait = {"Retry-After": str(int(many.wait) + 1)}
            return PlainTextResponse(f"This key may ask {many.per_minute} times a minute. 请求过于频繁。", 429, wait)
