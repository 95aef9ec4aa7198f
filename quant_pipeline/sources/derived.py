"""Rows derived from what the warehouse holds: weekly and monthly bars, factors from the chain of closes, limits by the rules.

The last source in priority: it asks nobody, so weekly and monthly never fail while daily bars come, and the running week
and month exist. What daily bars do not say it does not give.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, PRICE_LIMITS, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

_EVERYTHING = 10_000_000
_TICK = 0.01
_RESTS_ON = {PRICE_LIMITS.name: (DAILY_KLINE, ADJ_FACTOR), ADJ_FACTOR.name: (DAILY_KLINE,)}
"""What makes a session's rows, of the session itself: one of these will do."""
_PRICE_DIGITS, _PERCENT_DIGITS, _FACTOR_DIGITS = 2, 4, 6
_ABSENT = """
SELECT session AS trade_date FROM unnest(%(sessions)s::date[]) AS session
WHERE NOT EXISTS (SELECT FROM {table} WHERE trade_date = session) ORDER BY session
"""
_FORMER_CLOSES = """
SELECT code AS ts_code, former.close FROM unnest(%(codes)s::text[]) AS code CROSS JOIN LATERAL (
    SELECT close FROM daily_kline WHERE ts_code = code AND trade_date < %(start)s ORDER BY trade_date DESC LIMIT 1
) AS former
"""
# Per code that traded in the session or had a factor in the one before: its bar, the last bar before it, the factor of
# that bar's day, and the last factor known. `factored` spares codes without any factor the search through all sessions.
_CHAIN = """
WITH bar AS (SELECT ts_code, pre_close FROM daily_kline WHERE trade_date = %(session)s),
code AS (
    SELECT ts_code, EXISTS (SELECT FROM adj_factor AS each WHERE each.ts_code = asked.ts_code) AS factored
    FROM (SELECT ts_code FROM bar UNION SELECT ts_code FROM adj_factor WHERE trade_date = %(before)s) AS asked
)
SELECT
    code.ts_code, bar.ts_code IS NOT NULL AS traded, bar.pre_close, former.trade_date AS former_session,
    former.close AS former_close, then_known.adj_factor AS former_factor, known.adj_factor, listing.list_date
FROM code
LEFT JOIN bar ON bar.ts_code = code.ts_code
LEFT JOIN stock_list AS listing ON listing.ts_code = code.ts_code
LEFT JOIN LATERAL (
    SELECT trade_date, close FROM daily_kline AS each
    WHERE bar.ts_code IS NOT NULL AND each.ts_code = code.ts_code AND each.trade_date < %(session)s
    ORDER BY trade_date DESC LIMIT 1
) AS former ON true
LEFT JOIN LATERAL (
    SELECT adj_factor FROM adj_factor AS each
    WHERE code.factored AND each.ts_code = code.ts_code AND each.trade_date <= former.trade_date
    ORDER BY trade_date DESC LIMIT 1
) AS then_known ON true
LEFT JOIN LATERAL (
    SELECT adj_factor FROM adj_factor AS each
    WHERE code.factored AND each.ts_code = code.ts_code AND each.trade_date < %(session)s
    ORDER BY trade_date DESC LIMIT 1
) AS known ON true
WHERE listing.delist_date IS NULL OR listing.delist_date > %(session)s
"""


