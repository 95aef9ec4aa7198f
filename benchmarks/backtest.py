"""A dual moving average over ten years of the whole market under all rules, a grid of a hundred parameter points, and peers.

`python -m benchmarks.backtest` makes 12.5 M bars (5,000 codes x 2,500 sessions), writes them as the lake keeps them, and
measures from there; `--codes 500` fewer. The peers (vectorbt, backtrader) are measured where the extra `bench` is installed:
`pip install -e '.[bench]'`; backtrader over few codes, as it takes a third of a second for each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import itertools
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from quant_pipeline.backtest import reading, run
from quant_pipeline.backtest.orders import from_signals
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, PRICE_LIMITS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.panel import together

LAST = dt.date(2026, 11, 20)
SESSIONS = 2_500
FAST, SLOW = range(3, 13), range(20, 70, 5)
PEER_CODES = 10
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


class Files:
    """Rows out of Parquet files, as the lake's snapshot gives them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, dataset: Dataset, *, columns: Sequence[str] | None = None, **wanted: Any) -> pl.DataFrame:
        path = self.folder / f"{dataset.name}.parquet"
        names = list(columns or dataset.column_names)
        if not path.exists():
            types = {column.name: column.type.polars for column in dataset.columns}
            return pl.DataFrame(schema={name: types[name] for name in names})
        del wanted  # everything is read
        return pl.read_parquet(path, columns=names)

    def sql(self, query: str) -> pl.DataFrame:
        del query
        days = pl.read_parquet(self.folder / "daily_kline.parquet", columns=["trade_date"])["trade_date"]
        return pl.DataFrame({"first": [days.min()], "last": [days.max()]})


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    parser.add_argument("--codes", type=int, default=5_000)
    codes = parser.parse_args(argv).codes
    folder = Path(tempfile.mkdtemp(prefix="qk"))
    try:
        make(folder, codes)
        Console(width=110).print(_ours(Files(folder), codes), _peers(folder, codes), _kept())
    finally:
        shutil.rmtree(folder)


def make(folder: Path, codes: int) -> None:
    """Random walks in cents, with halts, limits, and an ex-date a year; sorted by code and day."""
    days = xshg().window(LAST, SESSIONS)
    chance = np.random.default_rng(1)
    names = np.array([f"{600000 + number:06d}.SH" for number in range(codes)])
    shape = (codes, SESSIONS)
    close = np.round(np.exp(np.cumsum(chance.normal(0, 0.02, shape), axis=1)) * 10 + 1, 2)
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    factor = np.ones(shape)
    for place in range(200, SESSIONS, 244):  # 2 % of cash a year
        factor[:, place:] *= 1 / 0.98
        before[:, place] = np.round(before[:, place] * 0.98, 2)
    up, down = np.round(before * 1.1, 2), np.round(before * 0.9, 2)
    close = np.clip(close, down, up)
    opened = np.clip(np.round(before * (1 + chance.normal(0, 0.015, shape)), 2), down, up)
    traded = chance.random(shape) > 0.01
    key = {
        "ts_code": pl.Series(np.repeat(names, SESSIONS)),
        "trade_date": pl.concat([pl.Series(days, dtype=pl.Date)] * codes),
    }
    volume = chance.uniform(1e4, 1e5, shape)
    bars = pl.DataFrame(
        key
        | {
            "open": opened.ravel(),
            "high": np.maximum(opened, close).ravel(),
            "low": np.minimum(opened, close).ravel(),
            "close": close.ravel(),
            "pre_close": before.ravel(),
            "vol": volume.ravel(),
            "amount": (volume * (opened + close) / 20).ravel(),
        }
    )
    bars.filter(pl.Series(traded.ravel())).write_parquet(folder / f"{DAILY_KLINE.name}.parquet")
    pl.DataFrame(key | {"adj_factor": factor.ravel()}).write_parquet(folder / f"{ADJ_FACTOR.name}.parquet")
    limits = pl.DataFrame(key | {"up_limit": up.ravel(), "down_limit": down.ravel()})
    limits.write_parquet(folder / f"{PRICE_LIMITS.name}.parquet")


def load(files: Files, lookback: int) -> Loaded:
    needs = together([DualMovingAverage.needs])
    return reading.load(files, xshg(), lookback=lookback, needs=needs)  # type: ignore[arg-type]


