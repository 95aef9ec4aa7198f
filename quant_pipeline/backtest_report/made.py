"""Makes the report of a stored backtest out of its tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from quant_pipeline.backtest import archive
from quant_pipeline.backtest.archive import Run
from quant_pipeline.backtest.reasons import Reason, Side, Status
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.backtest_report.parts import Cost, Report, Trade, Unfilled, Year
from quant_pipeline.charts.equity import equity_figure, trade_figure
from quant_pipeline.charts.interactive import Figure
from quant_pipeline.language import speaking
from quant_pipeline.market.datasets import DAILY_KLINE, ETF_DAILY, STOCK_LIST
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

_LISTED: Final = 10
"""Trades at each end."""
_DRAWN: Final = 3
"""Of them with a K-line."""
_BEFORE, _AFTER = dt.timedelta(days=30), dt.timedelta(days=15)
_MOST_BARS: Final = 260
_COSTS: Final = {
    "commission": ("佣金", "Commission"),
    "stamp_duty": ("印花税", "Stamp duty"),
    "transfer_fee": ("过户费", "Transfer fee"),
    "handling_fee": ("经手费", "Handling fee"),
    "regulatory_fee": ("证管费", "Regulatory fee"),
    "dividend_tax": ("红利税", "Dividend tax"),
}
_TRADE: Final = {"buy": "买入 Buy", "sell": "卖出 Sell", "write_off": "退市核销 Written off"}


def report_of(database: Database, number: str) -> Report | None:
    """None where no backtest is stored under that number."""
    found = archive.some(database, [number])
    if not found:
        return None
    run = found[0]
    equity, trades = archive.equity(database, number), archive.trades(database, number)
    days = equity["trade_date"].to_list()
    sales = _sales(database, trades, days)
    strategy = registered().strategies.get(run.name)
    return Report(
        run=run,
        zh=strategy.zh if strategy else run.name,
        parameters=_called(strategy.Parameters if strategy else None, run.parameters),
        account=_called(Settings, _changed(run.settings)),
        equity=equity_figure(equity, run.figures["capital"], run.figures["benchmark"]),
        years=years_of(equity, trades, run.figures["capital"]),
        costs=_costs(run),
        unfilled=_unfilled(archive.unfilled(database, number)),
        best=_with_charts(database, trades, [each for each in sales[:_LISTED] if each.profit > 0]),
        worst=_with_charts(database, trades, [each for each in sales[: -_LISTED - 1 : -1] if each.profit <= 0]),
    )


def _called(model: type[BaseModel] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the Chinese words of their descriptions."""
    fields = model.model_fields if model else {}
    words = {name: (field.description or "").rpartition(" ")[2] for name, field in fields.items()}
    return {words.get(name) or name: value for name, value in values.items()}


