"""The ways in: `POST /`, `/{api}`, `/dataapi` and `/dataapi/{api}`, as clients old and new know them."""

from __future__ import annotations

import logging
import re

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match
from starlette.types import Scope

from quant_pipeline.door import keys
from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.admission import NotAdmitted, NotAllowed, TooMany, forwarded
from quant_pipeline.door.traffic import CALLER
from quant_pipeline.door.tushare import answers
from quant_pipeline.door.tushare.errors import Refusal, failed, no_right, too_many, wrong_parameter, wrong_token
from quant_pipeline.door.tushare.lacking import NotHeld, demand_held, told
from quant_pipeline.door.tushare.parameters import Call, Question, call_of, question_of
from quant_pipeline.door.tushare.read_through import fetched
from quant_pipeline.door.tushare.reading import Rows, rows_of

MOST_BYTES = 1_000_000
"""Of a call: six thousand codes, listed, take 60 kB."""
_logger = logging.getLogger(__name__)


class _PostOnly(APIRoute):
    """A route that is not there for other methods: `/{api}` would turn every unknown page into a wrong method."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.NONE, {}) if match is Match.PARTIAL else (match, child)


router = APIRouter(route_class=_PostOnly)
_PATH = re.compile(r"/(dataapi(/[^/]*)?|[^/]*)")


def is_call(scope: Scope) -> bool:
    """Whether a request is one of Tushare's calls: told by method and path alone."""
    return scope.get("method") == "POST" and _PATH.fullmatch(scope["path"]) is not None


@router.post("/", include_in_schema=False)
@router.post("/dataapi", include_in_schema=False)
@router.post("/{api}", include_in_schema=False)
@router.post("/dataapi/{api}", include_in_schema=False)
async def answer(request: Request, access: Reached, api: str = "") -> Response:
    """One call. Whatever goes wrong is told in HTTP 200."""
    try:
        body = await _body(request)
    except Refusal as refusal:
        return answers.refused(refusal)
    accept, from_afar = request.headers.get("accept", ""), forwarded(request.headers)
    return await run_in_threadpool(_answered, access, request.scope, body, api, accept, from_afar)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise wrong_parameter(f"请求不得超过 {MOST_BYTES:,} 字节。The call is too long.")
        parts.append(part)
    return b"".join(parts)


def _answered(access: Access, scope: Scope, body: bytes, api: str, accept: str, from_afar: bool) -> Response:
    try:
        call = call_of(body, api)
        scope[CALLER] = _admit(access, call, from_afar)
        question = question_of(call)
        return answers.accepted(*_held(access, question), accept)
    except Refusal as refusal:
        return answers.refused(refusal)
    except Exception as error:
        return answers.refused(_unforeseen(error, api))


def _held(access: Access, question: Question) -> tuple[Rows, str]:
    """The rows, and what is to be known about them. What lacks is told, or fetched first where that is switched on."""
    calendar = access.calendar()
    rows = rows_of(access.database, calendar, question)
    try:
        return rows, demand_held(access.database, calendar, question, rows)
    except NotHeld as missing:
        why = fetched(access, missing.lack) if access.settings.read_through else ""
        if why is not None:
            raise told(question, missing.lack, why) from None
    rows = rows_of(access.database, calendar, question)
    try:
        return rows, demand_held(access.database, calendar, question, rows)
    except NotHeld as still:
        raise told(question, still.lack, "已尝试获取，仍有缺失。Fetched, and some lack still.") from None


def _admit(access: Access, call: Call, from_afar: bool) -> str:
    """The name of the caller's key; "" where none is needed."""
    try:
        key = access.admission.admit(call.token, keys.Scope.READ, from_afar=from_afar)
        return key.name if key is not None else ""
    except NotAdmitted:
        raise wrong_token() from None
    except NotAllowed as error:
        raise no_right(error.key.name, error.needed.value) from None
    except TooMany as error:
        raise too_many(error.per_minute) from None


def _unforeseen(error: Exception, api: str) -> Refusal:
    """What failed, in words: the database's are told, the rest is logged."""
    from quant_pipeline.market.calendar import CalendarError
    from quant_pipeline.warehouse.errors import DatabaseError, described
    from quant_pipeline.warehouse.schema import SchemaError
    from quant_pipeline.warehouse.server import ServerError

    if isinstance(error, TimeoutError):
        return failed("查询超时，请缩小范围。The database took too long: ask for less at once.")
    if isinstance(error, DatabaseError | ServerError | SchemaError) or described(error) is not None:
        return failed(f"数据库未能回答 the database did not answer ({described(error) or error})")
    if isinstance(error, CalendarError):
        return failed(str(error))
    _logger.error("the Tushare call %s failed", api, exc_info=error)
    return failed("程序错误，详见日志 `quant-pipeline history --logs`。A fault of the program; the log has the details.")
