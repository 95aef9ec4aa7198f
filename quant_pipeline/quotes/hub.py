"""The quotes of this process's clients: read once when they change, and given to each as fast as it reads.

One listener, one reader of changed rows, one lease for all that the clients want. A client that does not read keeps of each
code the newest quote alone: it costs what its codes cost, and holds up nobody. All of it lives in one event loop; what asks
the database runs in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property

import orjson

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.quotes import hours
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.store import CHANNEL, LEASE, Store
from quant_pipeline.warehouse.database import Database

MOST_CODES = 500
"""Codes of one client."""
MOST_READERS = 1_000
LOOK = 3.0
"""Seconds between two looks at how old the quotes are: a quote that is said again without a change is no change, but fresh."""
PATIENCE = 4.0
"""Seconds that `ask` waits for a quote that the poller has still to fetch: it polls every 3 s."""
_RENEWAL = LEASE.total_seconds() / 3
_AGAIN = 2.0
"""Seconds until a database that was away is tried again."""
_GATHERED = 0.05
"""Seconds in which many clients that come at once become one lease."""
_MOST_ASKED = 2_000
"""Codes that are polled on for a while because somebody asked once."""
_FRESH_TEXT = 1.0
"""Seconds for which a quote's text holds: its age stands in it."""
_logger = logging.getLogger(__name__)


class TooManyReaders(Exception):
    """The process has as many clients as it may."""


class Reader:
    """What one client wants, and of that what it has not been given: the newest quote of each code."""

    def __init__(self) -> None:
        self.codes: frozenset[str] = frozenset()
        self._waiting: dict[str, Quote] = {}
        self._woken = asyncio.Event()

    def offer(self, quote: Quote) -> None:
        """Takes the place of what waits of the same code."""
        self._waiting[quote.ts_code] = quote
        self._woken.set()

    async def offered(self) -> None:
        """Until something waits."""
        await self._woken.wait()

    def take(self) -> list[Quote]:
        """What waits, by code; nothing waits afterwards."""
        taken = [self._waiting[code] for code in sorted(self._waiting)]
        self._waiting.clear()
        self._woken.clear()
        return taken

    def wants(self, codes: frozenset[str]) -> None:
        """From now on these codes alone; of others nothing waits any more."""
        self.codes = codes
        for code in self._waiting.keys() - codes:
            del self._waiting[code]
        if not self._waiting:
            self._woken.clear()


