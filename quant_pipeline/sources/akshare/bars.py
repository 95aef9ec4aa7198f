"""AKShare's bars of stocks: three routes of one source, each in units of its own; its factors and its calendar."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress

import polars as pl

from quant_pipeline.market import clock, codes
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, TRADE_CALENDAR, WEEKLY_KLINE
from quant_pipeline.sources.akshare import kline
from quant_pipeline.sources.akshare.lists import EASTMONEY, EXCHANGES
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.units import Grain, Unit

TENCENT, SINA = "tencent", "sina"
_WHOLE = 100_000
_BARS_AND_FACTORS = 2
"""Questions for one code: without the factors nobody knows its ex-dates, without the bars nobody knows when it began."""
_PERIODS = {Partition.SESSION: "daily", Partition.WEEK: "weekly", Partition.MONTH: "monthly"}
_LOOK_BACK = dt.timedelta(days=90)
"""How far before a unit its bars are asked for: the first one's pre_close is in the bar before."""
_SWEEP = 240.0
"""Seconds that the client takes longer than for one answer to turn the 60 pages of the whole market, pausing at each."""

Route = Callable[[Unit, Tally], "pl.DataFrame"]


class AkshareBars(Source):
    """The K-line half of the AKShare source."""

    @abstractmethod
    def ask(self, site: str, function: str, *arguments: str, tally: Tally, longer: float = 0.0) -> pl.DataFrame:
        """The answer of a function in the client's process, at the pace of the web site that it asks.

        `longer`: seconds that are allowed on top of the site's time-out.
        """

    def reaches(self, dataset: Dataset, unit: Unit) -> bool:
        """By session only the latest one, and only while no later one has begun: the quotations are of this moment."""
        if dataset is DAILY_KLINE and unit.grain is Grain.SESSION:
            try:
                return unit.start == self._calendar.latest() == self._calendar.on_or_before(clock.today())
            except CalendarError:
                return False
        return super().reaches(dataset, unit)

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        """Sina has no factors of the BSE; eastmoney's bars of B shares are asked for in the wrong market by the client."""
        if dataset is ADJ_FACTOR:
            return not _on_main_exchanges(ts_code)
        return dataset in (DAILY_KLINE, WEEKLY_KLINE, MONTHLY_KLINE) and codes.board(ts_code) is codes.Board.B_SHARE

    @serves(DAILY_KLINE, by=(Grain.CODE, Grain.SESSION), api=EASTMONEY, page=_WHOLE, asks=_BARS_AND_FACTORS, session_calls=1)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """By code: eastmoney, then tencent, then sina. By session: eastmoney's quotations of the whole market."""
        if unit.grain is Grain.SESSION:
            return kline.from_quotations(unit, self.ask(EASTMONEY, "spot", tally=tally, longer=_SWEEP))
        routes: list[Route] = [lambda *asked: self._eastmoney(DAILY_KLINE, *asked)]
        if _on_main_exchanges(unit.ts_code or ""):
            routes += [self._tencent, self._sina]
        return _within(unit, self._completed(unit, self._routed(routes, unit, tally), tally))

    @serves(WEEKLY_KLINE, by=(Grain.CODE,), api=EASTMONEY, page=_WHOLE, asks=_BARS_AND_FACTORS)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._period(WEEKLY_KLINE, unit, tally)

    @serves(MONTHLY_KLINE, by=(Grain.CODE,), api=EASTMONEY, page=_WHOLE, asks=_BARS_AND_FACTORS)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._period(MONTHLY_KLINE, unit, tally)

    @serves(ADJ_FACTOR, by=(Grain.CODE,), api=SINA, page=_WHOLE, asks=_BARS_AND_FACTORS)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Sina's steps, spread over the sessions from the one before the unit on, for as long as the code is listed."""
        factors = kline.spread(self._steps(unit, tally), unit, self._calendar)
        days = self.ask(SINA, "sina_bars", _symbol(unit), tally=tally)["date"].cast(pl.Date)
        first, last = days.min(), days.max()
        listed = factors.filter(pl.col("trade_date") >= first)
        if factors["trade_date"][-1] == last or self._is_listed(unit, tally):
            return listed
        return listed.filter(pl.col("trade_date") <= last)

    @serves(TRADE_CALENDAR, by=(Grain.SNAPSHOT,), api=SINA, page=_WHOLE)
    def trade_calendar(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Sina knows sessions only: the days between them are closed. It ends with its last session."""
        del unit
        opened = self.ask(SINA, "sessions", tally=tally).select(pl.col("trade_date").cast(pl.Date)).unique().sort("trade_date")
        days = opened.select(cal_date=pl.date_range(pl.col("trade_date").min(), pl.col("trade_date").max()))
        before = opened.select("trade_date", pretrade_date=pl.col("trade_date"))
        return days.join_asof(
            before, left_on="cal_date", right_on="trade_date", strategy="backward", allow_exact_matches=False
        ).select(
            pl.lit("SSE").alias("exchange"),
            "cal_date",
            pl.col("cal_date").is_in(opened["trade_date"].implode()).cast(pl.Int64).alias("is_open"),
            "pretrade_date",
        )

    def _period(self, dataset: Dataset, unit: Unit, tally: Tally) -> pl.DataFrame:
        bars = self._completed(unit, self._eastmoney(dataset, unit, tally), tally)
        return _within(unit, kline.relabelled(dataset, bars, self._calendar))

    def _routed(self, routes: list[Route], unit: Unit, tally: Tally) -> pl.DataFrame:
        """The bars of the first route that has any in the unit; none where the routes that answer have none.

        Where no route answers, the last one's failure names all.
        """
        failures: list[SourceError] = []
        for route in routes:
            try:
                bars = route(unit, tally)
            except SourceError as error:
                failures.append(error)
                continue
            if not _within(unit, bars).is_empty():
                return bars
        if len(failures) < len(routes):
            return pl.DataFrame(schema=kline.raw_schema())
        last = failures[-1]
        said = "; ".join(f"{error.api}: {error.text}" for error in failures)
        wait = min(error.wait for error in failures if error.failure is last.failure)
        raise SourceError(last.failure, self.name, last.api, said, wait=wait)

    def _completed(self, unit: Unit, bars: pl.DataFrame, tally: Tally) -> pl.DataFrame:
        """With the closes before them adjusted, where sina gives the factors' steps."""
        steps: pl.DataFrame | None = None
        if bars.height and _on_main_exchanges(unit.ts_code or ""):
            with suppress(SourceError):  # bars without a pre_close are worth more than no bars
                steps = self._steps(unit, tally)
        return kline.completed(unit, bars, steps)

    def _steps(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return kline.steps_of(self.ask(SINA, "sina_factors", _symbol(unit), tally=tally))

    def _is_listed(self, unit: Unit, tally: Tally) -> bool:
        """Whether a code that did not trade in the end is suspended, not gone."""
        digits = codes.to_akshare(unit.ts_code or "")
        return digits in self.ask(EXCHANGES, "stock_list", tally=tally)["code"]

    def _eastmoney(self, dataset: Dataset, unit: Unit, tally: Tally) -> pl.DataFrame:
        since, until = f"{unit.start - _LOOK_BACK:%Y%m%d}", f"{unit.end:%Y%m%d}"
        asked = (codes.to_akshare(unit.ts_code or ""), _PERIODS[dataset.partition], since, until)
        return kline.from_eastmoney(self.ask(EASTMONEY, "eastmoney_bars", *asked, tally=tally))

    def _tencent(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        asked = (_symbol(unit), (unit.start - _LOOK_BACK).isoformat(), unit.end.isoformat())
        return kline.from_plain(self.ask(TENCENT, "tencent_bars", *asked, tally=tally))

    def _sina(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return kline.from_plain(self.ask(SINA, "sina_bars", _symbol(unit), tally=tally))


def _symbol(unit: Unit) -> str:
    return codes.to_akshare(unit.ts_code or "", prefixed=True)


def _on_main_exchanges(ts_code: str) -> bool:
    """Whether tencent and sina know the code: they have Shanghai and Shenzhen."""
    return not ts_code.endswith(".BJ")


def _within(unit: Unit, bars: pl.DataFrame) -> pl.DataFrame:
    return bars.filter(pl.col("trade_date").is_between(unit.start, unit.end))
