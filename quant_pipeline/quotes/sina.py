"""Sina (hq.sinajs.cn): quotes by code, 800 at once, so the whole market in seven calls. It wants to be named as the referer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence

from quant_pipeline.language import told
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.upstream import (
    POLICY,
    UNKNOWN,
    Fetched,
    is_index,
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
from quant_pipeline.services import Answered, FailureClass, Result, done
from quant_pipeline.services.client import Client
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.limiter import Limiter

NAME, QUOTES = "sina", "quotes"
_PREFIX = "var hq_str_"
_HEADERS = {"Referer": "https://finance.sina.com.cn/", "User-Agent": "Mozilla/5.0"}
_FIELDS = 32
_SUSPENDED = "03"


class Sina:
    """Quotes by code."""

    name, batch = NAME, 800

    def __init__(self, address: str, limiter: Limiter | None = None, listed: Callable[[], Collection[str]] = tuple) -> None:
        """`listed`: the codes of the whole market."""
        self._client = Client(NAME, address, POLICY, limiter)
        self._listed = listed

    def fetch(self, codes: Sequence[str], now: dt.datetime) -> Fetched:
        asked = symbols(codes)
        path = f"/rn={int(now.timestamp() * 1_000)}&list={','.join(asked)}"
        result = self._client.call(QUOTES, "GET", path, _judge, repeatable=True, retries=0, headers=_HEADERS)
        lines = of_result(result, NAME, QUOTES)
        assert isinstance(lines, dict)
        if lacking := [code for symbol, code in asked.items() if symbol not in lines]:
            # It has a line for each code, an empty one for what it does not know.
            text = told("the answer lacks the lines of {count} codes", count=len(lacking))
            raise SourceError(FailureClass.RETRYABLE, NAME, QUOTES, text)
        quotes, why = [], {}
        for symbol, code in asked.items():
            fields = lines[symbol].split(",")
            if not lines[symbol]:
                why[code] = UNKNOWN
            elif len(fields) < _FIELDS:
                why[code] = told("its line has {count} fields", count=len(fields))
            else:
                quotes.append(_quote(code, fields, now))
        return judged(quotes, why)

    def market(self, now: dt.datetime) -> Fetched:
        """The quotes of every listed code."""
        codes = sorted(self._listed())
        parts = [self.fetch(codes[start : start + self.batch], now) for start in range(0, len(codes), self.batch)]
        quotes = tuple(quote for part in parts for quote in part.quotes)
        return Fetched(quotes, {code: text for part in parts for code, text in part.refused.items()})


def _judge(answered: Answered) -> Result | None:
    lines = script(answered, _PREFIX)
    return done(lines) if isinstance(lines, dict) else lines


def _quote(code: str, fields: Sequence[str], now: dt.datetime) -> Quote:
    opened, pre_close, last = price(fields[1]), price(fields[2]), price(fields[3])
    amount, traded = number(fields[9]), number(fields[8])
    volume, unit = shares(code, traded, amount, last)
    if not traded and not is_index(code):
        unit = 1  # it counts in 股: of what nothing was traded, too
    if is_index(code):
        volume = None  # in 手 for one exchange and in 股 for the other, and no price tells which
    bids, asks = (
        levels(((price(fields[place + 1]), number(fields[place])) for place in range(start, start + 10, 2)), unit)
        for start in (10, 20)
    )
    at = moment(f"{fields[30]} {fields[31]}", "%Y-%m-%d %H:%M:%S")
    untraded = opened is None and not traded and not bids and not asks
    said = status(at, suspended=len(fields) > 32 and fields[32] == _SUSPENDED)
    return Quote(
        ts_code=code,
        name=fields[0] or None,
        price=last,
        pre_close=pre_close,
        open=opened,
        high=price(fields[4]),
        low=price(fields[5]),
        volume=volume,
        amount=amount if volume is not None or is_index(code) else None,
        bids=bids,
        asks=asks,
        exchange_time=at,
        received_at=now,
        source=NAME,
        status="suspended" if untraded and said in ("trading", "closed") else said,
    )
