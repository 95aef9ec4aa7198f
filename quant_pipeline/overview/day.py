"""A day, put together."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.bars import CORE_INDEXES
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, SOURCED
from quant_pipeline.overview import boards, breadth, ex_dates, limits, turnover
from quant_pipeline.overview.parts import (
    Boards,
    Day,
    ExDates,
    Filled,
    Halts,
    Health,
    Hit,
    Hot,
    HotQuote,
    Indexes,
    IndexQuote,
    Lacking,
    Limits,
    Listings,
    NotScreened,
    Quote,
    ScreenHits,
    Turnover,
)
from quant_pipeline.overview.stored import Stored
from quant_pipeline.strategies.registry import registered
from quant_pipeline.switches import screens_on
from quant_pipeline.sync.insight.status import status_of
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.screenings import Compared

_LOOK_BACK = 60
"""Sessions in which rows of upper limits are counted."""
_HOT_SHOWN = 20


class NotStored(ValueError):
    """There is no bar of that session; `command` brings them."""

    def __init__(self, session: dt.date) -> None:
        self.session = session
        self.command = f"quant-pipeline run --date {session}"
        super().__init__(told("no bar of {session} is stored: {command}", session=session, command=self.command))


def day_of(database: Database, calendar: Calendar, session: dt.date, *, off: Collection[str] = ()) -> Day:
    """The session at a glance. `off`: data sets that are switched off. NotStored where there is no bar of it."""
    return _Maker(Stored(database, session), calendar, frozenset(off)).made()


@dataclass
class _Maker:
    stored: Stored
    calendar: Calendar
    off: frozenset[str]

    @property
    def session(self) -> dt.date:
        return self.stored.session

    @cached_property
    def bars(self) -> pl.DataFrame:
        return breadth.changed(self.stored.bars())

    @cached_property
    def names(self) -> pl.DataFrame:
        return self.stored.names()

    @cached_property
    def name_of(self) -> dict[str, str]:
        return dict(self.names.select("ts_code", "name").iter_rows())

    @cached_property
    def quotes(self) -> dict[str, Quote]:
        rows = self.bars.select("ts_code", "close", "pct_chg", "amount").iter_rows()
        return {code: Quote(code, self.name_of.get(code, ""), close, pct, amount) for code, close, pct, amount in rows}

    def quote(self, ts_code: str, name: str | None = None) -> Quote:
        return self.quotes.get(ts_code) or Quote(ts_code, self.name_of.get(ts_code, name or ""))

    def made(self) -> Day:
        if self.bars.is_empty():
            raise NotStored(self.session)
        before, after = self.stored.neighbours()
        roster = Roster.load(self.stored.database, DAILY_KLINE, self.calendar, self.session, self.session)
        due = len(roster.codes(self.session))
        return Day(
            session=self.session,
            before=before,
            after=after,
            codes=self.bars.height,
            due=due or None,
            missing=roster.missing(self.session, self.bars["ts_code"]),
            indexes=self.indexes(),
            breadth=breadth.breadth(self.bars),
            turnover=self.turnover(),
            limits=self.limits(),
            boards=self.boards(),
            hot=self.hot(),
            screens=self.screens(),
            halts=self.halts(),
            listings=self.listings(),
            ex_dates=self.ex_dates(),
            health=self.health(),
        )

    def indexes(self) -> Indexes | Lacking:
        rows = self.stored.indexes()
        if rows.is_empty():
            return self.lacking("index_daily")
        order = {code: place for place, code in enumerate(CORE_INDEXES)}
        quotes = [IndexQuote(**row) for row in rows.iter_rows(named=True)]
        return Indexes(sorted(quotes, key=lambda each: (order.get(each.ts_code, len(order)), each.ts_code)))

    def turnover(self) -> Turnover | Lacking:
        sessions = self.calendar.window(self.session, turnover.SESSIONS + 1)
        return turnover.turnover(self.stored.turnover(sessions), sessions)

    def limits(self) -> Limits:
        today = self._limited(self.bars, self.stored.limits())
        up = today.filter("at_up")["ts_code"].to_list()
        start = self.calendar.window(self.session, _LOOK_BACK)[0]
        history = self._limited(self.stored.history(up, start), self.stored.limits(start, up)) if up else today.clear()
        lives = self.names.select("ts_code", "list_date")
        return limits.limits(today, history.join(lives, on="ts_code", how="left"), self.quotes)

    def _limited(self, bars: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
        without = bars.join(stored, on=["ts_code", "trade_date"], how="anti")["ts_code"].unique().to_list()
        names = self.stored.name_history(without)
        return limits.limited(limits.with_limits(bars, stored, self.names, names, self.calendar))

    def boards(self) -> Boards | Lacking:
        members = self.stored.members()
        return boards.boards(members, self.bars, self.quotes) if members.height else self.lacking("ths_members")

    def hot(self) -> Hot | Lacking:
        rows = self.stored.hot()
        if rows.is_empty():
            return self.lacking("ths_hot")
        quotes = [
            HotQuote(row["rank"], self.quote(row["ts_code"], row["ts_name"]), _tags(row["concept"]))
            for row in rows.head(_HOT_SHOWN).iter_rows(named=True)
        ]
        return Hot(rows["data_type"][0], rows["rank_time"][0], quotes)

    def screens(self) -> list[ScreenHits | NotScreened]:
        former = self.calendar.shift(self.session, -1)
        sessions = [former, self.session]
        screened = self.stored.screened(sessions)
        hits = self.stored.hits(sessions).partition_by("screen", "trade_date", as_dict=True)
        strategies = registered().strategies
        names = {name: strategies[name].zh for name in screens_on()}
        names |= {
            screen: strategies[screen].zh if screen in strategies else screen
            for screen, session in screened
            if screen not in names and session == self.session
        }
        return [self._screen(screen, zh, former, screened, hits) for screen, zh in names.items()]

    def _screen(
        self,
        screen: str,
        zh: str,
        former: dt.date,
        screened: Collection[tuple[str, dt.date]],
        hits: Mapping[tuple[object, ...], pl.DataFrame],
    ) -> ScreenHits | NotScreened:
        if (screen, self.session) not in screened:
            command = f"quant-pipeline run --date {self.session}"
            return NotScreened(screen, "当日未运行选股 The screen did not run for the session", command, zh)
        nothing = next(iter(hits.values())).clear() if hits else pl.DataFrame(schema={"ts_code": pl.String, "name": pl.String})
        today, before = (hits.get((screen, session), nothing) for session in (self.session, former))
        named = dict(before.select("ts_code", "name").iter_rows()) if (screen, former) in screened else None
        compared = None if named is None else Compared.of(today["ts_code"], named)
        return ScreenHits(
            screen,
            zh,
            [
                Hit(self.quote(code, name), code in compared.new if compared else None)
                for code, name in today.select("ts_code", "name").iter_rows()
            ],
            [self.quote(code, name) for code, name in compared.gone.items()] if compared else [],
            former if compared else None,
        )

    def halts(self) -> Halts | Lacking:
        rows = self.stored.halts()
        if rows.is_empty() and "suspensions" not in self.synced:
            return self.lacking("suspensions")
        halted = rows.filter(pl.col("suspend_type") == "S")
        whole = halted.filter(pl.col("suspend_timing").is_null())
        intraday = halted.filter(pl.col("suspend_timing").is_not_null())
        return Halts(
            [self.quote(code) for code in whole["ts_code"]],
            [(self.quote(code), timing) for code, timing in intraday.select("ts_code", "suspend_timing").iter_rows()],
            [self.quote(code) for code in rows.filter(pl.col("suspend_type") == "R")["ts_code"]],
        )

    def listings(self) -> Listings | Lacking:
        if self.names.is_empty():
            return self.lacking("stock_list")
        return Listings([self.quote(code) for code in self.names.filter(pl.col("list_date") == self.session)["ts_code"].sort()])

    def ex_dates(self) -> ExDates | Lacking:
        if "adj_factor" not in self.filled:
            return self.lacking("adj_factor")
        return ex_dates.ex_dates(self.stored.factors(), self.quotes, self.name_of)

    @cached_property
    def synced(self) -> frozenset[str]:
        return self.stored.synced()

    @cached_property
    def filled(self) -> dict[str, Filled]:
        rows: dict[str, list[tuple[str, int]]] = {}
        for dataset, source, count in self.stored.filled().sort("rows", descending=True).iter_rows():
            rows.setdefault(dataset, []).append((source, count))
        return {
            name: Filled(name, dataset.zh, sum(count for _, count in rows[name]), rows[name])
            for name, dataset in SOURCED.items()
            if name in rows
        }

    def health(self) -> Health:
        status = status_of(self.stored.database, self.calendar, off=self.off)
        return Health(
            late=[each for each in status.datasets if each.stale],
            failed=[each for each in status.datasets if each.failed],
            filled=list(self.filled.values()),
            switched_off=self.off,
        )

    def lacking(self, dataset: str) -> Lacking:
        """The data set is not stored for the session."""
        spec = SOURCED[dataset]
        if dataset in self.off:
            return Lacking(dataset, f"{spec.zh} {dataset} 已停用，见 QUANT_WITHOUT (switched off)")
        window = f" --start {self.session} --end {self.session}" if spec.dated else ""
        return Lacking(
            dataset, f"{spec.zh} {dataset} 尚未同步 is not stored", f"quant-pipeline sync --datasets {dataset}{window}"
        )


def _tags(concept: str | None) -> str:
    """THS's tags, which Tushare hands on as a list in JSON."""
    if not concept:
        return ""
    try:
        tags = json.loads(concept)
    except ValueError:
        return concept
    return " · ".join(map(str, tags)) if isinstance(tags, list) else str(tags)
