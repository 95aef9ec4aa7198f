"""The day at a glance: a row per session, and a page to look at."""

import datetime as dt
from collections.abc import Iterator
from typing import Any, cast

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.metadata import origin, page_link
from quant_pipeline.assets.screens import SCREENS
from quant_pipeline.language import told
from quant_pipeline.look import figures
from quant_pipeline.market import clock
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DAILY_KLINE, MARKET_OVERVIEW
from quant_pipeline.overview import report
from quant_pipeline.overview.day import NotStored, day_of
from quant_pipeline.overview.parts import Day, Turnover
from quant_pipeline.overview.row import row_of
from quant_pipeline.partitions import SESSIONS, asked_sessions
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.selections import ON
from quant_pipeline.switches import switched_off
from quant_pipeline.sync.progress import tell_step
from quant_pipeline.warehouse.upsert import replace_rows

_CATCH_UP = dt.timedelta(days=12)
"""How old a session may be for its overview to be made by itself."""
_READ = [name for name in MARKET_OVERVIEW.after if name in ON]
_SCREENED = [screen.key for screen in SCREENS]


def _when_the_day_changes() -> dg.AutomationCondition[Any]:
    """When the session's bars or screens are new; a hot list of every hour, or a board's members, make no new overview."""
    recent = dg.AutomationCondition.in_latest_time_window(_CATCH_UP)
    # A conjunction, as Dagster makes it, takes what it may look at; its declared type does not say so.
    eager = cast("Any", dg.AutomationCondition.eager().replace("in_latest_time_window", recent))
    allowed = eager.allow(dg.AssetSelection.assets(DAILY_KLINE.name, *_SCREENED)).with_label("when_the_day_changes")
    return cast("dg.AutomationCondition[Any]", allowed)


@dg.asset(
    name=MARKET_OVERVIEW.name,
    deps=[*_READ, *_SCREENED],
    group_name=MARKET_OVERVIEW.group,
    description=description(MARKET_OVERVIEW),
    kinds={"polars", "postgres"},
    owners=["team:market-data"],
    metadata={"dagster/column_schema": column_schema(MARKET_OVERVIEW), "dagster/table_name": MARKET_OVERVIEW.name},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=_when_the_day_changes(),
    dagster_type=NOTHING,
    output_required=False,
    hooks={tell_failure},
)
def market_overview(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.Output[None]]:
    tell_step(told("the day at a glance"))
    current, calendar, off = settings.load(), warehouse.calendar(), switched_off()
    lacking = []
    events = Events(context)
    known = events.known()
    for session in asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest()):
        try:
            day = day_of(warehouse.database, calendar, session, off=off)
        except NotStored:
            lacking.append(session)
            continue
        with warehouse.database.connect() as connection, connection.transaction():
            counts = replace_rows(connection, MARKET_OVERVIEW, row_of(day), where={"trade_date": session})
        shown = _metadata(day, current.pages_url) | {"inserted": counts.inserted, "updated": counts.updated}
        try:
            shown["report"] = dg.MetadataValue.path(report.save(current, day, clock.now()))
        except OSError as error:
            context.log.warning("the copy of %s could not be saved in %s: %s", session, current.home, error.strerror)
        events.materialized(shown, session.isoformat())
    events.newest_last(known)
    if lacking:
        raise Failed(
            told(
                "no bars are stored of {count} sessions: sync them first, `quant-pipeline sync --start {first} --end {last}`",
                count=len(lacking),
                first=lacking[0],
                last=lacking[-1],
            )
        )
    yield everything_told()


def _metadata(day: Day, pages_url: str) -> dict[str, Any]:
    breadth, limits, turnover = day.breadth, day.limits, day.turnover
    shown: dict[str, Any] = {
        "page": page_link(f"day/{day.session}"),
        **origin(),
        "dagster/row_count": 1,
        "up": breadth.up,
        "down": breadth.down,
        "flat": breadth.flat,
        "limit_up": limits.up,
        "limit_down": limits.down,
        "longest_limit_up_run": limits.highest,
    }
    lines = [
        f"**{figures.day(day.session)}** · [打开一日概览 Open the page]({pages_url}/day/{day.session})",
        "",
        f"- 上涨 {breadth.up:,} · 平 {breadth.flat:,} · 下跌 {breadth.down:,}，中位数 {figures.percent(breadth.median)}",
        f"- 涨停 {limits.up} · 跌停 {limits.down} · 炸板 {limits.broken} · 最高 {limits.highest} 连板",
    ]
    if isinstance(turnover, Turnover):
        shown["amount_yi"] = round(turnover.amount / 1e5, 2)
        against = f"，较前 {turnover.compared} 日均值 {figures.percent(turnover.against_mean)}" if turnover.compared else ""
        lines.append(f"- 成交额 {figures.yi(turnover.amount)} 亿元{against}")
    if not day.whole:
        lines.append(f"- ⚠ 行情不全：应有 {day.due:,} 只，缺 {len(day.missing):,} 只 incomplete")
    return shown | {"summary": dg.MetadataValue.md("\n".join(lines))}
