"""Tushare's rt_k, for accounts that have it (a permission of its own): codes or the whole market in one call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from quant_pipeline.language import told
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.upstream import POLICY, UNKNOWN, Fetched, judged, levels, moment, of_result, shares, status
from quant_pipeline.services import Answered, FailureClass, Result, done, refused
from quant_pipeline.services.client import Client
from quant_pipeline.sources.limiter import Limiter

NAME, API = "tushare", "rt_k"
_USUAL = ("ts_code", "name", "pre_close", "high", "open", "low", "close", "vol", "amount")
_NAMED = ("bid_price1", "bid_volume1", "ask_price1", "ask_volume1", "trade_time")
"""What it gives only to those who name it."""
_MARKET = "6*.SH,3*.SZ,0*.SZ,9*.BJ"
_POLICY = POLICY.model_copy(update={"per_minute": 48, "timeout": 10.0})
"""Users are let in 48 to 50 times a minute."""


class TushareRealtime:
    """Quotes by code, and of the whole market."""

    name, batch = NAME, 1_000

    def __init__(self, address: str, token: str, limiter: Limiter | None = None) -> None:
        self._client = Client(NAME, address, _POLICY, limiter, secrets=[token])
        self._token = token

    def fetch(self, codes: Sequence[str], now: dt.datetime) -> Fetched:
        rows = self._rows(",".join(codes))
        quotes = [_quote(rows[code], now) for code in codes if code in rows]
        return judged(quotes, {code: UNKNOWN for code in codes if code not in rows})

    def market(self, now: dt.datetime) -> Fetched:
        """The quotes of every stock."""
        return judged([_quote(row, now) for row in self._rows(_MARKET).values()], {})

    def _rows(self, codes: str) -> dict[str, Mapping[str, Any]]:
        asked = {"api_name": API, "token": self._token, "params": {"ts_code": codes}, "fields": ",".join((*_USUAL, *_NAMED))}
        result = self._client.call(API, "POST", f"/{API}", _judge, repeatable=True, retries=0, json=asked)
        data = of_result(result, NAME, API)
        assert isinstance(data, dict)
        rows = [dict(zip(data["fields"], item, strict=False)) for item in data["items"]]
        return {str(row.get("ts_code")): row for row in rows}


def _judge(answered: Answered) -> Result | None:
    match answered.json:
        case {"code": 0, "data": {"fields": list() as fields, "items": list()}}:
            if lacking := sorted(set(_USUAL) - set(fields)):
                return refused("fields", told("it lacks {names}", names=", ".join(lacking)), FailureClass.PERMANENT_API)
            return done(answered.json["data"])
        case {"code": 40203 | 40101 | -2001 as code, "msg": str() as text}:
            quota = "频率" in text or "每分钟" in text
            return refused(
                code, text, FailureClass.RATE_LIMITED if quota else FailureClass.PERMANENT_API, wait=60.0 if quota else 0.0
            )
        case {"code": int() as code, "msg": str() as text}:
            return refused(code, text, FailureClass.RETRYABLE)
    return None


def _quote(row: Mapping[str, Any], now: dt.datetime) -> Quote:
    def price(name: str) -> float | None:
        return float(row[name]) if row.get(name) else None

    code, last = str(row["ts_code"]), price("close")
    traded, amount = (float(row[name]) if row.get(name) is not None else None for name in ("vol", "amount"))
    volume, unit = shares(code, traded, amount, last)
    bids, asks = (
        levels(iter([(price(f"{side}_price1"), row.get(f"{side}_volume1"))]), unit if traded else 1) for side in ("bid", "ask")
    )
    at = moment(str(row.get("trade_time") or ""), "%Y-%m-%d %H:%M:%S")
    said = status(at or now, suspended=False)
    untraded = price("open") is None and not traded and not bids and not asks
    return Quote(
        ts_code=code,
        name=row.get("name") or None,
        price=last,
        pre_close=price("pre_close"),
        open=price("open"),
        high=price("high"),
        low=price("low"),
        volume=volume,
        amount=amount if volume is not None else None,
        bids=bids,
        asks=asks,
        exchange_time=at,
        received_at=now,
        source=NAME,
        status="suspended" if untraded and said in ("trading", "closed") else said,
    )