def _ours(files: Files, codes: int) -> Table:
    settings = Settings(benchmark="", max_positions=50)
    strategy = DualMovingAverage()
    _compile()
    table = Table(title=f"dual_ma 5/20, all rules, {codes:,} codes x {SESSIONS:,} sessions", title_justify="left")
    for column in ("what", "s", "to reach"):
        table.add_column(column, justify="left" if column == "what" else "right")
    began = time.perf_counter()
    loaded = load(files, strategy.lookback)
    read = time.perf_counter()
    signals = strategy.decisions(loaded.panel)
    judged = time.perf_counter()
    plan = from_signals(loaded.market, signals, settings.delay)
    planned = time.perf_counter()
    run.simulated(loaded, plan, settings)
    simulated = time.perf_counter()
    result = run.of_strategy(loaded, strategy, settings)
    table.add_row("files to arrays and panel", f"{read - began:.2f}", "")
    table.add_row("signals", f"{judged - read:.2f}", "")
    table.add_row("signals to decisions", f"{planned - judged:.2f}", "")
    table.add_row("kernel, with the rules' tables", f"{simulated - planned:.2f}", "< 0.5")
    table.add_row("end to end", f"{simulated - began:.2f}", "< 3")
    began = time.perf_counter()
    points = list(itertools.product(FAST, SLOW))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda point: _point(loaded, settings, *point), points))
    table.add_row(f"grid of {len(points)} points", f"{time.perf_counter() - began:.1f}", "< 30")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row("orders · trades · peak MB", f"{result.figures.orders:,} · {result.figures.trades:,} · {peak:,.0f}", "")
    return table


def _point(loaded: Loaded, settings: Settings, fast: int, slow: int) -> float:
    strategy = DualMovingAverage.with_parameters({"fast": fast, "slow": slow})
    plan = from_signals(loaded.market, strategy.decisions(loaded.panel), settings.delay)
    return float(run.simulated(loaded, plan, settings, positions=False).equity[-1, :2].sum()) / 10_000


def _compile() -> None:
    """Once, so that no compilation is measured."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), 3)
        loaded = load(Files(Path(folder)), 20)
        run.of_strategy(loaded, DualMovingAverage(), Settings(benchmark=""))


def _peers(folder: Path, codes: int) -> Table:
    table = Table(title="peers, the same bars, no rules of the exchange", title_justify="left")
    table.add_column("what")
    table.add_column("s", justify="right")
    for name, measure in (("vectorbt", _vectorbt), ("backtrader", _backtrader)):
        if importlib.util.find_spec(name) is None:
            table.add_row(name, "not installed: pip install -e '.[bench]'")
        else:
            table.add_row(*measure(folder, codes))
    return table


def _closes(folder: Path, codes: int) -> Any:
    rows = pl.read_parquet(folder / "daily_kline.parquet", columns=["ts_code", "trade_date", "close"])
    wide = rows.filter(pl.col("ts_code").is_in(rows["ts_code"].unique(maintain_order=True).head(codes).implode()))
    return (
        wide.pivot("ts_code", index="trade_date", values="close").sort("trade_date").to_pandas().set_index("trade_date").ffill()
    )


def _vectorbt(folder: Path, codes: int) -> tuple[str, str]:
    import vectorbt

    close = _closes(folder, codes)
    vectorbt.Portfolio.from_signals(close.iloc[:, :2], close.iloc[:, :2] > 0, close.iloc[:, :2] < 0, init_cash=1e6)  # compiles
    began = time.perf_counter()
    fast, slow = vectorbt.MA.run(close, 5), vectorbt.MA.run(close, 20)
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    vectorbt.Portfolio.from_signals(close, entries, exits, fees=0.0003, init_cash=1e6).total_return()
    return f"vectorbt, {codes:,} independent accounts", f"{time.perf_counter() - began:.2f}"


def _backtrader(folder: Path, codes: int) -> tuple[str, str]:
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

    close = _closes(folder, PEER_CODES).dropna()
    began = time.perf_counter()
    engine = backtrader.Cerebro()
    for name in close.columns:
        frame = close[[name]].rename(columns={name: "close"})
        frame = frame.assign(open=frame["close"], high=frame["close"], low=frame["close"], volume=1e6)
        frame.index = frame.index.astype("datetime64[ns]")
        engine.adddata(backtrader.feeds.PandasData(dataname=frame))
    engine.addstrategy(Cross)
    engine.run()
    seconds = time.perf_counter() - began
    whole = seconds / len(close.columns) * codes
    return f"backtrader, {len(close.columns)} codes (at that rate {codes:,}: {whole:,.0f} s)", f"{seconds:.2f}"


def _kept() -> Table:
    table = Table(*RULES[0], title="the rules that each keeps", title_justify="left")
    for row in RULES[1:]:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