class Hub:
    """One for a process. Its methods are for the threads' event loop that its first client came in."""

    def __init__(self, database: Callable[[], Database], *, look: float = LOOK) -> None:
        """`database`: called in a thread at the first use; it may have to be started."""
        self._database, self._look = database, look
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._readers: set[Reader] = set()
        self._by_code: dict[str, set[Reader]] = {}
        self._asked: dict[str, float] = {}
        self._latest: dict[str, Quote] = {}
        self._stale: dict[str, bool] = {}
        self._texts: dict[str, tuple[Quote, float, orjson.Fragment]] = {}
        self._sequence = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    # --- clients -------------------------------------------------------------------------------------------------------

    def join(self) -> Reader:
        """A new client's reader, to be given back by `leave`. TooManyReaders."""
        if len(self._readers) >= MOST_READERS:
            raise TooManyReaders
        if not self._tasks:
            work = (self._listening(), self._watching(), self._leasing())
            self._tasks = [asyncio.create_task(each, name="quotes") for each in work]
        reader = Reader()
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """The client is gone; a second time is none."""
        self._readers.discard(reader)
        self._place(reader, frozenset())

    async def want(self, reader: Reader, codes: Collection[str]) -> None:
        """From now on the reader gets these codes, in place of those before; their last quotes wait for it at once.

        DatabaseError, psycopg.Error where these cannot be read: then it gets what changes.
        """
        wanted = frozenset(codes)
        self._place(reader, wanted)
        if unknown := wanted - self._latest.keys():
            for quote in (await asyncio.to_thread(self._read_latest, unknown)).values():
                self._learn(quote)
        for code in wanted & self._latest.keys() & reader.codes:
            reader.offer(self._latest[code])

    async def ask(self, codes: Collection[str], *, patience: float | None = None) -> dict[str, Quote]:
        """The quotes of these codes that there are. What is lacking or stale and can move now is waited for, `patience`
        seconds; the codes are polled for another minute. DatabaseError, psycopg.Error, TooManyReaders."""
        reader = self.join()
        try:
            await self.want(reader, codes)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE if patience is None else patience):
                    while any(self._may_come(code) for code in codes):
                        reader.take()
                        await reader.offered()
            return {code: self._latest[code] for code in codes if code in self._latest}
        finally:
            until = time.monotonic() + LEASE.total_seconds()
            self._asked.update(dict.fromkeys(list(codes)[:_MOST_ASKED], until))
            for code in list(self._asked)[: max(0, len(self._asked) - _MOST_ASKED)]:
                del self._asked[code]
            self.leave(reader)

    async def refused(self) -> Mapping[str, str]:
        """The codes that nobody whom the poller asked last has a quote of, and why. DatabaseError, psycopg.Error."""
        return (await asyncio.to_thread(lambda: self._store.state())).refused

    def told(self, quote: Quote) -> orjson.Fragment:
        """The quote's message as JSON, made once for all clients."""
        now = time.monotonic()
        known = self._texts.get(quote.ts_code)
        if known is not None and known[0] is quote and now - known[1] < _FRESH_TEXT:
            return known[2]
        text = orjson.Fragment(orjson.dumps(quote.as_message()))
        self._texts[quote.ts_code] = (quote, now, text)
        return text

    async def close(self) -> None:
        """Ends the listening and the lease."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            with contextlib.suppress(Exception):  # the lease lapses by itself
                await asyncio.to_thread(lambda: self._store.unsubscribe(self.name))

    # --- what is wanted ------------------------------------------------------------------------------------------------

    def _place(self, reader: Reader, codes: frozenset[str]) -> None:
        for code in reader.codes - codes:
            held = self._by_code[code]
            held.discard(reader)
            if not held:
                del self._by_code[code]
        for code in codes - reader.codes:
            self._by_code.setdefault(code, set()).add(reader)
        reader.wants(codes)
        self._forget()
        self._changed.set()

    def _forget(self) -> None:
        """What nobody wants is not kept up to date, so it is not kept."""
        for kept in (self._latest, self._stale, self._texts):
            for code in kept.keys() - self._by_code.keys() - self._asked.keys():
                del kept[code]

    def _wanted(self) -> frozenset[str]:
        now = time.monotonic()
        self._asked = {code: until for code, until in self._asked.items() if until > now}
        return frozenset(self._by_code) | frozenset(self._asked)

    async def _leasing(self) -> None:
        leased = False
        while True:
            self._changed.clear()
            wanted, wait = self._wanted(), _RENEWAL
            try:
                if wanted or leased:
                    await asyncio.to_thread(self._lease, wanted)
                leased = bool(wanted)
            except Exception as error:
                _logger.info("quotes: what is wanted could not be told: %s", error)
                wait = _AGAIN
            with contextlib.suppress(TimeoutError):  # not wait_for: in Python 3.11 it may swallow that this task is cancelled
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            await asyncio.sleep(_GATHERED)

    def _lease(self, wanted: Collection[str]) -> None:
        if wanted:
            self._store.subscribe(self.name, wanted)
        else:
            self._store.unsubscribe(self.name)

    # --- what changes --------------------------------------------------------------------------------------------------

    async def _listening(self) -> None:
        while True:
            try:
                database = await asyncio.to_thread(self._database)
                async with await database.connect_async() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    await self._catch_up()
                    async for _ in connection.notifies():
                        await self._catch_up()
            except Exception as error:
                _logger.info("quotes: the database is listened to again: %s", error)
            await asyncio.sleep(_AGAIN)

    async def _catch_up(self) -> None:
        wanted = self._wanted()
        if not wanted:
            return
        changed, self._sequence = await asyncio.to_thread(self._read_changed, self._sequence, wanted)
        for quote in changed:
            self._learn(quote)

    def _learn(self, quote: Quote) -> None:
        """Keeps the quote, unless it is older than what is known or nobody wants it, and gives it to whoever wants it where it
        says something new: other figures, or that it went stale or is no more."""
        code, known, was = quote.ts_code, self._latest.get(quote.ts_code), self._stale.get(quote.ts_code)
        if (known is not None and known.received_at > quote.received_at) or not self._is_wanted(code):
            return
        self._latest[code], self._stale[code] = quote, quote.is_stale()
        if known is None or self._stale[code] != was or not _same(known, quote):
            for reader in self._by_code.get(code, ()):
                reader.offer(quote)

    def _is_wanted(self, code: str) -> bool:
        return code in self._by_code or code in self._asked

    def _may_come(self, code: str) -> bool:
        """Whether a better quote of the code can be expected: it lacks or is stale, and the exchange is open."""
        quote, now = self._latest.get(code), clock.now()
        if quote is not None and not quote.is_stale(now):
            return False
        try:
            return hours.is_due(code, now)
        except CalendarError:
            return True

    # --- how old it is -------------------------------------------------------------------------------------------------

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(self._look)
            try:
                await self._look_again()
            except Exception as error:
                _logger.warning("quotes: their age could not be told: %s", error)

    async def _look_again(self) -> None:
        """Tells once that a quote went stale, and once that it is no more."""
        wanted = self._wanted()
        try:
            stored = await asyncio.to_thread(self._read_latest, wanted) if wanted else {}
        except Exception as error:  # the database is away: what is known grows old all the same
            _logger.info("quotes: the last ones cannot be read: %s", error)
            stored = {}
        for code in wanted:
            quote = stored.get(code, self._latest.get(code))
            if quote is not None:
                self._learn(quote)

    # --- in threads ----------------------------------------------------------------------------------------------------

    @cached_property
    def _store(self) -> Store:
        return Store(self._database())

    def _read_latest(self, codes: Collection[str]) -> dict[str, Quote]:
        return self._store.latest(codes)

    def _read_changed(self, sequence: int, codes: Collection[str]) -> tuple[list[Quote], int]:
        return self._store.changed_since(sequence, codes)


def _same(known: Quote, quote: Quote) -> bool:
    """Whether they say the same, whoever said it when."""
    return replace(known, received_at=quote.received_at, source=quote.source) == quote