def _changed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the default, and the capital."""
    defaults = {name: _plain(field.default) for name, field in Settings.model_fields.items()}
    return {name: value for name, value in settings.items() if name == "capital" or value != defaults.get(name)}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def years_of(equity: pl.DataFrame, trades: pl.DataFrame, capital: float) -> list[Year]:
    """The newest first. `equity`: trade_date, equity, benchmark · `trades`: trade_date, kind, profit, costs."""
    by_month = (
        equity.group_by(year=pl.col("trade_date").dt.year(), month=pl.col("trade_date").dt.month())
        .agg(pl.col("equity").last(), pl.col("benchmark").drop_nulls().last())
        .sort("year", "month")
    )
    by_month = by_month.with_columns(result=pl.col("equity") / pl.col("equity").shift(1, fill_value=capital) - 1)
    sold = trades.filter(pl.col("kind").is_in(["sell", "write_off"]))
    years, before, index = [], capital, _first(equity["benchmark"])
    for year in by_month["year"].unique().sort():
        months = by_month.filter(year=year)
        inside = equity.filter(pl.col("trade_date").dt.year() == year)
        results = dict(months.select("month", "result").iter_rows())
        last, last_index = float(months["equity"][-1]), months["benchmark"][-1]
        total = inside["equity"]
        peaks = pl.concat([pl.Series("equity", [before]), total]).cum_max()[1:]
        mine = sold.filter(pl.col("trade_date").dt.year() == year)
        years.append(
            Year(
                year=int(year),
                months=[results.get(month) for month in range(1, 13)],
                total=last / before - 1,
                benchmark=None if index is None or last_index is None else float(last_index / index - 1),
                drawdown=float((total / peaks - 1).min()),  # type: ignore[arg-type]
                sales=mine.height,
                won=int((mine["profit"] > 0).sum()),
                costs=float(trades.filter(pl.col("trade_date").dt.year() == year)["costs"].sum()),
            )
        )
        before, index = last, index if last_index is None else float(last_index)
    return years[::-1]


def _first(closes: pl.Series) -> float | None:
    known = closes.drop_nulls()
    return float(known[0]) if known.len() else None


def _costs(run: Run) -> list[Cost]:
    """The largest first; those that never arose are left out."""
    costs: Mapping[str, float] = run.figures["costs"]
    total = sum(costs.values())
    return [
        Cost(*_COSTS[name], amount, amount / total)
        for name, amount in sorted(costs.items(), key=lambda pair: -pair[1])
        if amount
    ]


def _unfilled(rows: Sequence[Mapping[str, Any]]) -> list[Unfilled]:
    found = []
    for row in rows:
        side, status, reason = (
            kind[row[name].upper()] for kind, name in ((Side, "side"), (Status, "status"), (Reason, "reason"))
        )
        with speaking("en"):
            english = f"{side.words}, {status.words}: {reason.words}".rstrip(": ")
        with speaking("zh"):
            found.append(Unfilled(side.words, status.words, reason.words, english, row["orders"]))
    return found


def _sales(database: Database, trades: pl.DataFrame, days: Sequence[dt.date]) -> list[Trade]:
    """Every sale and write-off, the most profitable first."""
    place = {day: number for number, day in enumerate(days)}
    sold = trades.filter(pl.col("kind").is_in(["sell", "write_off"])).sort("profit", "trade_no", descending=[True, False])
    codes = sold["ts_code"].unique().to_list()
    names = dict(read(database, STOCK_LIST, codes=codes, columns=["ts_code", "name"]).drop_nulls().iter_rows())
    found = []
    for row in sold.iter_rows(named=True):
        cost = row["value"] - row["costs"] - row["profit"]
        found.append(
            Trade(
                ts_code=row["ts_code"],
                name=names.get(row["ts_code"], ""),
                opened=days[max(place[row["trade_date"]] - row["sessions_held"], 0)],
                closed=row["trade_date"],
                written_off=row["kind"] == "write_off",
                shares=row["shares"],
                price=row["price"],
                profit=row["profit"],
                result=row["profit"] / cost if cost > 0 else None,
                sessions=row["sessions_held"],
            )
        )
    return found


def _with_charts(database: Database, trades: pl.DataFrame, listed: Sequence[Trade]) -> list[Trade]:
    charted = [replace(each, figure=_chart(database, trades, each)) for each in listed[:_DRAWN]]
    return [*charted, *listed[_DRAWN:]]


def _chart(database: Database, trades: pl.DataFrame, trade: Trade) -> Figure | None:
    """Its K-line, unadjusted as it was traded, with every fill of the code in sight."""
    start, end = trade.opened - _BEFORE, trade.closed + _AFTER
    columns = ("trade_date", "open", "high", "low", "close")
    for dataset in (DAILY_KLINE, ETF_DAILY):
        bars = read(database, dataset, start=start, end=end, codes=[trade.ts_code], columns=columns).tail(_MOST_BARS)
        if bars.height:
            break
    else:
        return None
    fills = trades.filter(
        (pl.col("ts_code") == trade.ts_code)
        & pl.col("kind").is_in(list(_TRADE))
        & pl.col("trade_date").is_between(bars["trade_date"][0], bars["trade_date"][-1])
    )
    return trade_figure(
        bars,
        [
            row | {"told": f"{row['trade_date']}<br>{_TRADE[row['kind']]} {row['shares']:,} 股 @ {row['price']:,.2f}"}
            for row in fills.iter_rows(named=True)
        ],
    )
