"""A client of live quotes, whatever protocol it speaks: what it asks for, what it is answered, and what it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from quant_pipeline.door.feed.codes import LONGEST, Codes
from quant_pipeline.door.keys import Key
from quant_pipeline.language import speaking
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.quotes import hours
from quant_pipeline.quotes.hub import MOST_CODES, Hub
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.retelling import retold
from quant_pipeline.warehouse.errors import described

_CLOSED = "交易时段外，开盘后推送 The exchange is closed: it comes when it opens"
_AWAITED = "尚未取得，正在查询 Not had yet: it is asked for now"
_FAILED = "行情推送出错，请重连 The quotes cannot be sent: connect again"
_logger = logging.getLogger(__name__)


class Refused(Exception):
    """What a client asks for cannot be done; the text says why. What it had stays as it is."""


@dataclass(frozen=True)
class Subscribed:
    """What a subscription came to. `without`: of the accepted codes those that have no quote yet, and why."""

    accepted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    without: dict[str, str] = field(default_factory=dict)

    def as_message(self) -> dict[str, Any]:
        message = f"没有这些代码 No such codes: {', '.join(self.unknown)}" if self.unknown else ""
        return {
            "accepted": list(self.accepted),
            "unknown": list(self.unknown),
            "without": self.without,
            "message": message,
        }


class Wire(Protocol):
    """How a client is reached."""

    async def ready(self) -> None:
        """Until what was sent before is on its way: nothing is piled up for who does not read."""
        ...

    async def send(self, quotes: Sequence[orjson.Fragment], snapshot: Subscribed | None) -> None:
        """Quotes that changed, or the answer to a subscription with all that there are."""
        ...

    async def end(self, why: str) -> None:
        """Closes the connection."""
        ...


class Client:
    """From `begin` to `close`, in one event loop. `asked` as it came from outside: nothing of it is taken for granted."""

    def __init__(self, hub: Hub, codes: Codes, wire: Wire, key: Key | None) -> None:
        """TooManyReaders."""
        self.key = key
        self._hub, self._codes, self._wire = hub, codes, wire
        self._reader = hub.join()
        self._sending = asyncio.Lock()
        self._pump = asyncio.create_task(self._pumping(), name="quotes of a client")

    async def subscribe(self, asked: object) -> Subscribed:
        """These codes in place of those before; their quotes are sent at once. Refused, DatabaseError, psycopg.Error."""
        texts = texts_in(asked)
        meant = await asyncio.to_thread(self._codes.meant, texts)
        async with self._sending:
            await self._hub.want(self._reader, meant.codes)
            await self._wire.ready()
            quotes = self._reader.take()
            done = Subscribed(meant.codes, meant.unknown, await without(self._hub, meant.codes, quotes))
            await self._wire.send([self._hub.told(quote) for quote in quotes], done)
        return done

    async def unsubscribe(self, asked: object) -> tuple[str, ...]:
        """No more of these codes (None: of none); what is left. Refused, DatabaseError, psycopg.Error."""
        gone = self._reader.codes if asked is None else set((await asyncio.to_thread(self._codes.meant, texts_in(asked))).codes)
        async with self._sending:
            left = self._reader.codes - gone
            await self._hub.want(self._reader, left)
            self._reader.take()
        return tuple(sorted(left))

    async def end(self, why: str) -> None:
        """Closes the connection from our side."""
        await self._wire.end(why)

    def close(self) -> None:
        """The connection is gone; a second time is none."""
        self._pump.cancel()
        self._hub.leave(self._reader)

    async def _pumping(self) -> None:
        try:
            while True:
                await self._reader.offered()
                async with self._sending:
                    await self._wire.ready()
                    if quotes := self._reader.take():
                        await self._wire.send([self._hub.told(quote) for quote in quotes], None)
        except Exception as error:  # mostly it is gone; if not, it is better told than left waiting
            _logger.debug("a client of quotes cannot be reached: %s", error)
            with contextlib.suppress(Exception):
                await self._wire.end(_FAILED)


def away(error: Exception) -> str:
    """What a client is told where the database cannot be had."""
    return f"数据库不可用 The database is away: {described(error) or error}"


def texts_in(asked: object) -> list[str]:
    """The codes that were asked for: a list, or one text with commas. Refused where it is neither, or they are too many."""
    if isinstance(asked, str):
        asked = [each for each in asked.split(",") if each.strip()]
    if not isinstance(asked, list) or not all(isinstance(each, str) and each.strip() for each in asked):
        raise Refused('请写成 {"codes": ["600000.SH", "000001"]} Write it like this: a list of texts')
    if len(asked) > MOST_CODES:
        raise Refused(f"一个连接最多订阅 {MOST_CODES} 个代码，收到 {len(asked)} 个 At most {MOST_CODES} codes a client")
    return [each.strip()[: LONGEST + 1] for each in asked]


async def without(hub: Hub, codes: Sequence[str], quotes: Sequence[Quote]) -> dict[str, str]:
    """Which of the codes have no quote, and why. DatabaseError, psycopg.Error."""
    had, now = {quote.ts_code for quote in quotes}, clock.now()
    lacking = [code for code in codes if code not in had]
    refused = await hub.refused() if lacking else {}
    return {
        code: _refused(refused[code]) if code in refused else _AWAITED if _is_due(code, now) else _CLOSED for code in lacking
    }


def _refused(why: str) -> str:
    with speaking("zh"):
        return f"没有行情 {retold(why)}"


def _is_due(code: str, now: dt.datetime) -> bool:
    try:
        return hours.is_due(code, now)
    except CalendarError:  # past the calendar's end the poller asks all the same
        return True
