"""A dual moving average over ten years of the whole market under all rules, a grid of a hundred parameter points, and peers.

`python -m benchmarks.backtest` makes 12.5 M bars (5,000 codes x 2,500 sessions) in a lake and measures from there;
`--codes 500` fewer. The peers (vectorbt, backtrader) are measured where the extra `bench` is installed
(`pip install -e '.[bench]'`); backtrader over few codes, as it takes a third of a second for each. Each is a process of its
own, with its own peak of memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.market import SESSIONS, in_a_lake
from quant_pipeline.backtest import reading, run
from quant_pipeline.backtest.orders import from_signals
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Mode
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.panel import together
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import snapshot

FAST, SLOW = range(3, 13), range(20, 70, 5)
PEER_CODES = 10
WIDE_PEER_CODES = 500
"""vectorbt takes a column a code: minutes for the whole market."""
RULES = (
    ("rule", "ours", "vectorbt", "backtrader"),
    ("limit-up not bought, limit-down not sold", "yes", "-", "-"),
    ("limits by board, date, ST", "yes", "-", "-"),
    ("halts: orders wait or expire", "yes", "-", "-"),
    ("T+1 for shares, cash at once", "yes", "-", "-"),
    ("lots by board, odd rests", "yes", "one step", "-"),
    ("costs dated, by side, minimum an order", "yes", "one rate", "one rate"),
    ("dividends, new shares, tax by holding period", "yes", "-", "-"),
    ("part of the volume", "yes", "size limit", "filler"),
    ("one portfolio over all codes", "yes", "yes", "yes"),
    ("every order a row with its reason", "yes", "log", "status"),
    ("whole cents", "yes", "floats", "floats"),
)


Line = tuple[str, float | None, float | None, str]
"""What, seconds, of them the processors' (both cores), and what is to be reached."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    parser.add_argument("--codes", type=int, default=5_000)
    codes = parser.parse_args(argv).codes
    with in_a_lake(codes) as stored:
        where = stored.database.url, stored.folder, codes
        title = f"dual_ma 5/20, all rules, {codes:,} codes x {SESSIONS:,} sessions, from the lake"
        Console(width=110).print(_table(title, _apart(_ours, *where)))
        lines: list[Line] = []
        for name, measure in (("vectorbt", _vectorbt), ("backtrader", _backtrader)):
            if importlib.util.find_spec(name) is None:
                lines.append((f"{name}: not installed: pip install -e '.[bench]'", None, None, ""))
            else:
                lines += _apart(measure, *where)
        Console(width=110).print(_table("peers, the same bars, no rules of the exchange", lines), _kept())


def _apart(measure: Callable[..., list[Line]], *arguments: object) -> list[Line]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, measure, *arguments).result()


def _measured(measure: Callable[..., list[Line]], *arguments: object) -> list[Line]:
    lines = measure(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*lines, (f"  peak of memory: {peak:,.0f} MB", None, None, "")]


def _table(title: str, lines: Sequence[Line]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("what", "s", "CPU s", "to reach"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, seconds, processors, reach in lines:
        table.add_row(escape(what), *("" if value is None else f"{value:.2f}" for value in (seconds, processors)), reach)
    return table


class Clock:
    """Seconds, and processor seconds, since the last look."""

    def __init__(self) -> None:
        self.look()

    def look(self) -> tuple[float, float]:
        before = getattr(self, "_at", (0.0, 0.0))
        self._at = time.perf_counter(), time.process_time()
        return self._at[0] - before[0], self._at[1] - before[1]


def _load(url: str, folder: Path, strategy: DualMovingAverage, settings: Settings) -> Loaded:
    with snapshot(Database(url, Mode.SANDBOX), folder) as stored:
        needs = together([strategy.needs])
        return reading.load(stored, xshg(), lookback=strategy.lookback, needs=needs, fills=[settings.fill])


def _ours(url: str, folder: Path, codes: int) -> list[Line]:
    del codes
    settings, strategy = Settings(benchmark="", max_positions=50), DualMovingAverage()
    lines: list[Line] = []
    for _ in range(2):  # the first compiles, or loads what was compiled, and is not told
        clock, whole = Clock(), Clock()
        loaded = _load(url, folder, strategy, settings)
        lines = [("files to arrays and panel", *clock.look(), "")]
        signals = strategy.decisions(loaded.panel)
        lines.append(("signals", *clock.look(), ""))
        plan = from_signals(loaded.market, signals, settings.delay)
        lines.append(("signals to decisions", *clock.look(), ""))
        run.simulated(loaded, plan, settings)
        lines.append(("kernel, with the rules' tables", *clock.look(), "< 0.5"))
        lines.append(("end to end", *whole.look(), "< 3"))
    clock.look()
    run.simulated(loaded, plan, settings)
    lines.append(("kernel alone", *clock.look(), "< 0.5"))
    points = list(itertools.product(FAST, SLOW))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda point: _point(loaded, settings, *point), points))
    lines.append((f"grid of {len(points)} points", *clock.look(), "< 30"))
    result = run.of_strategy(loaded, strategy, settings)
    lines.append((f"  {result.figures.orders:,} orders, {result.figures.trades:,} trades", None, None, ""))
    return lines


