"""AKShare's bars of stocks: three routes of one source, each in units of its own; its factors and its calendar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import polars as pl

from quant_pipeline.market import clock, codes
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, TRADE_CALENDAR, WEEKLY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.units import Grain, Unit

EASTMONEY, TENCENT, SINA = "eastmoney", "tencent", "sina"
_WHOLE = 100_000
_PERIODS = {Partition.SESSION: "daily", Partition.WEEK: "weekly", Partition.MONTH: "monthly"}
_LOT = 100.0
_FACTOR_DIGITS = 6


class AkshareBars(Source):
    """The K-line half of the AKShare source."""

    @abstractmethod
    def ask(self, site: str, function: str, *arguments: str, tally: Tally) -> pl.DataFrame:
        """The answer of a function in the client's process, at the pace of the web site that it asks."""

    def reaches(self, dataset: Dataset, unit: Unit) -> bool:
        """By session only the latest one, when the market has closed: the quotations are of this moment."""
        if dataset is DAILY_KLINE and unit.grain is Grain.SESSION:
            try:
                return unit.start == xshg().latest()
            except CalendarError:
                return False
        return super().reaches(dataset, unit)

    @serves(DAILY_KLINE, by=(Grain.CODE, Grain.SESSION), api=EASTMONEY, page=_WHOLE)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """By code: eastmoney, then tencent, then sina. By session: eastmoney's quotations of the whole market."""
        return self._spot(unit, tally) if unit.grain is Grain.SESSION else self._routed(unit, tally)

    @serves(WEEKLY_KLINE, by=(Grain.CODE,), api=EASTMONEY, page=_WHOLE)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._eastmoney(WEEKLY_KLINE, unit, tally)

    @serves(MONTHLY_KLINE, by=(Grain.CODE,), api=EASTMONEY, page=_WHOLE)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._eastmoney(MONTHLY_KLINE, unit, tally)

    @serves(ADJ_FACTOR, by=(Grain.CODE,), api=SINA, page=_WHOLE)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Sina's steps, spread over the sessions: from the one before the unit on, so that they can be anchored."""
        ts_code = unit.ts_code or ""
        steps = self.ask(SINA, "sina_factors", codes.to_akshare(ts_code, prefixed=True), tally=tally)
        known = steps.select(
            trade_date=pl.col("date").cast(pl.Date), adj_factor=pl.col("hfq_factor").cast(pl.Float64).round(_FACTOR_DIGITS)
        ).sort("trade_date")
        calendar = xshg()
        days = calendar.between(calendar.shift(unit.start, -1), unit.end)
        spread = pl.DataFrame({"trade_date": days}, schema={"trade_date": pl.Date}).join_asof(known, on="trade_date")
        return spread.select(pl.lit(ts_code).alias("ts_code"), "trade_date", "adj_factor")

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

    def _routed(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """From the first route that answers; the last route's failure names those of all."""
        routes: list[Callable[[Unit, Tally], pl.DataFrame]] = [lambda *asked: self._eastmoney(DAILY_KLINE, *asked)]
        if not (unit.ts_code or "").endswith(".BJ"):
            routes += [self._tencent, self._sina]
        failures: list[SourceError] = []
        for route in routes:
            try:
                return route(unit, tally)
            except SourceError as error:
                failures.append(error)
        said = "; ".join(f"{error.api}: {error.text}" for error in failures)
        last = failures[0]
        raise SourceError(last.failure, self.name, last.api, said, wait=last.wait)

    def _eastmoney(self, dataset: Dataset, unit: Unit, tally: Tally) -> pl.DataFrame:
        ts_code = unit.ts_code or ""
        start, end = unit.start, unit.end
        asked = (codes.to_akshare(ts_code), _PERIODS[dataset.partition], f"{start:%Y%m%d}", f"{end:%Y%m%d}")
        bars = self.ask(EASTMONEY, "eastmoney_bars", *asked, tally=tally)
        if not bars.columns:
            return pl.DataFrame(schema=dict.fromkeys(dataset.column_names, pl.String()))
        pre_close = (pl.col("收盘") - pl.col("涨跌额")).round(2)
        rows = bars.select(
            ts_code=pl.lit(ts_code),
            trade_date=pl.col("日期").cast(pl.Date),
            open="开盘",
            high="最高",
            low="最低",
            close="收盘",
            pre_close=pre_close,
            change="涨跌额",
            pct_chg=((pl.col("收盘") / pre_close - 1) * 100).round(4),  # eastmoney's has two decimals only
            vol=pl.col("成交量").cast(pl.Float64),
            amount=pl.col("成交额") / 1000,
        )
        return rows if dataset is DAILY_KLINE else _relabelled(dataset, rows)

    def _tencent(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        asked = (codes.to_akshare(unit.ts_code or "", prefixed=True), unit.start.isoformat(), unit.end.isoformat())
        return _plain(unit, self.ask(TENCENT, "tencent_bars", *asked, tally=tally))

    def _sina(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        asked = (codes.to_akshare(unit.ts_code or "", prefixed=True), f"{unit.start:%Y%m%d}", f"{unit.end:%Y%m%d}")
        return _plain(unit, self.ask(SINA, "sina_bars", *asked, tally=tally))

    def _spot(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        quotes = self.ask(EASTMONEY, "spot", tally=tally)
        pre_close = pl.col("昨收").cast(pl.Float64, strict=False)
        close = pl.col("最新价").cast(pl.Float64, strict=False)
        priced = {"open": "今开", "high": "最高", "low": "最低"}
        return (
            quotes.select(
                ts_code=codes.to_tushare(pl.col("代码")),
                trade_date=pl.lit(unit.start),
                **{name: pl.col(theirs).cast(pl.Float64, strict=False) for name, theirs in priced.items()},
                close=close,
                pre_close=pre_close,
                change=(close - pre_close).round(2),
                pct_chg=((close / pre_close - 1) * 100).round(4),
                vol=pl.col("成交量").cast(pl.Float64, strict=False),
                amount=pl.col("成交额").cast(pl.Float64, strict=False) / 1000,
            )
            .filter(pl.col("open").is_not_null() & (pl.col("vol") > 0))  # a suspended one has no bar
            .select(DAILY_KLINE.column_names)
        )


def _plain(unit: Unit, bars: pl.DataFrame) -> pl.DataFrame:
    """Bars of a route that gives no pre_close: volume in 股 or 手, as amount / (close x volume) tells row by row."""
    if not bars.columns or bars.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(DAILY_KLINE.column_names, pl.String()))
    money = pl.col("amount") / (pl.col("close") * pl.col("volume"))
    lots_of = (money.log(_LOT)).round()  # 0 in 股, 1 in 手, -1 where the client multiplied 股 by 100
    lots = pl.col("volume") * pl.lit(_LOT).pow(lots_of - 1)
    absent = {name: pl.lit(None, pl.Float64) for name in ("pre_close", "change", "pct_chg")}
    return bars.select(
        ts_code=pl.lit(unit.ts_code),
        trade_date=pl.col("date").cast(pl.Date),
        open="open",
        high="high",
        low="low",
        close="close",
        vol=lots.round(),
        amount=pl.col("amount") / 1000,
        **absent,
    ).select(DAILY_KLINE.column_names)


def _relabelled(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """The bars under the last session of their week or month; the running period is left out."""
    calendar, today = xshg(), clock.today()
    end = calendar.week_end if dataset.partition is Partition.WEEK else calendar.month_end
    labels = {day: end(calendar.on_or_before(day)) for day in rows["trade_date"].unique().to_list()}
    named = rows.with_columns(pl.col("trade_date").replace_strict(labels, return_dtype=pl.Date))
    return named.filter(pl.col("trade_date") <= today)