class DerivedSource(Source):
    """The warehouse itself as a source, over the daily bars and factors that it holds."""

    name = "derived"
    shares = False
    local = True
    default_priority = 9
    default_policies: ClassVar = {"*": RatePolicy(per_minute=None, per_second=None, concurrency=2, retries=0, timeout=300)}

    def __init__(self, database: Database, calendar: Calendar, limiter: Limiter, policies: Policies) -> None:
        super().__init__(calendar, limiter, policies)
        self._database = database

    @classmethod
    def build(cls, settings: SourceSettings, context: Context) -> DerivedSource:
        del settings
        return cls(context.database, context.calendar, context.limiter, context.policies)

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(
            FailureClass.RETRYABLE, self.name, api, told("the warehouse did not answer: {error}", error=in_words(error))
        )

    @serves(WEEKLY_KLINE, by=(Grain.SESSION, Grain.CODE), api="daily_kline", page=_EVERYTHING, running=True)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.call("daily_kline", lambda: self._periods(WEEKLY_KLINE, unit), tally)

    @serves(MONTHLY_KLINE, by=(Grain.SESSION, Grain.CODE), api="daily_kline", page=_EVERYTHING, running=True)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.call("daily_kline", lambda: self._periods(MONTHLY_KLINE, unit), tally)

    @serves(ADJ_FACTOR, by=(Grain.SESSION,), api="close_chain", page=_EVERYTHING)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.call("close_chain", lambda: self._factors(unit.start), tally)

    @serves(PRICE_LIMITS, by=(Grain.SESSION,), api="trading_rules", page=_EVERYTHING)
    def price_limits(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self.call("trading_rules", lambda: self._limits(unit.start), tally)

    def _limits(self, session: dt.date) -> pl.DataFrame:
        from quant_pipeline.sources import limits_by_rules  # with numpy, which commands that only look do without

        known = read_sql(self._database, limits_by_rules.KNOWN, {"session": session}, timeout=self._timeout("trading_rules"))
        rows = limits_by_rules.counted(known, session, self._calendar)
        if rows.is_empty():
            text = told(
                "there is nothing to count limits from: sync {lists}, and the session's {bars} or {factors}, first",
                lists=STOCK_LIST.name,
                bars=DAILY_KLINE.name,
                factors=ADJ_FACTOR.name,
            )
            raise SourceError(FailureClass.EMPTY, self.name, "trading_rules", text)
        return rows

    def _periods(self, dataset: Dataset, unit: Unit) -> pl.DataFrame:
        labels = self._labels(dataset, unit)
        if not labels:
            return pl.DataFrame(schema={column.name: column.type.polars for column in dataset.columns})
        lost = self._without_bars(labels)
        if unit.grain is Grain.SESSION or lost == set(labels.values()):
            self._demand(DAILY_KLINE, "daily_kline", list(labels))
        labels = {session: label for session, label in labels.items() if label not in lost}
        codes = None if unit.ts_code is None else [unit.ts_code]
        bars = read(
            self._database, DAILY_KLINE, start=min(labels), end=max(labels), codes=codes, timeout=self._timeout("daily_kline")
        )
        former = self._former_closes(bars, min(labels))
        return aggregated(bars, labels, former)

    def reaches(self, dataset: Dataset, unit: Unit) -> bool:
        """Of the session that goes on there is what its own bars (for limits: bars or factors) say, once they are stored."""
        if dataset.name in _RESTS_ON and unit.end > self._calendar.latest():
            api = self.servings[dataset.name].api
            return any(not self._absent(each, api, [unit.end]) for each in _RESTS_ON[dataset.name])
        return super().reaches(dataset, unit)

    def gives_not(self, dataset: Dataset, unit: Unit) -> frozenset[dt.date]:
        """The weeks (months) of one code's range of which a session has no daily bars at all."""
        if not dataset.periodic or unit.grain is not Grain.CODE:
            return frozenset()
        return self._without_bars(self._labels(dataset, unit))

    def _without_bars(self, labels: Mapping[dt.date, dt.date]) -> frozenset[dt.date]:
        return frozenset(labels[session] for session in self._absent(DAILY_KLINE, "daily_kline", list(labels)))

    def _labels(self, dataset: Dataset, unit: Unit) -> dict[dt.date, dt.date]:
        """Session -> label of its period, for the sessions of all periods whose label lies in the unit.

        A unit by session names its label itself; one by code has each period that ends in its range, the running one too
        when the range reaches to the latest session.
        """
        if unit.grain is Grain.SESSION:
            return dict.fromkeys(self._calendar.between(_first_day(dataset, unit.start), unit.start), unit.start)
        latest = max(unit.end, self._calendar.latest(ready=dataset.ready))
        end_of = self._calendar.week_end if dataset.partition is Partition.WEEK else self._calendar.month_end
        sessions = self._calendar.between(_first_day(dataset, unit.start), unit.end)
        labels = {session: min(end_of(session), latest) for session in sessions}
        return {session: label for session, label in labels.items() if unit.start <= label <= unit.end}

    def _former_closes(self, bars: pl.DataFrame, start: dt.date) -> pl.DataFrame:
        """ts_code and its last close before `start`, for codes whose first bar does not say it."""
        silent = bars.filter(pl.col("trade_date") == pl.col("trade_date").min().over("ts_code"), pl.col("pre_close").is_null())
        codes = silent["ts_code"].to_list()
        if not codes:
            return pl.DataFrame(schema={"ts_code": pl.String, "close": pl.Float64})
        return read_sql(self._database, _FORMER_CLOSES, {"codes": codes, "start": start}, timeout=self._timeout("daily_kline"))

    def _factors(self, session: dt.date) -> pl.DataFrame:
        before = self._calendar.shift(session, -1)
        self._demand(DAILY_KLINE, "close_chain", [before, session])
        self._demand(ADJ_FACTOR, "close_chain", [before])
        chain = read_sql(self._database, _CHAIN, {"session": session, "before": before}, timeout=self._timeout("close_chain"))
        since = chain["former_session"].min() or before
        assert isinstance(since, dt.date)
        lost = self._absent(DAILY_KLINE, "close_chain", self._calendar.between(since, session))
        return chained(chain, session, lost)

    def _timeout(self, api: str) -> float:
        """The seconds that the server has for a statement of the API."""
        return policy_for(self._policies, self.name, api).timeout

    def _demand(self, dataset: Dataset, api: str, sessions: Sequence[dt.date]) -> None:
        absent = self._absent(dataset, api, sessions)
        if absent:
            named = ", ".join(map(str, absent[:3])) + (", …" if len(absent) > 3 else "")
            text = told(
                "these sessions are not all synced: sync {dataset} first (there are none of {days})",
                dataset=dataset.name,
                days=named,
            )
            raise SourceError(FailureClass.EMPTY, self.name, api, text)

    def _absent(self, dataset: Dataset, api: str, sessions: Sequence[dt.date]) -> list[dt.date]:
        """The sessions of which the data set has no row at all."""
        absent = read_sql(
            self._database, _ABSENT.format(table=dataset.name), {"sessions": list(sessions)}, timeout=self._timeout(api)
        )
        return absent["trade_date"].to_list()


def aggregated(bars: pl.DataFrame, labels: Mapping[dt.date, dt.date], former: pl.DataFrame) -> pl.DataFrame:
    """Weekly or monthly bars out of unadjusted daily ones, in the same columns and units.

    `labels`: session -> label of its period · `former`: ts_code, close before the first of the bars, for codes whose first
    bar has no pre_close. The period's pre_close is its close over the product of the daily close / pre_close: the former
    close, adjusted for the ex-dates within the period. It is null where a daily bar has no pre_close at all.
    """
    spans = pl.DataFrame({"trade_date": labels.keys(), "label": labels.values()})
    close_before = pl.col("close").shift().over("ts_code", order_by="trade_date")
    daily = (
        bars.join(spans, on="trade_date")
        .join(former.select("ts_code", former_close="close"), on="ts_code", how="left")
        .with_columns(pl.coalesce("pre_close", close_before, "former_close").alias("pre_close"))
    )
    ratio = pl.col("close") / pl.col("pre_close")
    periods = (
        daily.sort("ts_code", "trade_date")
        .group_by("ts_code", "label", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.when(ratio.is_not_null().all()).then(ratio.product()).alias("growth"),
            pl.col("vol").sum(),
            pl.when(pl.col("amount").is_not_null().all()).then(pl.col("amount").sum()).alias("amount"),
        )
    )
    change = pl.col("close") - pl.col("pre_close")
    return (
        periods.with_columns((pl.col("close") / pl.col("growth")).round(_PRICE_DIGITS).alias("pre_close"))
        .with_columns(
            change.round(_PRICE_DIGITS).alias("change"),
            ((pl.col("close") / pl.col("pre_close") - 1) * 100).round(_PERCENT_DIGITS).alias("pct_chg"),
        )
        .rename({"label": "trade_date"})
        .select(WEEKLY_KLINE.column_names)
    )


def chained(chain: pl.DataFrame, session: dt.date, lost: Sequence[dt.date]) -> pl.DataFrame:
    """The session's factors: ts_code, trade_date, adj_factor.

    `chain`: per code traded, pre_close, former_session, former_close, former_factor (of that session), adj_factor (the last
    known) and list_date · `lost`: sessions without any bars. The price of the former close in today's terms is
    former_close x former_factor / factor: where that is pre_close (to the rounding of prices) the known factor still holds,
    else the session is an ex-date. A code that did not trade keeps its factor; one in its first session begins with 1. A
    code whose chain is broken (no pre_close, no factor, a lost session since its last bar) has no row.
    """
    factor = pl.col("adj_factor")
    expected = pl.col("former_close") * pl.col("former_factor") / factor
    moved = (pl.col("former_close") * pl.col("former_factor") / pl.col("pre_close")).round(_FACTOR_DIGITS)
    whole = pl.col("former_session") > max(lost, default=dt.date.min)
    carried = (
        pl.when(~pl.col("traded"))
        .then(factor)
        .when(pl.col("former_session").is_null() & factor.is_null() & (pl.col("list_date") == session))
        .then(1.0)
        .when(whole & ((expected - pl.col("pre_close")).abs() < _TICK / 2 + 1e-9))
        .then(factor)
        .when(whole)
        .then(moved)
    )
    rows = chain.select("ts_code", pl.lit(session).alias("trade_date"), carried.alias("adj_factor"))
    return rows.drop_nulls().sort("ts_code")


def _first_day(dataset: Dataset, session: dt.date) -> dt.date:
    """The first day of the session's ISO week or month."""
    if dataset.partition is Partition.WEEK:
        return session - dt.timedelta(days=session.weekday())
    return session.replace(day=1)
