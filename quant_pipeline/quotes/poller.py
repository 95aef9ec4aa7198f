"""The poller: one of all processes asks for what somebody wants while the exchange is open, and keeps each good answer.

Whoever holds the place polls; when that process ends, however it ends, the next one that waits takes over within a period.
Nothing that goes wrong here is raised: it is kept in words in the poller's state, and asked again.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import psycopg

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.quotes import hours
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.sina import Sina
from quant_pipeline.quotes.store import Store
from quant_pipeline.quotes.tencent import Tencent, TencentRanks
from quant_pipeline.quotes.tushare_rt import TushareRealtime
from quant_pipeline.quotes.upstream import MarketUpstream, Upstream
from quant_pipeline.sources.failures import SourceError, in_words
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.presence import Presence

PERIOD = 3.0
"""Seconds between two polls: the exchange's own between two snapshots. Faster gains nothing."""
PLACE = 5
"""The place among `presence`'s that the process that polls holds."""
MARKET_PERIOD = 15.0
"""Seconds between two looks at the whole market, which are some 28 calls."""
_CODE = re.compile(r"[0-9A-Z]{6}\.[A-Z]{2,3}")
_NO_CODE = marked("it is no code; write 600000.SH")
_MARKET = "000001.SZ"
"""A code whose hours are the market's."""
_UNKEPT = marked("quotes go on, but are not kept in intraday_quotes: {why}")
_logger = logging.getLogger(__name__)
Keep = Callable[[Sequence[Quote]], object]
"""Keeps quotes for later; it may raise whatever it likes."""


@dataclass(frozen=True)
class Sources:
    """Whom to ask, the first one first."""

    by_code: Sequence[Upstream]
    market: Sequence[MarketUpstream]


def sources(hosts: Hosts, limiter: Limiter | None, listed: Callable[[], Iterable[str]]) -> Sources:
    """Tushare's rt_k where the account has it, then Tencent, then Sina. `listed`: the codes of the whole market."""
    sina = Sina(hosts.sina, limiter, lambda: list(listed()))
    own = [] if hosts.tushare is None else [TushareRealtime(hosts.tushare, hosts.token, limiter)]
    return Sources([*own, Tencent(hosts.tencent, limiter), sina], [*own, TencentRanks(hosts.ranks, limiter), sina])


@dataclass
class _Gathered:
    """What a poll brought."""

    quotes: list[Quote] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failures: list[SourceError] = field(default_factory=list)
    source: str | None = None
    complete: bool = True
    unkept: str | None = None
    """Why what it brought could not be kept, in words."""


