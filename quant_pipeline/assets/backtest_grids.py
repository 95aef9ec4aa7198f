"""Grids and walk-forward: points and windows are mapped steps, which the run's executor spreads over processes or machines."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pydantic

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.backtests import ACCOUNT, GROUP, Range, day, sentences
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.launchpad import fields_of
from quant_pipeline.assets.metadata import origin, page_link, table
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.strategies.base import StrategyError
from quant_pipeline.warehouse.lake import folder_of, snapshot

_LISTED = 200


class _Points(Range):
    strategy: str = pydantic.Field("dual_ma", description="Name of a strategy. 策略名")
    grid: dict[str, Any] = pydantic.Field(
        {"fast": [5, 10], "slow": [20, 60]},
        description="Values of parameters, or of the account (capital, fill …), lists: all combinations are run. 参数网格",
    )
    ranked_by: str = pydantic.Field(
        "sharpe",
        description="sharpe, total_return, annual_return, excess, calmar, sortino or max_drawdown. 排序指标",
    )


class _Grid(_Points):
    steps: int = pydantic.Field(
        2, ge=1, le=100, description="Mapped steps that the points are dealt to; each reads its data once. 步数"
    )


class _WalkForward(_Points):
    train: int = pydantic.Field(244, description="Sessions in which the best point is looked for. 训练窗口交易日数")
    test: int = pydantic.Field(61, description="Sessions after them in which it is traded. 测试窗口交易日数")


_ACCOUNT = "account"
_Given = Mapping[str, Any]


def _given(model: type[_Points], config: _Given) -> dict[str, Any]:
    """What the launchpad says, judged; the account's settings are judged where they are used."""
    asked = model(**{name: value for name, value in config.items() if name != _ACCOUNT})
    return {**asked.model_dump(), _ACCOUNT: config[_ACCOUNT]}


def _planned(given: _Given) -> list[Mapping[str, Any]]:
    from quant_pipeline.backtest.asked import strategy_named
    from quant_pipeline.backtest.grid import look_at_figure, points_of

    look_at_figure(given["ranked_by"])
    return list(points_of(strategy_named(given["strategy"]), given["grid"], given["account"]))


@dg.op(
    ins={"bars": dg.In(dg.Nothing)},
    out=dg.DynamicOut(dict),
    config_schema={**fields_of(_Grid), _ACCOUNT: ACCOUNT},
    description="Deals the points to steps. 拆分参数网格",
)
def grid_points(context: dg.OpExecutionContext) -> Iterator[dg.DynamicOutput[dict[str, Any]]]:
    from quant_pipeline.backtest.grid import dealt
    from quant_pipeline.backtest.store import new_series

    with sentences():
        given = _given(_Grid, context.op_config)
        points = _planned(given)
        day(given["start"]), day(given["end"])
    series = new_series(given["strategy"])
    for number, hand in enumerate(dealt(points, given["steps"]), 1):
        yield dg.DynamicOutput({**given, "points": hand, "series": series}, mapping_key=str(number))


@dg.op(description="Backtests some points over one read of the data. 回测一组参数")
def grid_backtests(warehouse: WarehouseResource, hand: dict[str, Any]) -> list[dict[str, Any]]:
    from quant_pipeline.backtest import run
    from quant_pipeline.backtest.asked import load, strategy_named
    from quant_pipeline.backtest.grid import asked_of
    from quant_pipeline.backtest.store import store

    rows = []
    with sentences():
        kind, start, end = strategy_named(hand["strategy"]), day(hand["start"]), day(hand["end"])
        asked = [asked_of(kind, point, hand["account"], hand["universe"]).over(start, end) for point in hand["points"]]
        loaded = load(warehouse.database, folder_of(settings.load()), warehouse.calendar(), asked)
        for point, each in zip(hand["points"], asked, strict=True):
            try:
                result = run.of_strategy(loaded, each.strategy, each.settings, each.universe, positions=False)
            except (BacktestError, StrategyError) as error:  # of this point: the others go on
                rows.append({"point": point, "error": str(error), "series": hand["series"], "ranked_by": hand["ranked_by"]})
                continue
            number = store(warehouse.database, result, hand["series"])
            rows.append(
                {
                    "point": point,
                    "backtest": number,
                    "figures": result.figures.as_dict(),
                    "series": hand["series"],
                    "ranked_by": hand["ranked_by"],
                }
            )
    return rows


@dg.op(out=dg.Out(NOTHING), description="All points beside each other, the best first. 比较全部参数")
def grid_compared(hands: list[list[dict[str, Any]]]) -> Iterator[dg.Output[None]]:
    rows = [row for hand in hands for row in hand]
    done = [row for row in rows if "figures" in row]
    if not done:
        raise Failed(rows[0]["error"])
    by = rows[0]["ranked_by"]
    done.sort(key=lambda row: (row["figures"][by] is not None, row["figures"][by] or 0.0), reverse=True)
    failed = [f"- {row['point']}: {for_readers(row['error'])}" for row in rows if "error" in row]
    shown = {
        "page": page_link(f"backtests?series={rows[0]['series']}"),
        **origin(),
        "dagster/row_count": len(done),
        "comparison": table(_compared(done[:_LISTED])),
        **({"failed": dg.MetadataValue.md("\n".join(failed))} if failed else {}),
    }
    yield dg.Output(None, metadata=labelled(shown))


def _compared(rows: list[dict[str, Any]]) -> "pl.DataFrame":
    return pl.DataFrame([{"#": place, "参数 point": _point(row), **_told(row["figures"])} for place, row in enumerate(rows, 1)])


def _point(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in row["point"].items())


