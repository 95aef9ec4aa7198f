"""Signals: what the screens of a session come to, and how those of each strategy fared."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import dagster as dg
import polars as pl
from pydantic import Field

from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import SIGNAL_STATISTICS, SIGNALS
from quant_pipeline.partitions import SESSIONS, asked_sessions
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.selections import ON, SCREENS
from quant_pipeline.signals.cleanup import clean
from quant_pipeline.signals.portfolio import held
from quant_pipeline.signals.router import ACCEPTED, NotScreened, Routed, route
from quant_pipeline.signals.rules import FILE, Policy, Rules, load
from quant_pipeline.signals.statistics import statistics
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.upsert import Upserted, replace_rows

_CATCH_UP = dt.timedelta(days=12)
"""How old a session may be for its signals to be made by themselves."""
_SHOWN = 100
_SCREENED = [dg.AssetKey(name) for name in SCREENS]
"""The screens that run by themselves: those that nobody runs are not waited for."""
_RULES = f"Set in {FILE} 在 {FILE} 中设置"


class SignalsConfig(dg.Config):
    """How contradictions are resolved. 信号冲突的处理"""

    policy: str = Field(
        "",
        description="priority (the strategy with the lowest number wins), strength (the strongest signal), majority (what more "
        f"strategies say), veto (a sale forbids to buy); empty: as in {FILE}. "
        "priority 策略优先级、strength 信号强度、majority 多数、veto 卖出一票否决；留空则按 signals.toml",
    )


def when_the_screens_change(*others: str) -> dg.AutomationCondition[Any]:
    """Eager for the last sessions, and only after the screens (after `others`, where they are given)."""
    recent = dg.AutomationCondition.in_latest_time_window(_CATCH_UP)
    # A conjunction, as Dagster makes it, takes what it may look at; its declared type does not say so.
    eager = cast("Any", dg.AutomationCondition.eager().replace("in_latest_time_window", recent))
    allowed = eager.allow(dg.AssetSelection.assets(*others, *(() if others else _SCREENED)))
    return cast("dg.AutomationCondition[Any]", allowed.with_label("when_the_screens_change"))


def by_session(
    dataset: Dataset, deps: Sequence[Any], condition: dg.AutomationCondition[Any]
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declares an asset by session of the group."""
    shared: dict[str, Any] = {
        "name": dataset.name,
        "group_name": dataset.group,
        "description": description(dataset),
        "kinds": {"polars", "postgres"},
        "owners": ["team:strategies"],
        "metadata": {"dagster/column_schema": column_schema(dataset), "dagster/table_name": dataset.name},
        "partitions_def": SESSIONS,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "dagster_type": NOTHING,
        "output_required": False,
        "hooks": {tell_failure},
    }
    return cast(
        "Callable[[Callable[..., Any]], dg.AssetsDefinition]", dg.asset(deps=deps, automation_condition=condition, **shared)
    )


@by_session(SIGNALS, _SCREENED, when_the_screens_change())
def signals(
    context: dg.AssetExecutionContext, config: SignalsConfig, warehouse: WarehouseResource
) -> Iterator[dg.Output[None]]:
    rules, policy = rules_of_project(), _policy(config.policy)
    calendar = warehouse.calendar()
    sessions = asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest())
    events = Events(context)
    known = events.known()
    lacking = []

    def held_after(session: dt.date) -> frozenset[str] | None:
        return held(warehouse.database, calendar, session, rules.portfolio)

    for session, routed, news in route(warehouse.database, calendar, rules, sessions, policy=policy, held=held_after):
        if isinstance(routed, NotScreened):
            lacking.append(routed)
            continue
        failed = {"failed": table(pl.DataFrame(list(news.failed.items()), ["strategy", "why"], orient="row"))}
        events.materialized(
            _told(routed, rules.policy if policy is None else policy) | (failed if news.failed else {}), session.isoformat()
        )
    events.newest_last(known)
    if lacking:
        more = f" ({len(lacking) - 1} more sessions 另有 {len(lacking) - 1} 日)" if len(lacking) > 1 else ""
        raise Failed(f"{lacking[0]}{more}")
    yield everything_told()


@by_session(
    SIGNAL_STATISTICS,
    reduced([name for name in SIGNAL_STATISTICS.after if name == SIGNALS.name or name in ON]),
    when_the_screens_change(SIGNALS.name),
)
def signal_statistics(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.Output[None]]:
    rules, calendar = rules_of_project(), warehouse.calendar()
    events = Events(context)
    known = events.known()
    for session in asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest()):
        rows = statistics(warehouse.database, calendar, session, rules.benchmark)
        with warehouse.database.connect() as connection, connection.transaction():
            written = replace_rows(connection, SIGNAL_STATISTICS, rows, where={"trade_date": session})
        shown = {"preview": table(rows.drop("trade_date").with_columns(pl.col(pl.Float64).round(2)).head(_SHOWN))}
        events.materialized(_counts(rows, written) | shown, session.isoformat())
    events.newest_last(known)
    yield everything_told()


@dg.op(description=f"Marks expired signals, forgets old ones 清理过期信号. {_RULES}")
def clean_signals(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
    cleaned = clean(warehouse.database, warehouse.calendar(), rules_of_project())
    context.add_output_metadata({"expired": cleaned.expired, "forgotten": cleaned.forgotten, "kept_from": str(cleaned.oldest)})


def rules_of_project() -> Rules:
    """What signals.toml says; a file that cannot be used fails the step with its sentence."""
    try:
        return load(registered().strategies)
    except ConfigurationError as error:
        raise Failed(str(error)) from None


def _policy(written: str) -> Policy | None:
    if not written:
        return None
    try:
        return Policy(written)
    except ValueError:
        names = ", ".join(Policy)
        raise Failed(f"there is no policy {written!r}: write {names} 没有规则 {written!r}，可选 {names}") from None


def _told(routed: Routed, policy: Policy) -> dict[str, Any]:
    accepted = routed.rows.filter(pl.col("status") == ACCEPTED)
    shown = routed.rows.sort(
        pl.col("status") != ACCEPTED, "direction", "priority", "strength", descending=[False, False, False, True]
    )
    columns = ["strategy", "direction", "ts_code", "name", "strength", "status", "conflict", "reason"]
    return _counts(routed.rows, routed.written) | {
        "accepted": accepted.height,
        "conflicts": sum(routed.conflicts.values()),
        "policy": policy.value,
        "decisions": table(shown.select(columns).with_columns(pl.col("strength").round(2)).head(_SHOWN)),
    }


def _counts(rows: "pl.DataFrame", written: Upserted) -> dict[str, Any]:
    return origin() | {"dagster/row_count": rows.height, "inserted": written.inserted, "updated": written.updated}
