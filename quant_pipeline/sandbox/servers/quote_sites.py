"""The sites of live quotes, Tencent's and Sina's, as they answer: GBK, fields by position, a line of JavaScript per code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.servers.faulty_transport import interrupt
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.simulation.intraday import LEVELS

TENCENT, RANKS, SINA = "/tencent-quotes", "/tencent-ranks", "/sina-quotes"
_RANK_LIST = "/cgi/cgi-bin/rank/hs/getBoardRankList"
_ALL = 1_000_000
_MOST_RANKS = 200
_REFERER = "https://finance.sina.com.cn"
Row = Mapping[str, Any]


class QuoteSites:
    """Both sites over a market."""

    def __init__(self, market_thread: MarketThread, calls: CallLog, faults: Faults) -> None:
        self._market_thread, self._calls, self._faults = market_thread, calls, faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(TENCENT + "/{asked:q=.*}", self.tencent),
            web.get(RANKS + _RANK_LIST, self.ranks),
            web.get(SINA + "/{asked:.*list=.*}", self.sina),
        ]

    async def tencent(self, request: web.Request) -> web.StreamResponse:
        """`/q=sh600000,sz000001`: a line per code that it knows."""
        symbols = request.match_info["asked"].removeprefix("q=").split(",")

        def lines(rows: Mapping[str, Row]) -> list[str]:
            known = [f'v_{symbol}="{_tencent_line(rows[symbol])}";' for symbol in symbols if symbol in rows]
            return known or ['v_pv_none_match="1";']

        return await self._answer(request, "tencent", symbols, lines, "text/html; charset=GBK")

    async def sina(self, request: web.Request) -> web.StreamResponse:
        """`/rn=123&list=sh600000,sz000001`: a line per code, an empty one of those that it does not know."""
        symbols = request.match_info["asked"].partition("list=")[2].split(",")
        if not request.headers.get("Referer", "").startswith(_REFERER):
            self._calls.arrival("sina", "quotes", {"codes": ",".join(symbols)}).answer = "referer"
            return web.Response(status=403, text="Forbidden")

        def lines(rows: Mapping[str, Row]) -> list[str]:
            return [f'var hq_str_{symbol}="{_sina_line(rows[symbol]) if symbol in rows else ""}";' for symbol in symbols]

        return await self._answer(request, "sina", symbols, lines, "application/javascript; charset=GB18030")

    async def _answer(
        self,
        request: web.Request,
        site: str,
        symbols: list[str],
        lines: Callable[[Mapping[str, Row]], list[str]],
        content_type: str,
    ) -> web.StreamResponse:
        call = self._calls.arrival(site, "quotes", {"codes": ",".join(symbols)})
        fault = self._faults.take(site, "quotes")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
        codes = ",".join(f"{symbol[2:]}.{symbol[:2].upper()}" for symbol in symbols)
        frame = await self._market_thread.ask(lambda market: market.frame("quotes", {"ts_code": codes}, _ALL))
        rows = {f"{row['ts_code'][7:].lower()}{row['ts_code'][:6]}": row for row in frame.iter_rows(named=True)}
        call.rows = len(rows)
        if fault is None:
            call.answer = "ok" if rows else "empty"
        body = "".join(f"{line}\n" for line in lines(rows)).encode("gbk", errors="replace")
        if fault is not None and fault.kind is Kind.HALF:
            return await _half(fault, request, body, content_type)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def ranks(self, request: web.Request) -> web.StreamResponse:
        """A page of the market's ranks: 200 rows at most, by price."""
        call = self._calls.arrival("tencent", "ranks", dict(request.query))
        fault = self._faults.take("tencent", "ranks")
        if fault is not None:
            call.answer = fault.kind.value
            interrupted = await interrupt(fault, request)
            if interrupted is not None:
                return interrupted
        offset, count = int(request.query.get("offset", 0)), int(request.query.get("count", 20))
        frame = await self._market_thread.ask(lambda market: market.frame("quotes", {}, _ALL))
        ranked = frame.sort("close", "ts_code", descending=[True, False])
        # Ranks move between two pages: the last of a page is the first of the next one, too.
        page = ranked.slice(max(0, offset - 1), min(count, _MOST_RANKS))
        call.rows, call.answer = len(page), call.answer if fault is not None else "ok"
        data = {"total": len(ranked), "offset": offset, "rank_list": [_rank(row) for row in page.iter_rows(named=True)]}
        body = orjson.dumps({"code": 0, "msg": "ok", "data": data})
        return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _half(fault: Fault, request: web.Request, body: bytes, content_type: str) -> web.StreamResponse:
    """Half of the bytes, then the connection is cut; `code` "whole": as if that were all; "whole_lines": half of the lines."""
    kept = body[: len(body) // 2]
    if fault.code == "whole_lines":
        lines = body.splitlines(keepends=True)
        kept = b"".join(lines[: len(lines) // 2])
    if fault.code in ("whole", "whole_lines"):
        return web.Response(body=kept, headers={"Content-Type": content_type})
    response = web.StreamResponse(headers={"Content-Type": content_type, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(kept)
    if request.transport is not None:
        request.transport.abort()
    return response


def _tencent_line(row: Row) -> str:
    """88 fields by position, most of them of no interest to anybody and empty."""
    star = row["ts_code"].startswith(("688", "689"))
    digits = {"stock": 2, "index": 2}.get(row["kind"], 3)
    hand = 1 if star else 100
    price, pre = row["close"], row["pre_close"]
    fields = [""] * 88
    fields[0], fields[1], fields[2] = {"SH": "1", "SZ": "51", "BJ": "62"}[row["ts_code"][7:]], row["name"], row["ts_code"][:6]
    for place, name in ((3, "close"), (4, "pre_close"), (5, "open"), (33, "high"), (34, "low")):
        fields[place] = f"{row[name]:.{digits}f}"
    volume = f"{row['vol'] / hand:.0f}"
    fields[6] = fields[36] = volume
    for start, side in ((9, "bid"), (19, "ask")):
        for level in range(LEVELS):
            quoted, size = row[f"{side}_price{level + 1}"], row[f"{side}_volume{level + 1}"]
            fields[start + 2 * level] = f"{quoted or 0:.{digits}f}"
            fields[start + 2 * level + 1] = f"{(size or 0) / hand:.0f}"
    fields[30] = "".join(sign for sign in row["trade_time"] if sign.isdigit())
    fields[31] = f"{price - pre:.{digits}f}" if price else "0.00"
    fields[32] = f"{(price / pre - 1) * 100:.2f}" if price else "0.00"
    fields[35] = f"{fields[3]}/{volume}/{row['amount']:.0f}"
    fields[37] = f"{row['amount'] / 10_000:.0f}"
    fields[40] = "S" if row["halted"] else ""
    return "~".join(fields)


def _sina_line(row: Row) -> str:
    """33 fields by position: volume in 股, amount in 元, the orders' shares before their prices."""
    digits = {"stock": 3, "fund": 3, "index": 4}[row["kind"]]

    def price(value: float | None) -> str:
        return f"{value or 0:.{digits}f}"

    fields = [row["name"], *(price(row[name]) for name in ("open", "pre_close", "close", "high", "low"))]
    fields += [price(row["bid_price1"]), price(row["ask_price1"]), f"{row['vol']:.0f}", f"{row['amount']:.3f}"]
    for side in ("bid", "ask"):
        for level in range(LEVELS):
            fields += [f"{row[f'{side}_volume{level + 1}'] or 0:.0f}", price(row[f"{side}_price{level + 1}"])]
    fields += [*row["trade_time"].split(" "), "03" if row["halted"] else "00"]
    return ",".join(fields)


def _rank(row: Row) -> dict[str, str]:
    """A row of the ranks: volume in 手 (of STAR too), turnover in 万元, texts all of them."""
    price, pre = row["close"], row["pre_close"]
    return {
        "code": f"{row['ts_code'][7:].lower()}{row['ts_code'][:6]}",
        "name": row["name"],
        "zxj": f"{price:.2f}",
        "zd": f"{price - pre if price else 0:.2f}",
        "zdf": f"{(price / pre - 1) * 100 if price else 0:.2f}",
        "volume": f"{row['vol'] / 100:.2f}",
        "turnover": f"{row['amount'] / 10_000:.2f}",
        "state": "S" if row["halted"] else "",
    }
