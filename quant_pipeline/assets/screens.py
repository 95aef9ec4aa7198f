"""Strategy screens: which codes a strategy picks in a session."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl
import pydantic

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, in_both
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import SIMULATED, origin, page_link, pictured, table
from quant_pipeline.charts.picture import Named, picture
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DAILY_KLINE, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.notify.messages import screen_ready
from quant_pipeline.partitions import SESSIONS, asked_sessions
from quant_pipeline.resources.pushplus import PushPlusResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.panel import BARS, together
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline.warehouse.screenings import note_screening
from quant_pipeline.warehouse.upsert import replace_rows

_CHUNK = 250
"""Sessions screened in one pass: it bounds the memory of a long backfill."""
_CATCH_UP = dt.timedelta(days=12)
"""How old a session may be for its screen to run by itself when its bars arrive (a Golden Week and a bit)."""
_LISTED_HITS = 10
"""Hits that stand beside the picture of the best one."""
_CHARTED_BARS = 120


def screen_asset(strategy: type[Strategy]) -> dg.AssetsDefinition:
    """The screen of a strategy: an asset by session, its parameters in the launchpad, its hits in `screen_results`."""
    parameters = _config_of(strategy)

    @dg.asset(
        name=f"screen_{strategy.name}",
        deps=reduced(SCREEN_RESULTS.after),
        group_name=SCREEN_RESULTS.group,
        description=_description(strategy),
        kinds={"polars", "postgres"},
        owners=["team:strategies"],
        metadata={"dagster/column_schema": column_schema(SCREEN_RESULTS), "dagster/table_name": SCREEN_RESULTS.name},
        partitions_def=SESSIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=_when_its_bars_arrive(),
        dagster_type=NOTHING,
        output_required=False,
        hooks={tell_failure},
    )
    def screen(
        context: dg.AssetExecutionContext,
        config: parameters,  # type: ignore[valid-type]
        warehouse: WarehouseResource,
        pushplus: PushPlusResource,
    ) -> Iterator[dg.Output[None]]:
        chosen = strategy.with_parameters(config.model_dump())  # type: ignore[attr-defined]
        calendar = warehouse.calendar()
        sessions = asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest())
        events = Events(context)
        known = events.known()
        for first in range(0, len(sessions), _CHUNK):
            _screen(events, chosen, sessions[first : first + _CHUNK], calendar, warehouse, pushplus)
        events.newest_last(known)
        yield everything_told()

    return screen


def _screen(
    events: Events,
    strategy: Strategy,
    sessions: Sequence[dt.date],
    calendar: Calendar,
    warehouse: WarehouseResource,
    pushplus: PushPlusResource,
) -> None:
    with warehouse.snapshot() as stored:
        bars = read_panel(stored, calendar, together([strategy.needs]), sessions, strategy.lookback)
        names = stored.read(STOCK_LIST, columns=["ts_code", "name"])
        columns = ["ts_code", "trade_date", "close", "pct_chg"]
        quotes = stored.read(DAILY_KLINE, start=sessions[0], end=sessions[-1], columns=columns)
    hits = (
        strategy.screen(bars, sessions)
        .join(quotes, on=["ts_code", "trade_date"], how="left")
        .join(names, on="ts_code", how="left")
        .with_columns(screen=pl.lit(strategy.name), parameters=pl.lit(strategy.parameters.model_dump_json()))
        .select(SCREEN_RESULTS.column_names)
    )
    latest = calendar.latest()
    for session in sessions:
        found = hits.filter(pl.col("trade_date") == session).sort("score", descending=True)
        with warehouse.database.connect() as connection, connection.transaction():
            where = {"screen": strategy.name, "trade_date": session}
            counts = replace_rows(connection, SCREEN_RESULTS, found, where=where)
            note_screening(connection, strategy.name, session, found.height)
            if session == latest:
                _announce(connection, pushplus, strategy, session, found)
        metadata: dict[str, Any] = (
            {"page": _page_of(strategy, session)}
            | origin()
            | {
                "dagster/row_count": found.height,
                "inserted": counts.inserted,
                "updated": counts.updated,
                "bars_screened": bars.filter(pl.col("trade_date") == session).height,
                "parameters": dg.MetadataValue.json(strategy.parameters.model_dump()),
            }
        )
        if session == sessions[-1]:
            metadata |= _shown(strategy, warehouse, calendar, session, found)
        events.materialized(metadata, session.isoformat())
    pushplus.deliver()


def _announce(connection: Any, pushplus: PushPlusResource, strategy: Strategy, session: dt.date, found: pl.DataFrame) -> None:
    """Tells the hits once: a re-run with the same hits is silent, one with other hits is news."""
    current = settings.load()
    told = hashlib.sha256("".join(found.sort("ts_code")["ts_code"]).encode()).hexdigest()[:16]
    page = str(_page_of(strategy, session).url)
    message = screen_ready(strategy=strategy.zh, session=session, hits=found, page_url=page, sandbox=current.sandboxed)
    pushplus.enqueue(connection, f"screen:{strategy.name}:{session}:{told}", message)


def _shown(
    strategy: Strategy, warehouse: WarehouseResource, calendar: Calendar, session: dt.date, found: pl.DataFrame
) -> dict[str, Any]:
    """The hits as a table, and the best one's picture with the lines that the strategy declares, the next ones beside it."""
    if found.is_empty():
        return {"hits": table(found)}
    charts = pictured(lambda: _drawn(strategy, warehouse, calendar, session, found), "charts")
    return {"hits": table(found.head(50)), "charts": charts}