def _point(loaded: Loaded, settings: Settings, fast: int, slow: int) -> float:
    strategy = DualMovingAverage.with_parameters({"fast": fast, "slow": slow})
    plan = from_signals(loaded.market, strategy.decisions(loaded.panel), settings.delay)
    return float(run.simulated(loaded, plan, settings, positions=False).equity[-1, :2].sum()) / 10_000


def _closes(url: str, folder: Path, codes: int) -> Any:
    with snapshot(Database(url, Mode.SANDBOX), folder) as stored:
        rows = stored.read(DAILY_KLINE, columns=["ts_code", "trade_date", "close"])
    wide = rows.filter(pl.col("ts_code").is_in(rows["ts_code"].unique(maintain_order=True).head(codes).implode()))
    return (
        wide.pivot("ts_code", index="trade_date", values="close").sort("trade_date").to_pandas().set_index("trade_date").ffill()
    )


def _vectorbt(url: str, folder: Path, codes: int) -> list[Line]:
    import vectorbt

    codes = min(codes, WIDE_PEER_CODES)
    close = _closes(url, folder, codes)
    vectorbt.Portfolio.from_signals(close.iloc[:, :2], close.iloc[:, :2] > 0, close.iloc[:, :2] < 0, init_cash=1e6)  # compiles
    vectorbt.MA.run(close.iloc[:, :2], 5)
    clock = Clock()
    fast, slow = vectorbt.MA.run(close, 5), vectorbt.MA.run(close, 20)
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    vectorbt.Portfolio.from_signals(close, entries, exits, fees=0.0003, init_cash=1e6).total_return()
    return [(f"vectorbt, {codes:,} independent accounts, prices in memory", *clock.look(), "")]


def _backtrader(url: str, folder: Path, codes: int) -> list[Line]:
    import backtrader

    class Cross(backtrader.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.crosses = {
                data: backtrader.ind.CrossOver(backtrader.ind.SMA(data, period=5), backtrader.ind.SMA(data, period=20))
                for data in self.datas
            }

        def next(self) -> None:
            for data, cross in self.crosses.items():
                if cross[0] > 0:
                    self.order_target_percent(data, 1 / PEER_CODES)
                elif cross[0] < 0:
                    self.close(data)

    close = _closes(url, folder, PEER_CODES).dropna()
    clock = Clock()
    engine = backtrader.Cerebro()
    for name in close.columns:
        frame = close[[name]].rename(columns={name: "close"})
        frame = frame.assign(open=frame["close"], high=frame["close"], low=frame["close"], volume=1e6)
        frame.index = frame.index.astype("datetime64[ns]")
        engine.adddata(backtrader.feeds.PandasData(dataname=frame))
    engine.addstrategy(Cross)
    engine.run()
    seconds, processors = clock.look()
    whole = seconds / len(close.columns) * codes
    return [
        (f"backtrader, {len(close.columns)} codes", seconds, processors, ""),
        (f"  not measured: at that rate {codes:,} codes would take {whole:,.0f} s", None, None, ""),
    ]


def _kept() -> Table:
    table = Table(*RULES[0], title="the rules that each keeps", title_justify="left")
    for row in RULES[1:]:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
