"""Tencent: quotes by code (qt.gtimg.cn), 60 at once, and the whole market by its list of ranks, 200 a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from quant_pipeline.language import told
from quant_pipeline.market.codes import CODE_PATTERN
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.upstream import (
    POLICY,
    UNKNOWN,
    Fetched,
    judged,
    levels,
    moment,
    number,
    of_result,
    price,
    script,
    shares,
    status,
    symbols,
)
from quant_pipeline.services import Answered, FailureClass, Result, done, refused
from quant_pipeline.services.client import Client
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.limiter import Limiter

NAME, QUOTES, RANKS = "tencent", "quotes", "ranks"
_PREFIX = "v_"
_NONE = "pv_none_match"
"""In place of a symbol where it knows none of those asked for."""
_FIELDS = 50
"""At least so many a line has."""
_PAGE = 200
_MOST_PAGES = 60
_RANK_LIST = "/cgi/cgi-bin/rank/hs/getBoardRankList"


class Tencent:
    """Quotes by code."""

    name, batch = NAME, 60

    def __init__(self, address: str, limiter: Limiter | None = None) -> None:
        self._client = Client(NAME, address, POLICY, limiter)

    def fetch(self, codes: Sequence[str], now: dt.datetime) -> Fetched:
        asked = symbols(codes)
        result = self._client.call(QUOTES, "GET", "/q=" + ",".join(asked), _judge, repeatable=True, retries=0)
        lines = of_result(result, NAME, QUOTES)
        assert isinstance(lines, dict)
        quotes, why = [], {code: UNKNOWN for symbol, code in asked.items() if symbol not in lines}
        for symbol, line in lines.items():
            if (code := asked.get(symbol)) is None:
                continue
            fields = line.split("~")
            # What bears another number is another security, whatever was asked for.
            if len(fields) < _FIELDS or fields[2] != code[:6]:
                why[code] = told("its line is not that of {code}", code=code)
            else:
                quotes.append(_quote(code, fields, now))
        return judged(quotes, why)


class TencentRanks:
    """The whole market: price, volume and turnover of every stock, without its open, high and low."""

    name = NAME

    def __init__(self, address: str, limiter: Limiter | None = None) -> None:
        self._client = Client(NAME, address, POLICY, limiter)

    def market(self, now: dt.datetime) -> Fetched:
        rows: dict[str, Mapping[str, Any]] = {}
        seen = 0
        for page in range(_MOST_PAGES):
            params = {
                "_appver": "11.17.0", "board_code": "aStock", "sort_type": "price", "direct": "down",
                "offset": page * _PAGE, "count": _PAGE,
            }  # fmt: skip
            result = self._client.call(RANKS, "GET", _RANK_LIST, _judge_ranks, repeatable=True, retries=0, params=params)
            data = of_result(result, NAME, RANKS)
            assert isinstance(data, dict)
            listed = data["rank_list"]
            seen += len(listed)
            for row in listed:  # ranks move between two pages: the later page is the newer word
                rows[str(row.get("code", ""))] = row
            if not listed or (page + 1) * _PAGE >= int(data["total"]):
                return _of_ranks(rows, now)
        raise SourceError(FailureClass.RETRYABLE, NAME, RANKS, told("its list of ranks has no end ({count} rows)", count=seen))


def _judge(answered: Answered) -> Result | None:
    lines = script(answered, _PREFIX)
    if isinstance(lines, dict):
        return done({symbol: line for symbol, line in lines.items() if symbol != _NONE})
    return lines


def _judge_ranks(answered: Answered) -> Result | None:
    match answered.json:
        case {"data": {"total": int() | str() as total, "rank_list": list() as rows}} if str(total).isdigit():
            if all(isinstance(row, dict) for row in rows):
                return done(answered.json["data"])
        case {"code": int() as code, "msg": str() as text} if code:
            return refused(code, text, FailureClass.RETRYABLE)
    return None


def _quote(code: str, fields: Sequence[str], now: dt.datetime) -> Quote:
    last, opened = price(fields[3]), price(fields[5])
    # Field 37 has the amount in 万元, the third part of field 35 in 元.
    parts = fields[35].split("/")
    exact = number(parts[2]) if len(parts) > 2 else None
    rough = number(fields[37])
    amount = exact if exact is not None else (None if rough is None else rough * 10_000)
    volume, unit = shares(code, number(fields[6]), amount, last)
    bids, asks = (
        levels(((price(fields[place]), number(fields[place + 1])) for place in range(start, start + 10, 2)), unit)
        for start in (9, 19)
    )
    at = moment(fields[30], "%Y%m%d%H%M%S")
    untraded = opened is None and not volume and not bids and not asks
    marked = len(fields) > 40 and fields[40] == "S"
    said = status(at, suspended=marked)
    return Quote(
        ts_code=code,
        name=fields[1] or None,
        price=last,
        pre_close=price(fields[4]),
        open=opened,
        high=price(fields[33]),
        low=price(fields[34]),
        volume=volume,
        amount=amount if volume is not None else None,
        bids=bids,
        asks=asks,
        exchange_time=at,
        received_at=now,
        source=NAME,
        status="suspended" if untraded and said in ("trading", "closed") else said,
    )


def _of_ranks(rows: Mapping[str, Mapping[str, Any]], now: dt.datetime) -> Fetched:
    import re

    quotes, why = [], {}
    for symbol, row in rows.items():
        code = f"{symbol[2:]}.{symbol[:2].upper()}"
        if re.match(CODE_PATTERN, code) is None:
            why[symbol] = told("{symbol} is no code", symbol=symbol)
            continue
        last, change, turnover = (number(str(row.get(name, ""))) for name in ("zxj", "zd", "turnover"))
        last = last or None
        amount = None if turnover is None else round(turnover * 10_000, 2)
        volume, _ = shares(code, number(str(row.get("volume", ""))), amount, last)
        suspended = row.get("state") == "S"
        quotes.append(
            Quote(
                ts_code=code,
                name=str(row.get("name") or "") or None,
                price=last,
                pre_close=None if last is None or change is None else round(last - change, 4),
                open=None,
                high=None,
                low=None,
                volume=volume,
                amount=amount if volume is not None else None,
                bids=(),
                asks=(),
                exchange_time=None,
                received_at=now,
                source=NAME,
                status=status(now, suspended=suspended),
            )
        )
    return judged(quotes, why)