class Poller:
    """Polls once for each call of `poll`."""

    def __init__(
        self,
        store: Store,
        process: str,
        find: Callable[[], Sources],
        calendar: Callable[[], Calendar],
        period: float = PERIOD,
        *,
        keep: Keep | None = None,
    ) -> None:
        """`find`: whom to ask, found anew after nobody answered · `calendar`: the exchange's, as it is known now · `keep`: what
        keeps the quotes for later; None: nothing does."""
        self._store, self._process, self._find, self._calendar, self._period = store, process, find, calendar, period
        self._keep, self._keeps = keep, True
        self._sources: Sources | None = None
        self._market_due = 0.0

    def poll(self) -> frozenset[str]:
        """Asks for what is wanted now, where it can have moved, and gives the codes that changed. Never raises."""
        now = clock.now()
        try:
            return self._polled(now)
        except Exception as error:
            _logger.warning("quotes: a poll failed: %s", in_words(error))
            self._sources = None
            self._told_of(error, now)
            return frozenset()

    def _polled(self, now: dt.datetime) -> frozenset[str]:
        wanted, whole = self._store.wanted(), self._store.market_wanted()
        if not wanted and not whole:
            return frozenset()
        calendar = self._calendar()
        due = sorted(code for code in wanted if hours.is_due(code, now, calendar))
        whole = whole and time.monotonic() >= self._market_due and hours.is_due(_MARKET, now, calendar)
        if not due and not whole:
            return frozenset()
        if self._sources is None:
            self._sources = self._find()
        gathered = _Gathered()
        self._by_code(self._sources.by_code, due, now, gathered)
        changed = self._store.publish(gathered.quotes)  # now: the market takes seconds
        self._kept(gathered.quotes, gathered)
        if whole:
            self._market_due = time.monotonic() + MARKET_PERIOD
            market = self._whole_market(self._sources.market, frozenset(due), now, gathered)
            changed |= self._store.publish(market)
            self._kept(market, gathered)
        self._record(gathered, now)
        return changed

    def _kept(self, quotes: Sequence[Quote], gathered: _Gathered) -> None:
        """Keeps the quotes for later, where that is wanted. What fails here is told, and takes nothing from the live ones."""
        if self._keep is None or not quotes:
            return
        try:
            self._keep(quotes)
        except Exception as error:
            gathered.unkept = told(_UNKEPT, why=in_words(error))
            if self._keeps:  # once: the state has it for as long as it lasts
                _logger.warning("%s", gathered.unkept)
            self._keeps = False
        else:
            if not self._keeps:
                _logger.info("quotes: they are kept again in intraday_quotes")
            self._keeps = True

    def _by_code(self, asked: Sequence[Upstream], codes: Sequence[str], now: dt.datetime, gathered: _Gathered) -> None:
        left = [code for code in codes if _CODE.fullmatch(code)]
        gathered.refused |= dict.fromkeys(set(codes) - set(left), _NO_CODE)
        for source in asked:
            unanswered: list[str] = []
            for start in range(0, len(left), source.batch):
                batch = left[start : start + source.batch]
                if unanswered:  # it failed a moment ago: the rest goes to the next one at once
                    unanswered += batch
                    continue
                try:
                    fetched = source.fetch(batch, now)
                except SourceError as error:
                    gathered.failures.append(error)
                    unanswered += batch
                    continue
                gathered.quotes += fetched.quotes
                gathered.refused |= {code: f"{source.name}: {why}" for code, why in fetched.refused.items()}
                gathered.source = gathered.source or source.name
            left = unanswered
        gathered.complete = not left

    def _whole_market(
        self, asked: Sequence[MarketUpstream], without: frozenset[str], now: dt.datetime, gathered: _Gathered
    ) -> list[Quote]:
        """The market's quotes, but for the codes that were asked for by themselves: those say more."""
        for source in asked:
            try:
                fetched = source.market(now)
            except SourceError as error:
                gathered.failures.append(error)
                continue
            gathered.source = gathered.source or source.name
            return [quote for quote in fetched.quotes if quote.ts_code not in without]
        gathered.complete = False
        return []

    def _record(self, gathered: _Gathered, now: dt.datetime) -> None:
        failures = gathered.failures
        if not gathered.complete:
            self._sources = None  # an address may have moved
        wait = min((error.wait for error in failures), default=0.0)
        self._store.record(
            self._process,
            source=gathered.source,
            last_success=now if gathered.source is not None else None,
            next_retry=None if gathered.complete else now + dt.timedelta(seconds=max(self._period, wait)),
            error="; ".join(dict.fromkeys([*map(str, failures), *filter(None, [gathered.unkept])])) or None,
            refused=gathered.refused,
        )

    def _told_of(self, error: Exception, now: dt.datetime) -> None:
        try:
            retry = now + dt.timedelta(seconds=self._period)
            self._store.record(self._process, next_retry=retry, error=in_words(error))
        except Exception as fault:  # the database is what failed: there is no other place to tell it
            _logger.warning("quotes: the failure could not be kept: %s", in_words(fault))


def run(
    stop: threading.Event,
    database: Database,
    hosts: Callable[[], Hosts],
    calendar: Callable[[], Calendar],
    listed: Callable[[], Iterable[str]],
    *,
    period: float = PERIOD,
    keep: Keep | None = None,
) -> None:
    """Polls every `period` seconds until `stop` is set, while no other process does; never raises.

    `hosts`: where the sites are, asked when somebody wants a quote (that may start a sandbox) · `listed`: the codes of the
    whole market · `keep`: keeps what comes for later.
    """
    while not stop.is_set():
        try:
            with closing(Presence(database.connect())) as presence:
                limiter = Limiter(database.pool, presence)
                find = partial(_found, hosts, limiter, listed)
                poller = Poller(Store(database), presence.process, find, calendar, period, keep=keep)
                _polling(stop, presence, poller, period)
        except (psycopg.Error, DatabaseError) as error:
            _logger.warning("quotes: the database cannot be had: %s", in_words(error))
        except Exception as error:
            _logger.warning("quotes: the poller is started again: %s", in_words(error))
        stop.wait(period)


def _found(hosts: Callable[[], Hosts], limiter: Limiter, listed: Callable[[], Iterable[str]]) -> Sources:
    return sources(hosts(), limiter, listed)


def _polling(stop: threading.Event, presence: Presence, poller: Poller, period: float) -> None:
    """Takes the place when it is free, and polls; ends when the presence does, and the place with it."""
    holds = False
    while not stop.is_set() and presence.lasts():
        began = time.monotonic()
        holds = holds or presence.claim(PLACE)
        if holds:
            poller.poll()
        stop.wait(max(0.0, began + period - time.monotonic()))
