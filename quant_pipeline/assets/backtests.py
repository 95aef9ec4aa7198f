"""Backtests: a strategy traded over a range under the exchange's rules. In no daily job: they run when they are asked to."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
import pydantic

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import in_both
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.launchpad import fields_of, grouped
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import SIMULATED, origin, page_link, pictured, table
from quant_pipeline.backtest.settings import BacktestError, Settings
from quant_pipeline.language import speaking, told
from quant_pipeline.look.figures import percent
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_KLINE,
    DIVIDENDS,
    INDEX_DAILY,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
)
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.selections import ON
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.registry import group_within, registered
from quant_pipeline.warehouse.lake import folder_of
from quant_pipeline.wrong_values import problems

if TYPE_CHECKING:
    from quant_pipeline.backtest.run import Result

GROUP = "backtests"
_COMPARED = 30
_TRADED_ON = (DAILY_KLINE, ADJ_FACTOR, PRICE_LIMITS, DIVIDENDS, INDEX_DAILY, NAME_HISTORY, STOCK_LIST)


def read_by(*strategies: type[Strategy]) -> list[str]:
    """The data sets that backtests of these strategies look at, as edges of the lineage."""
    needed = [name for strategy in strategies for name in strategy.needs]
    names = dict.fromkeys([*(each.name for each in _TRADED_ON), *needed])
    return reduced(name for name in names if name in ON)


class Range(pydantic.BaseModel):
    """What is traded when, as the launchpad asks for it."""

    start: str = pydantic.Field("", description="First session, 2020-01-02; empty: the first stored. 起始日，空为最早")
    end: str = pydantic.Field("", description="Last session; empty: the last stored. 结束日，空为最新")
    universe: str = pydantic.Field(
        "all", description="all, an index (hs300 …), boards (main, chinext …), watchlist:NAME or codes, by commas. 股票池"
    )


_RANGE = fields_of(Range)
ACCOUNT = grouped(fields_of(Settings), "Capital, fills, rules, costs. 资金、成交、规则、费用")


def backtest_asset(strategy: type[Strategy]) -> dg.AssetsDefinition:
    """The backtest of a strategy: range, universe, account and parameters in the launchpad; a report to look at."""
    parameters = grouped(fields_of(strategy.Parameters), "The strategy's own. 策略参数")

    @dg.asset(
        name=f"backtest_{strategy.name}",
        deps=read_by(strategy),
        group_name=group_within(GROUP, strategy),
        description=_description(strategy),
        kinds={"numba", "postgres"},
        owners=["team:strategies"],
        dagster_type=NOTHING,
        hooks={tell_failure},
        config_schema={**_RANGE, "parameters": parameters, "account": ACCOUNT},
    )
    def backtest(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        from quant_pipeline.backtest.asked import Asked, backtested
        from quant_pipeline.backtest.store import store

        given = context.op_execution_context.op_config
        with sentences():
            asked = Asked(
                strategy.with_parameters(given["parameters"]),
                Settings.of(given["account"]),
                day(given["start"]),
                day(given["end"]),
                given["universe"],
            )
            result = backtested(warehouse.database, folder_of(settings.load()), warehouse.calendar(), asked)
        number = store(warehouse.database, result)
        return dg.MaterializeResult(metadata=labelled(_metadata(context, warehouse, strategy, result, number)))

    return backtest


@contextmanager
def sentences() -> Iterator[None]:
    """What cannot be run fails with its sentence. It is kept in English: `Failed` says it to its readers."""
    with speaking("en"):
        try:
            yield
        except (BacktestError, StrategyError) as error:
            raise Failed(str(error)) from None
        except pydantic.ValidationError as error:
            raise Failed(problems(error)) from None


def day(text: str) -> dt.date | None:
    """None for an empty text; BacktestError for one that is no date."""
    try:
        return dt.date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise BacktestError(told("{text} is no date: write it as 2026-11-20", text=text)) from None


def _metadata(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, strategy: type[Strategy], result: "Result", number: str
) -> dict[str, Any]:
    from quant_pipeline.backtest_report import document

    current = settings.load()
    shown: dict[str, Any] = {
        "page": page_link(f"backtests/{number}"),
        **origin(),
        **figures_of(result),
        "dagster/row_count": result.figures.orders,
        "parameters": dg.MetadataValue.json(dict(result.parameters)),
        "curve": pictured(lambda: _drawn(strategy, result), "curve"),
        "unfilled": table(_unfilled(result)),
        "notes": dg.MetadataValue.md("\n".join(f"- {for_readers(note)}" for note in result.notes) or "–"),
        "backtest": number,
    }
    try:
        shown["report"] = dg.MetadataValue.path(document.saved(current, warehouse.database, number))
    except OSError as error:
        context.log.warning("the report could not be saved in %s: %s", current.home, error.strerror)
    return shown


def figures_of(result: "Result") -> dict[str, Any]:
    """The figures that are plotted over the runs, ratios in per cent."""
    from quant_pipeline.backtest.annual import readable

    figures = result.figures
    shown = readable(figures.as_dict(), result.settings.model_dump())
    parts = {name: shown[name] for name in ("total_return", "annual_return", "excess", "max_drawdown", "win_rate")}
    return {
        **{f"{name}_pct": round(value * 100, 2) for name, value in parts.items() if value is not None},
        **({"sharpe": round(figures.sharpe, 3)} if figures.sharpe is not None else {}),
        "costs": round(sum(figures.costs.values()), 2),
        "orders": figures.orders,
        "orders_refused": figures.orders_refused,
    }


def _drawn(strategy: type[Strategy], result: "Result") -> bytes:
    from quant_pipeline.charts.equity_picture import equity_picture

    figures = result.figures
    return equity_picture(
        result.frames.equity,
        capital=figures.capital,
        title=f"{strategy.zh} 回测",
        caption=f"{figures.start} 至 {figures.end} · 总收益 {percent(figures.total_return * 100)} · "
        f"最大回撤 {percent(figures.max_drawdown * 100)}",
        benchmark=figures.benchmark,
        note=SIMULATED if settings.load().sandboxed else "",
    )


def _unfilled(result: "Result") -> "pl.DataFrame":
    from quant_pipeline.backtest.reasons import Reason, Side, Status

    lacking = result.frames.orders.filter(pl.col("status") != "filled")
    counted = lacking.group_by("side", "status", "reason").len("orders").sort("orders", "side", "reason", descending=True)
    with speaking("zh"):
        rows = [
            (
                Side[row["side"].upper()].words,
                Status[row["status"].upper()].words,
                f"{Reason[row['reason'].upper()].words} {row['reason']}",
                row["orders"],
            )
            for row in counted.iter_rows(named=True)
        ]
    schema = {"方向 side": pl.String, "结果 status": pl.String, "原因 reason": pl.String, "委托 orders": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _description(strategy: type[Strategy]) -> str:
    """What is traded, in both languages; its parameters; where the results stand."""
    parameters = "\n".join(
        f"- {name} = {field.default}: {field.description or ''}" for name, field in strategy.Parameters.model_fields.items()
    )
    return (
        f"{in_both(f'{strategy.zh} 回测 Backtest', strategy.doc)}\n\n参数 Parameters:\n\n{parameters or '–'}\n\n"
        "按当日交易所规则逐日撮合（涨跌停、停牌、T+1、整手、费用、红利税），每笔委托都有结果与原因。"
        "Traded session by session under the exchange's rules of each date; every order has what became of it.\n\n"
        "结果 Results: backtests, backtest_orders, backtest_trades, backtest_equity, backtest_positions; "
        f"name = {strategy.name}. 命令行 Command: quant-pipeline backtest {strategy.name}"
    )


def _when_one_ran() -> dg.AutomationCondition[Any]:
    new = dg.AutomationCondition.any_deps_updated().since_last_handled() & ~dg.AutomationCondition.in_progress()
    return new.with_label("when_one_ran")


BACKTESTS = [backtest_asset(strategy) for strategy in registered().strategies.values()]
"""A backtest per registered strategy, plug-ins and files included."""


@dg.asset(
    name="backtests",
    group_name=GROUP,
    deps=[each.key for each in BACKTESTS],
    description="回测对比 · 最近的回测并列。The last backtests beside each other. 表 Table: backtests",
    kinds={"postgres"},
    owners=["team:strategies"],
    metadata={"dagster/table_name": "backtests"},
    automation_condition=_when_one_ran(),
    dagster_type=NOTHING,
    hooks={tell_failure},
)
def backtests(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
    from quant_pipeline.backtest import archive

    runs = archive.runs(warehouse.database, limit=_COMPARED)
    names = {name: strategy.zh for name, strategy in registered().strategies.items()}
    rows = [
        {
            "策略 strategy": names.get(run.name, run.name),
            "参数 parameters": ", ".join(f"{name}={value}" for name, value in run.parameters.items()),
            "区间 range": f"{run.start_date:%Y-%m} – {run.end_date:%Y-%m}",
            "总收益% total": _part(run.figures["total_return"]),
            "超额% excess": _part(run.figures["excess"]),
            "回撤% drawdown": _part(run.figures["max_drawdown"]),
            "夏普 Sharpe": None if run.figures["sharpe"] is None else round(run.figures["sharpe"], 2),
        }
        for run in runs
    ]
    shown = {
        "page": page_link("backtests"),
        **origin(),
        "dagster/row_count": archive.count(warehouse.database),
        "comparison": table(pl.DataFrame(rows, infer_schema_length=None)),
    }
    return dg.MaterializeResult(metadata=labelled(shown))


def _part(value: float | None) -> float | None:
    return None if value is None else round(value * 100, 2)