def _drawn(
    strategy: Strategy, warehouse: WarehouseResource, calendar: Calendar, session: dt.date, found: pl.DataFrame
) -> bytes:
    best = found.row(0, named=True)
    needs, shown = together([strategy.needs, {DAILY_KLINE.name: BARS}]), calendar.window(session, _CHARTED_BARS)
    with warehouse.snapshot() as stored:
        bars = read_panel(stored, calendar, needs, shown, strategy.lookback, codes=[best["ts_code"]])
    signals = strategy.judged(bars).select("ts_code", "trade_date", *strategy.lines)
    return picture(
        bars.join(signals, on=["ts_code", "trade_date"], how="left").sort("trade_date").tail(_CHARTED_BARS),
        code=best["ts_code"],
        name=best["name"] or "",
        caption=f"日线 前复权 · {strategy.zh} 得分 {_score(best)}",
        lines={column: strategy.headings.get(column, column) for column in strategy.lines},
        others=[
            Named(row["ts_code"], row["name"] or "", row["pct_chg"], f"得分 {_score(row)}")
            for row in found.slice(1, _LISTED_HITS).iter_rows(named=True)
        ],
        others_are=f"其次 · 共命中 {found.height} 只",
        note=SIMULATED if settings.load().sandboxed else "",
    )


def _page_of(strategy: Strategy, session: dt.date) -> dg.UrlMetadataValue:
    return page_link(f"screens/{strategy.name}/{session}")


def _score(hit: Mapping[str, Any]) -> str:
    return "–" if hit["score"] is None else f"{hit['score']:.2f}"


def _description(strategy: type[Strategy]) -> str:
    """What it looks for, in both languages; its parameters with their defaults, as the launchpad opens with them."""
    fields = strategy.Parameters.model_fields.items()
    parameters = "\n".join(f"- {name} = {field.default}: {field.description or ''}" for name, field in fields)
    hits = f"结果 Hits: {SCREEN_RESULTS.name}, screen = {strategy.name}"
    return f"{in_both(strategy.zh, strategy.doc)}\n\n参数 Parameters:\n\n{parameters}\n\n{hits}"


def _config_of(strategy: type[Strategy]) -> type[dg.Config]:
    """The strategy's parameters as run config, so that the launchpad shows each with its description."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in strategy.Parameters.model_fields.items()}
    return pydantic.create_model(f"{strategy.__name__}Config", __base__=dg.Config, **fields)


def _when_its_bars_arrive() -> dg.AutomationCondition[Any]:
    """Eager, but for the last sessions, not only for the newest partition: on a closed day that one lies in the future."""
    recent = dg.AutomationCondition.in_latest_time_window(_CATCH_UP)
    return dg.AutomationCondition.eager().replace("in_latest_time_window", recent).with_label("when_its_bars_arrive")


SCREENS = [screen_asset(strategy) for strategy in registered().strategies.values()]
"""A screen per registered strategy, plug-ins included."""
