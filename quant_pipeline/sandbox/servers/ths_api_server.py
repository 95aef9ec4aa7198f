"""同花顺's official data interface over HTTP: boards, members and hot lists, behind a key in `X-api-key`.

Paths, parameters, envelope and codes are the vendor's; the names of the fields are guesses (see sources/ths_api.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import polars as pl
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.control.quotas import Quotas
from quant_pipeline.sandbox.servers.faulty_rows import spoil
from quant_pipeline.sandbox.servers.faulty_transport import interrupt
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.simulation.interface import ParameterError

SERVER = "ths"
PREFIX = "/ths-api"
_WRONG_PARAMETER, _NO_PERMISSION, _WRONG_KEY, _NO_DATA, _LIMITED = 1001, 2003, 2001, 3001, 4001
_TEXTS = {
    _WRONG_PARAMETER: "参数错误",
    _WRONG_KEY: "API Key 无效",
    _NO_PERMISSION: "没有接口权限",
    _NO_DATA: "暂无数据",
    _LIMITED: "请求过于频繁,请稍后再试",
}
_REFUSALS = {Kind.QUOTA: _LIMITED, Kind.PERMISSION: _NO_PERMISSION, Kind.TOKEN: _WRONG_KEY}
_KINDS = {"cn_concept": "N", "industry": "I", "region": "R", "tszs": "S"}
_ALL = 100_000


@dataclass(frozen=True)
class _Question:
    """What a request asks of the market: a Tushare API, its parameters, and the names of the answer's fields."""

    api: str
    params: Mapping[str, str]
    fields: Mapping[str, str]
    last_time_only: bool = False


class ThsApiServer:
    """The server over a market. Keys that begin with "sandbox" are accepted."""

    def __init__(self, market_thread: MarketThread, calls: CallLog, faults: Faults, quotas: Quotas) -> None:
        self.quotas = quotas
        self._market_thread, self._calls, self._faults = market_thread, calls, faults

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PREFIX + path, self.answer) for path in _QUESTIONS]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        path = request.path.removeprefix(PREFIX)
        api = path.rsplit("/", 1)[-1]
        call = self._calls.arrival(SERVER, api, dict(request.query))
        fault = self._faults.take(SERVER, api)
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
            if fault.kind in _REFUSALS:
                return _refused(_REFUSALS[fault.kind])
        key = request.headers.get("X-api-key", "")
        if not key.startswith("sandbox"):
            call.answer = "token"
            return _refused(_WRONG_KEY)
        if self.quotas.take(key, api) is not None:
            call.answer = "quota"
            return _refused(_LIMITED)
        try:
            frame = await self._rows(_QUESTIONS[path](request.query), fault)
        except ParameterError as error:
            call.answer = "parameters"
            return _refused(_WRONG_PARAMETER, str(error))
        call.rows = frame.height
        if fault is None:
            call.answer = "ok" if call.rows else "empty"
        return _accepted(frame.to_dicts()) if call.rows else _refused(_NO_DATA)

    async def _rows(self, question: _Question, fault: Fault | None) -> pl.DataFrame:
        frame = await self._market_thread.ask(lambda market: market.frame(question.api, question.params, _ALL))
        if question.last_time_only:
            frame = frame.filter(pl.col("rank_time") == pl.col("rank_time").max()).sort("rank")
        if fault is not None:
            frame = spoil(fault, frame)
        return frame.select(pl.col(ours).alias(theirs) for theirs, ours in question.fields.items())


def _boards(query: Mapping[str, str]) -> _Question:
    tag = query.get("tag", "")
    if tag not in _KINDS:
        raise ParameterError(f"tag 须为 {', '.join(_KINDS)} 之一")
    return _Question("ths_index", {"exchange": "A", "type": _KINDS[tag]}, {"thscode": "ts_code", "name": "name"})


def _members(query: Mapping[str, str]) -> _Question:
    board = query.get("thscode", "")
    if not board.endswith(".TI"):
        raise ParameterError("thscode 须为同花顺板块代码, 例如 886042.TI")
    return _Question("ths_member", {"ts_code": board}, {"thscode": "con_code", "name": "con_name"})


_HOT_FIELDS = {
    "thscode": "ts_code",
    "name": "ts_name",
    "order": "rank",
    "rise_and_fall": "pct_change",
    "rate": "hot",
    "tag": "concept",
    "update_time": "rank_time",
}


def _hot(query: Mapping[str, str]) -> _Question:
    if query.get("period") not in ("day", "hour"):
        raise ParameterError("period 须为 day 或 hour")
    return _hot_of(clock.today().isoformat())


def _hot_history(query: Mapping[str, str]) -> _Question:
    return _hot_of(query.get("date", ""))


def _hot_of(day: str) -> _Question:
    params = {"trade_date": day.replace("-", ""), "market": "热股"}
    return _Question("ths_hot", params, _HOT_FIELDS, last_time_only=True)


_QUESTIONS = {
    "/api/a-share-index/catalog/ths-index-list": _boards,
    "/api/a-share-index/constituents/ths-stock-list": _members,
    "/api/a-share/special-data/hot-stock-list": _hot,
    "/api/a-share/special-data/hot-stock-list-history": _hot_history,
}


def _accepted(records: list[dict[str, object]]) -> web.Response:
    return _json(0, "success", {"list": records})


def _refused(code: int, text: str | None = None) -> web.Response:
    return _json(code, text or _TEXTS[code], None)


def _json(code: int, message: str, data: object) -> web.Response:
    body = orjson.dumps({"code": code, "message": message, "request_id": secrets.token_hex(16), "data": data})
    return web.Response(body=body, content_type="application/json", charset="utf-8")
