"""A recorded market of a few boards and one hot list, behind 同花顺's interface on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
from aiohttp import web

from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Faults
from quant_pipeline.sandbox.control.quotas import Quotas
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.servers.ths_api_server import PREFIX, ThsApiServer
from quant_pipeline.sandbox.servers.tushare_apis import APIS

_PATIENCE = 30.0
_BOARDS = pl.DataFrame(
    {
        "ts_code": ["885001.TI", "885002.TI", "881101.TI", "882001.TI"],
        "name": ["人工智能", "机器人概念", "银行", "浙江"],
        "count": [2, 1, 1, 1],
        "exchange": "A",
        "list_date": "20200106",
        "type": ["N", "N", "I", "R"],
    }
)
_MEMBERS = pl.DataFrame(
    {
        "ts_code": ["885001.TI", "885001.TI", "885002.TI", "881101.TI"],
        "con_code": ["000001.SZ", "600000.SH", "920001.BJ", "600000.SH"],
        "con_name": ["平安银行", "浦发银行", "纬达光电", "浦发银行"],
        **dict.fromkeys(("weight", "in_date", "out_date", "is_new")),
    }
)
_HOT = pl.DataFrame(
    {
        "trade_date": ["20261120"] * 4 + ["20261119"],
        "data_type": "热股",
        "ts_code": ["600000.SH", "000001.SZ", "000001.SZ", "600000.SH", "600000.SH"],
        "ts_name": ["浦发银行", "平安银行", "平安银行", "浦发银行", "浦发银行"],
        "rank": [1, 2, 1, 2, 1],
        "pct_change": [1.5, -0.5, -0.4, 1.4, 0.2],
        "current_price": 10.0,
        "concept": '["银行"]',
        "rank_reason": "",
        "hot": [9000.0, 8000.0, 9500.0, 7000.0, 100.0],
        "rank_time": ["2026-11-20 14:30:00"] * 2 + ["2026-11-20 10:30:00"] * 2 + ["2026-11-19 22:30:00"],
    }
)


class RecordedMarket:
    """A `Market` of recorded rows."""

    def edition(self) -> str:
        return "recorded"

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        frame = {"ths_index": _BOARDS, "ths_member": _MEMBERS, "ths_hot": _HOT}[api]
        assert set(APIS[api].columns) <= set(frame.columns)
        asked = [pl.col(name) == value for name, value in params.items() if name in frame.columns]
        return frame.filter(asked).head(rows)


@dataclass(frozen=True)
class ThsRehearsal:
    """A running server: where it is, and what it was asked and ordered."""

    url: str
    calls: CallLog
    faults: Faults
    quotas: Quotas


@contextmanager
def running() -> Iterator[ThsRehearsal]:
    """The server in a thread of its own, until the block ends."""
    calls, faults, quotas = CallLog(), Faults(), Quotas()
    room = MarketThread(RecordedMarket)
    application = web.Application()
    application.add_routes(ThsApiServer(room, calls, faults, quotas).routes())
    runner = web.AppRunner(application, shutdown_timeout=2)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    try:
        port = asyncio.run_coroutine_threadsafe(listen(), loop).result(_PATIENCE)
        yield ThsRehearsal(f"http://127.0.0.1:{port}{PREFIX}", calls, faults, quotas)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
        room.close()
