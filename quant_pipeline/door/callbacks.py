"""What services report by themselves: `POST /callbacks/pushplus/SECRET`, whose path is the only proof of who calls.

So it is believed in nothing: what it tells is looked up at the service. Whoever calls with a path that is nobody's learns
nothing.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from quant_pipeline.door.access import Access, Reached

router = APIRouter()
PREFIX: Final = "/callbacks/"
_LARGEST = 64 * 1024
_logger = logging.getLogger(__name__)


@router.post(PREFIX + "pushplus/{path}")
async def pushplus(path: str, request: Request, access: Reached) -> JSONResponse:
    """A friend who scanned a code, or a message that was delivered."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            return JSONResponse({"code": 413, "msg": "too large"}, 413)
    try:
        event = orjson.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        return JSONResponse({"code": 400, "msg": "no JSON object"}, 400)
    known = await run_in_threadpool(_heard, access, path, event)
    return JSONResponse({"code": 200, "msg": "ok"} if known else {"code": 404, "msg": "not found"}, 200 if known else 404)


def _heard(access: Access, path: str, event: dict[str, Any]) -> bool:
    """Whether the path is somebody's; what the event says is done."""
    from quant_pipeline.notify import binding
    from quant_pipeline.notify.channels.pushplus import PushPlus
    from quant_pipeline.resources import channels

    name = binding.account_of(access.database, path)
    if name is None:
        return False
    account = channels.found(access.settings, access.database).channels.get(name)
    if isinstance(account, PushPlus):
        person = binding.called_back(access.database, account, event)
        if person is not None:
            _logger.info("%s (%s) is bound to %s by a callback", person.receiver, person.nickname, person.channel)
    return True
