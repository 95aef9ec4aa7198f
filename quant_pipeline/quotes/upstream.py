"""What every source of quotes has in common: how it is asked, what it answers with, and how its figures are read.

Nothing is made up: a code that a source does not know is named, a figure that cannot be is null, half an answer is none.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from quant_pipeline.language import marked, told
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.codes import Board, CodeError, board, parse
from quant_pipeline.quotes import hours
from quant_pipeline.quotes.quote import Levels, Quote, Status
from quant_pipeline.services import Answered, FailureClass, Result, refused
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.policy import RatePolicy

POLICY = RatePolicy(per_minute=None, per_second=None, retries=0, timeout=5.0, trip=3, cool_down=30.0, concurrency=2)
"""A quote that is tried again comes too late: the next poll asks anew, and after three failures the next source for 30 s."""
UNKNOWN = marked("it does not know the code")
_CODE_PARTS = 2
_UNITS = (1, 10, 100)
"""Shares (or bonds) of what volumes are counted in."""
_OFF = 1.5
"""So far a mean price may lie from the last one; the units lie ten times apart."""
_BEYOND = 1e-6


@dataclass(frozen=True)
class Fetched:
    """The quotes of one question, and of each code that has none: why."""

    quotes: tuple[Quote, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


class Upstream(Protocol):
    """A source of quotes by code."""

    @property
    def name(self) -> str:
        """As in `Quote.source` and in source_calls."""
        ...

    @property
    def batch(self) -> int:
        """How many codes one call asks for."""
        ...

    def fetch(self, codes: Sequence[str], now: dt.datetime) -> Fetched:
        """The quotes of at most `batch` codes, received at `now`. SourceError says why there are none."""
        ...


class MarketUpstream(Protocol):
    """A source of the whole market."""

    @property
    def name(self) -> str: ...

    def market(self, now: dt.datetime) -> Fetched:
        """The quotes of every stock. SourceError says why there are none: a page that is lost is the market lost."""
        ...


def of_result(result: Result, source: str, api: str) -> object:
    """What a successful call brought. SourceError for another."""
    if result.success:
        return result.data
    text = result.error_message or result.error_code
    raise SourceError(result.failure or FailureClass.RETRYABLE, source, api, text, wait=result.wait)


def script(answered: Answered, prefix: str) -> dict[str, str] | Result | None:
    """The lines `{prefix}sh600000="…";` of an answer in GBK, by symbol. A Result: it is half a one; None: it is no such one."""
    if answered.status != 200:
        return None
    text = answered.body.decode("gb18030", errors="replace").strip()
    if not text.startswith(prefix):
        return None
    found = {}
    for line in text.split("\n"):
        head, equals, content = line.strip().partition('="')
        if not (head.startswith(prefix) and equals and content.endswith('";')):
            return refused("truncated", told("the answer ends in the middle of a line"), FailureClass.RETRYABLE)
        found[head.removeprefix(prefix)] = content.removesuffix('";')
    return found


def symbols(codes: Collection[str]) -> dict[str, str]:
    """sh600000 -> 600000.SH. The market is that of the suffix, never guessed from the digits: 000016.SH is no sz000016."""
    parts = {code: code.split(".") for code in codes}
    return {f"{each[1].lower()}{each[0]}": code for code, each in parts.items() if len(each) == _CODE_PARTS}


def is_index(ts_code: str) -> bool:
    """Whether the code is no security: its volume counts what no price belongs to."""
    try:
        return parse(ts_code) != ts_code
    except CodeError:
        return True


def number(text: str) -> float | None:
    """A figure; None for what is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def price(text: str) -> float | None:
    """A price; None for 0, which is none."""
    value = number(text)
    return value if value is not None and value > 0 else None


def shares(ts_code: str, volume: float | None, amount: float | None, last: float | None) -> tuple[int | None, int]:
    """The volume in 股 and the shares of one unit, as amount / (price x volume) tells them: a source may count a board in
    another unit than it says. None where the figures contradict each other; where nothing is traded, the usual unit."""
    usual = 1 if _is_star(ts_code) else 100
    if volume is None or volume < 0:
        return None, usual
    if not volume or is_index(ts_code):
        return int(volume * usual), usual
    if not amount or not last:
        return None, usual
    ratio = amount / (last * volume)
    unit = next((each for each in _UNITS if each / _OFF <= ratio <= each * _OFF), None)
    return (None, usual) if unit is None else (round(volume * unit), unit)


def levels(pairs: Iterator[tuple[float | None, float | None]], unit: int) -> Levels:
    """Prices with their shares; what has no price is no level."""
    return tuple((quoted, round((size or 0) * unit)) for quoted, size in pairs if quoted)


def moment(text: str, form: str) -> dt.datetime | None:
    """A moment in exchange time; None for what is none."""
    try:
        return dt.datetime.strptime(text, form).replace(tzinfo=EXCHANGE_ZONE)
    except ValueError:
        return None


def status(at: dt.datetime | None, *, suspended: bool) -> Status:
    """What the code is doing, as the exchange's time of the quote says."""
    if suspended:
        return "suspended"
    if at is None:
        return "trading"
    time = at.timetz().replace(tzinfo=None)
    if time >= hours.CLOSE:
        return "closed"
    return "auction" if time < hours.OPEN else "trading"


def contradiction(quote: Quote) -> str | None:
    """Why the figures of a quote cannot belong together; None: they can."""
    low, high, last = quote.low, quote.high, quote.price
    if low is not None and high is not None:
        if low > high:
            return told("its low {low:g} is above its high {high:g}", low=low, high=high)
        if last is not None and not low - _BEYOND <= last <= high + _BEYOND:
            text = marked("its price {price:g} is not between its low {low:g} and its high {high:g}")
            return told(text, price=last, low=low, high=high)
    return None


def judged(quotes: Collection[Quote], refused: Mapping[str, str]) -> Fetched:
    """The quotes that can be, and why the others cannot."""
    why = {quote.ts_code: contradiction(quote) for quote in quotes}
    return Fetched(
        tuple(quote for quote in quotes if why[quote.ts_code] is None),
        dict(refused) | {code: text for code, text in why.items() if text is not None},
    )


def _is_star(ts_code: str) -> bool:
    try:
        return board(ts_code) is Board.STAR
    except CodeError:
        return False
