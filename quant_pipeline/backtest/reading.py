"""What a backtest reads: bars, limits, factors, dividends, names, the benchmark, and the panel that its strategy looks at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from quant_pipeline.backtest.counted_limits import counted_limits
from quant_pipeline.backtest.gaps import gaps_of_bars, gaps_of_benchmark
from quant_pipeline.backtest.layout import Exchange
from quant_pipeline.backtest.market_data import Market, Steps, factors_of, market_of, steps_of, with_limits, without_limits
from quant_pipeline.backtest.panel import Read, panel_of
from quant_pipeline.backtest.settings import BacktestError, Fill, Settings
from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CB_DAILY,
    CONVERTIBLE_BONDS,
    DAILY_KLINE,
    DATASETS,
    ETF_ADJ,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
)
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.strategies.panel import IN_UNIVERSE
from quant_pipeline.warehouse.lake import Snapshot

_BARS = ("open", "close", "pre_close", "vol")
_OF_VWAP = ("high", "low", "amount")
_SPAN = "SELECT min(trade_date) AS first, max(trade_date) AS last FROM daily_kline"
_CARRIED_OUT = "实施"
_EXTRA = 30
"""Sessions read before the warm-up, for codes that were halted in it."""


@dataclass(frozen=True)
class Loaded:
    """Everything that backtests over one range have in common, whatever their parameters.

    `first`, `last`: numbers of the range's sessions; the market begins earlier, for the warm-up. `panel`: what strategies look
    at. `notes`: what a reader should know of the data. `exchanges`: the rules over this market that were made already: the
    points of a grid mostly share their account.
    """

    market: Market
    steps: Steps
    delisted: Mapping[str, dt.date]
    names: pl.DataFrame
    benchmark: pl.DataFrame
    panel: pl.DataFrame
    first: int
    last: int
    notes: tuple[str, ...]
    exchanges: dict[Settings, Exchange] = field(default_factory=dict, compare=False)

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        return self.market.sessions[self.first : self.last + 1]


def load(
    stored: Snapshot,
    calendar: Calendar,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    lookback: int = 0,
    needs: Mapping[str, Sequence[str]] | None = None,
    codes: Sequence[str] | None = None,
    benchmark: str = "",
    members: pl.DataFrame | None = None,
    fills: Collection[Fill] = tuple(Fill),
) -> Loaded:
    """Reads the range (default: all that is stored) for these codes (default: every A share), with `lookback` bars before it.

    `needs`: what the strategy looks at, as `strategies.panel.together` gives it; None: no panel · `members`: trade_date,
    ts_code: from each such day on only these may be bought · `fills`: at which prices its backtests may trade; what none of
    them looks at is not read. BacktestError, in words, for a range without sessions, one before the data, one of which
    most sessions have no bars, or codes without bars.
    """
    sessions = sessions_of(stored, calendar, start, end)
    since = calendar.shift(sessions[0], -(lookback + _EXTRA) if lookback else 0)
    known = calendar.between(since, sessions[-1])
    own = (needs or {}).get(DAILY_KLINE.name, ())
    prices = dict.fromkeys((*_BARS, *(_OF_VWAP if Fill.VWAP in fills else ()), *(name for name in own if name in _OF_VWAP)))
    bars = _bars(stored, known[0], known[-1], codes, list(prices))
    if bars.rows.is_empty():
        raise BacktestError(_no_bars(sessions, codes))
    limits = stored.read_by_code(PRICE_LIMITS, start=known[0], end=known[-1], codes=codes, columns=("up_limit", "down_limit"))
    market = market_of(bars, known, limits)
    names = stored.read(NAME_HISTORY, codes=codes)
    notes, more = [], []
    if (lacking_sessions := gaps_of_bars(stored, market, len(known) - len(sessions), chosen=codes is not None)) is not None:
        notes.append(lacking_sessions)
    if market.unlimited:
        lacking = bars.at(without_limits(market, limits))
        listed = stored.read(STOCK_LIST, columns=("ts_code", "list_date"))
        counted = counted_limits(lacking, listed, names, calendar)
        if not counted.is_empty():
            market = with_limits(market, ByCode.of(counted))
            more = [ByCode.of(counted)]
            notes.append(
                say("{count:,} bars have no stored limits: counted by the exchange's rules of the day", count=counted.height)
            )
    factors = _factors(stored, known[0], known[-1], codes)
    factor = factors_of(market, factors)
    steps = steps_of(market, factor, _dividends(stored, codes))
    panel = pl.DataFrame()
    if needs is not None:
        read = Read(bars, factors, [limits, *more])
        others = {
            name: _rows(stored, DATASETS[name], (*DATASETS[name].key, *columns), known, codes)
            for name, columns in needs.items()
            if not read.holds(name, columns)
        }
        panel = panel_of(market, read, factor, needs, others)
        if members is not None:
            panel = _within(panel, members)
    if start is not None and (earlier := calendar.between(start, sessions[0]))[0] < sessions[0]:
        notes.append(
            say("nothing is stored before {first}: {count:,} sessions are left out", first=sessions[0], count=len(earlier) - 1)
        )
    if end is not None and (later := calendar.between(sessions[-1], min(end, calendar.last)))[-1] > sessions[-1]:
        notes.append(
            say("nothing is stored after {last}: {count:,} sessions are left out", last=sessions[-1], count=len(later) - 1)
        )
    if market.unlimited:
        notes.append(
            say("{count:,} bars have no limit prices: orders trade in them as if there were none", count=market.unlimited)
        )
    index = _index(stored, benchmark, sessions)
    if benchmark and (unmatched := gaps_of_benchmark(benchmark, index, sessions)) is not None:
        notes.append(unmatched)
    return Loaded(
        market=market,
        steps=steps,
        delisted=_delisted(stored),
        names=names,
        benchmark=index,
        panel=panel,
        first=len(known) - len(sessions),
        last=len(known) - 1,
        notes=tuple(notes),
    )


def sessions_of(stored: Snapshot, calendar: Calendar, start: dt.date | None, end: dt.date | None) -> tuple[dt.date, ...]:
    """The sessions of the range that bars are stored for. BacktestError, in words, where there is none."""
    first, last = stored.sql(_SPAN).row(0)
    if first is None:
        raise BacktestError(say("no bars are stored yet: run `quant-pipeline run`, or sync daily_kline for the range"))
    latest = calendar.latest_known()
    wanted = min(end or latest, latest)
    start, end = start or first, min(end or last, last)
    if start > max(last, latest):
        raise BacktestError(say("{start} lies after the latest complete session, {latest}", start=start, latest=latest))
    if start > end and start <= last:
        raise BacktestError(say("the range ends on {end}, before it begins on {start}", start=start, end=end))
    if start > last or end < first:
        raise BacktestError(
            say(
                "no bars of this range are stored: they reach from {first} to {last}. Sync it first: "
                "quant-pipeline sync --start {start} --end {end}",
                first=first,
                last=last,
                start=start,
                end=wanted,
            )
        )
    sessions = calendar.between(max(start, first), end)
    if not sessions:
        before = calendar.on_or_before(end)
        raise BacktestError(
            say("there is no session from {start} to {end}; the one before is {before}", start=start, end=end, before=before)
        )
    return sessions


def _no_bars(sessions: Sequence[dt.date], codes: Sequence[str] | None) -> str:
    if codes is not None and not codes:
        return say("the universe is empty: no code is in it")
    return say(
        "no bars of {codes} are stored from {start} to {end}",
        codes=", ".join(list(codes or ())[:10]),
        start=sessions[0],
        end=sessions[-1],
    )


def _bars(stored: Snapshot, start: dt.date, end: dt.date, codes: Sequence[str] | None, columns: Sequence[str]) -> ByCode:
    """Of shares (without B shares: they are traded in dollars), and of the funds and bonds among the codes."""
    shares = stored.read_by_code(DAILY_KLINE, start=start, end=end, codes=codes, columns=columns, wanted=_a_shares)
    if codes is None:
        return shares
    funds = stored.read_by_code(ETF_DAILY, start=start, end=end, codes=codes, columns=columns)
    bonds = stored.read_by_code(CB_DAILY, start=start, end=end, codes=codes, columns=columns)
    of_ten = [name for name in ("vol", "amount") if name in columns]
    scale = {"vol": pl.col("vol") / 10, "amount": pl.col("amount") * 10}  # a 手 is ten; 万元
    bonds = replace(bonds, rows=bonds.rows.with_columns(**{name: scale[name] for name in of_ten}))
    return _joined(shares, funds, bonds)


def _joined(*parts: ByCode) -> ByCode:
    """The rows of all, sorted by code and day."""
    filled = [part for part in parts if not part.codes.is_empty()]
    if len(filled) == 1:
        return filled[0]
    return ByCode.of(pl.concat([part.frame() for part in parts]).sort("ts_code", "trade_date"))


def _a_shares(codes: pl.Series) -> pl.Series:
    foreign = pl.select(board_of(pl.lit(codes)) == Board.B_SHARE.value).to_series()
    return ~foreign.fill_null(False)


def _factors(stored: Snapshot, start: dt.date, end: dt.date, codes: Sequence[str] | None) -> ByCode:
    """Where they change, as all of them are a tenth of what is read."""
    shares = stored.read_steps(ADJ_FACTOR, "adj_factor", start=start, end=end, codes=codes)
    return (
        shares
        if codes is None
        else _joined(shares, stored.read_steps(ETF_ADJ, "adj_factor", start=start, end=end, codes=codes))
    )


def _dividends(stored: Snapshot, codes: Sequence[str] | None) -> pl.DataFrame | None:
    """Those that were carried out; None where the platform has no such data set."""
    dataset = DATASETS.get("dividends")
    if dataset is None:
        return None
    columns = ("ts_code", "div_proc", "ex_date", "record_date", "cash_div_tax", "stk_bo_rate", "stk_co_rate", "stk_div")
    rows = stored.read(dataset, codes=codes, columns=columns)
    return rows.filter(pl.col("div_proc") == _CARRIED_OUT).unique()


def _index(stored: Snapshot, code: str, sessions: Sequence[dt.date]) -> pl.DataFrame:
    if not code:
        return pl.DataFrame()
    columns = ("trade_date", "close")
    return stored.read(INDEX_DAILY, start=sessions[0], end=sessions[-1], codes=[code], columns=columns)


def _delisted(stored: Snapshot) -> dict[str, dt.date]:
    found: dict[str, dt.date] = {}
    for dataset in (STOCK_LIST, ETF_LIST, CONVERTIBLE_BONDS):
        rows = stored.read(dataset, columns=("ts_code", "delist_date")).drop_nulls()
        found |= dict(rows.iter_rows())
    return found


def _within(panel: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """The panel with `in_universe`: whether the code was a member on the day, by the last label up to it."""
    labels = members.select(label="trade_date").unique().sort("label")
    days = panel.select("trade_date").unique().sort("trade_date")
    days = days.join_asof(labels, left_on="trade_date", right_on="label")
    inside = members.rename({"trade_date": "label"}).unique().with_columns(pl.lit(True).alias(IN_UNIVERSE))
    joined = panel.join(days, on="trade_date", how="left", maintain_order="left")
    joined = joined.join(inside, on=["label", "ts_code"], how="left", maintain_order="left")
    return joined.drop("label").with_columns(pl.col(IN_UNIVERSE).fill_null(False))


def _rows(
    stored: Snapshot,
    dataset: Dataset,
    columns: Sequence[str],
    sessions: Sequence[dt.date],
    codes: Sequence[str] | None,
) -> pl.DataFrame:
    if not dataset.dated:
        return stored.read(dataset, codes=codes, columns=columns)
    return stored.read(dataset, start=sessions[0], end=sessions[-1], codes=codes, columns=columns)