def _told(figures: Mapping[str, Any]) -> dict[str, Any]:
    """So many that they stand beside each other in an asset's pane; the page of the series has them all."""

    def part(name: str) -> float | None:
        return None if figures[name] is None else round(figures[name] * 100, 2)

    return {
        "总收益% total": part("total_return"),
        "回撤% drawdown": part("max_drawdown"),
        "夏普 Sharpe": None if figures["sharpe"] is None else round(figures["sharpe"], 2),
        "超额% excess": part("excess"),
    }


@dg.op(
    ins={"bars": dg.In(dg.Nothing)},
    out=dg.DynamicOut(dict),
    config_schema={**fields_of(_WalkForward), _ACCOUNT: ACCOUNT},
    description="Train and test windows. 划分训练与测试窗口",
)
def walk_windows(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.DynamicOutput[dict[str, Any]]]:
    from quant_pipeline.backtest.grid import windows_of
    from quant_pipeline.backtest.reading import sessions_of
    from quant_pipeline.backtest.store import new_series

    with sentences():
        given = _given(_WalkForward, context.op_config)
        points = _planned(given)
        with snapshot(warehouse.database, folder_of(settings.load())) as stored:
            sessions = sessions_of(stored, warehouse.calendar(), day(given["start"]), day(given["end"]))
        windows = windows_of(sessions, given["train"], given["test"])
    series = new_series(given["strategy"])
    for number, window in enumerate(windows, 1):
        planned = {"number": number, "train_days": window.train, "test_days": window.test}
        yield dg.DynamicOutput({**given, **planned, "points": points, "series": series}, mapping_key=str(number))


@dg.op(description="The best point of the train window, traded in the test window. 训练选参，测试执行")
def walk_window(warehouse: WarehouseResource, window: dict[str, Any]) -> dict[str, Any]:
    from quant_pipeline.backtest import run
    from quant_pipeline.backtest.asked import backtested, load, strategy_named
    from quant_pipeline.backtest.grid import asked_of, worth
    from quant_pipeline.backtest.store import store

    lake, calendar, by = folder_of(settings.load()), warehouse.calendar(), window["ranked_by"]
    with sentences():
        kind = strategy_named(window["strategy"])
        asked = [
            asked_of(kind, point, window["account"], window["universe"]).over(*window["train_days"])
            for point in window["points"]
        ]
        loaded = load(warehouse.database, lake, calendar, asked)
        trained = [
            run.of_strategy(loaded, each.strategy, each.settings, each.universe, positions=False).figures for each in asked
        ]
        best = max(range(len(asked)), key=lambda place: worth(trained[place], by))
        tested = backtested(warehouse.database, lake, calendar, asked[best].over(*window["test_days"]))
    return {
        "number": window["number"],
        "series": window["series"],
        "ranked_by": by,
        "point": window["points"][best],
        "tested_from": str(window["test_days"][0]),
        "trained": getattr(trained[best], by),
        "figures": tested.figures.as_dict(),
        "backtest": store(warehouse.database, tested, window["series"]),
    }


@dg.op(out=dg.Out(NOTHING), description="The test windows in a row. 汇总各测试窗口")
def walk_compared(windows: list[dict[str, Any]]) -> Iterator[dg.Output[None]]:
    rows = sorted(windows, key=lambda row: row["number"])
    by, grown = rows[0]["ranked_by"], 1.0
    for row in rows:
        grown *= 1 + row["figures"]["total_return"]
    shown = {
        "page": page_link(f"backtests?series={rows[0]['series']}"),
        **origin(),
        "total_return_pct": round((grown - 1) * 100, 2),
        "dagster/row_count": len(rows),
        "note": "total_return_pct: the test windows chained, each begun anew with the whole capital and no shares "
        "各测试窗口收益连乘，每个窗口以初始资金、空仓重新开始",
        "comparison": table(
            pl.DataFrame(
                [
                    {"测试自 from": row["tested_from"], "参数 point": _point(row)}
                    | {f"训练 {by}": None if row["trained"] is None else round(row["trained"], 2)}
                    | _told(row["figures"])
                    for row in rows[:_LISTED]
                ]
            )
        ),
    }
    yield dg.Output(None, metadata=labelled(shown))


_BARS = {"bars": dg.AssetIn(DAILY_KLINE.name, dagster_type=NOTHING)}


@dg.graph_asset(
    name="parameter_grid",
    group_name=GROUP,
    ins=_BARS,
    hooks={tell_failure},
    owners=["team:strategies"],
    kinds={"numba", "postgres"},
    description="参数网格 · 一个策略的多组参数逐一回测，结果并列。参数组分给若干映射步骤，由运行的执行器分到多进程或多机。\n\n"
    "A strategy over every combination of some values, beside each other. Its points are dealt to mapped steps, which the "
    "run's executor spreads. Job: backtest_grid. 结果 Results: backtests.",
)
def parameter_grid(bars: Any) -> Any:
    return grid_compared(grid_points(bars).map(grid_backtests).collect())


@dg.graph_asset(
    name="walk_forward",
    group_name=GROUP,
    ins=_BARS,
    hooks={tell_failure},
    owners=["team:strategies"],
    kinds={"numba", "postgres"},
    description="滚动验证 · 在训练窗口按指标选出最优参数，在随后的测试窗口执行；窗口逐段向前滚动，每个窗口一个映射步骤。\n\n"
    "What is best in a train window by a figure is traded in the test window that follows; windows roll on, each a "
    "mapped step. Job: backtest_walk_forward. 结果 Results: backtests (of the test windows).",
)
def walk_forward(bars: Any) -> Any:
    return walk_compared(walk_windows(bars).map(walk_window).collect())
