"""Strategy screens: which codes a strategy picks in a session."""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl
import pydantic

from quant_pipeline import selections, settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, in_both
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.launchpad import fields_of, grouped
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import SIMULATED, origin, page_link, pictured, table
from quant_pipeline.charts.picture import Named, picture
from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DAILY_KLINE, SCREEN_RESULTS
from quant_pipeline.notify.messages import screen_ready
from quant_pipeline.partitions import SESSIONS, asked_sessions
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.strategies.base import Strategy, StrategyError
from quant_pipeline.strategies.panel import BARS, Sight, all_of
from quant_pipeline.strategies.registry import group_within, registered
from quant_pipeline.strategies.universe import Universe, UniverseError
from quant_pipeline.sync.progress import tell_step
from quant_pipeline.warehouse.panel import read_panel
from quant_pipeline.warehouse.screening import screened
from quant_pipeline.warehouse.screenings import Compared, former_hits, note_screening
from quant_pipeline.warehouse.upsert import replace_rows
from quant_pipeline.wrong_values import problems

_CHUNK = 250
"""Sessions screened in one pass: it bounds the memory of a long backfill."""
_CATCH_UP = dt.timedelta(days=12)
"""How old a session may be for its screen to run by itself when its bars arrive (a Golden Week and a bit)."""
_LISTED_HITS = 10
"""Hits that stand beside the picture of the best one."""
_CHARTED_BARS = 120
_LEFT_OUT = 100
"""So many codes that a strategy could not judge are named."""
_SHARED = 20
"""So many sessions at once share what all screens of the run need; of more, each screen reads what it needs itself."""
_CONCEPTS = 3
_UNIVERSE = "universe"
"""Beside a strategy's own parameters; none of them has this name."""
_UNIVERSE_FIELD = grouped(fields_of(Universe), "Which shares it looks at. 股票池")


def screen_asset(strategy: type[Strategy], *, by_itself: bool) -> dg.AssetsDefinition:
    """The screen of a strategy: an asset by session, its parameters in the launchpad, its hits in `screen_results`. It runs
    when it is asked to, and `by_itself` also when its data arrive."""

    @dg.asset(
        name=f"screen_{strategy.name}",
        deps=reduced(dict.fromkeys([*SCREEN_RESULTS.after, *strategy.needs])),
        group_name=group_within(SCREEN_RESULTS.group, strategy),
        description=_description(strategy),
        kinds={"polars", "postgres"},
        owners=["team:strategies"],
        metadata={"dagster/column_schema": column_schema(SCREEN_RESULTS), "dagster/table_name": SCREEN_RESULTS.name},
        partitions_def=SESSIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=_when_its_bars_arrive() if by_itself else None,
        dagster_type=NOTHING,
        output_required=False,
        hooks={tell_failure},
        config_schema={**fields_of(strategy.Parameters), _UNIVERSE: _UNIVERSE_FIELD},
    )
    def screen(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, notifier: NotifierResource
    ) -> Iterator[dg.Output[None]]:
        tell_step(told("the screen {name}", name=strategy.name))
        asked, universe = _asked(strategy, context.op_execution_context.op_config)
        calendar = warehouse.calendar()
        sessions = asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest())
        events = Events(context)
        known = events.known()
        screening = _Screening(asked, universe, events, calendar, warehouse, notifier, _screens_of(context))
        for first in range(0, len(sessions), _CHUNK):
            screening.run(sessions[first : first + _CHUNK])
        events.newest_last(known)
        yield everything_told()

    return screen


def _asked(strategy: type[Strategy], config: Mapping[str, Any]) -> tuple[Strategy, Universe]:
    """The strategy and the universe as the launchpad asks for them; Failed says what cannot be used."""
    parameters = {name: value for name, value in config.items() if name != _UNIVERSE}
    try:
        return strategy.with_parameters(parameters), Universe(**config[_UNIVERSE])
    except StrategyError as error:
        raise Failed(str(error)) from None
    except pydantic.ValidationError as error:
        raise Failed(f"{_UNIVERSE}: {problems(error)}") from None


def _screens_of(context: dg.AssetExecutionContext) -> list[type[Strategy]]:
    """The strategies whose screens the run executes."""
    names = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    return [strategy for strategy in registered().strategies.values() if f"screen_{strategy.name}" in names]


@dataclass
class _Screening:
    """One screen over some sessions. `beside`: the strategies that the run screens with, this one among them."""

    strategy: Strategy
    universe: Universe
    events: Events
    calendar: Calendar
    warehouse: WarehouseResource
    notifier: NotifierResource
    beside: Sequence[type[Strategy]]

    def run(self, sessions: Sequence[dt.date]) -> None:
        """Marks all the sessions at once, and writes them one by one, each as a whole."""
        sight = self.strategy.sight
        if len(sessions) <= _SHARED:
            sight = all_of([sight, *(each().sight for each in self.beside)])
        try:
            with self.warehouse.snapshot() as stored:
                market = self.warehouse.market(stored, self.calendar, sight, sessions)
                hits = screened(stored, self.calendar, self.strategy, self.universe, market)
        except (StrategyError, UniverseError) as error:
            raise Failed(str(error)) from None
        bars = dict(market.bars.group_by("trade_date").len().iter_rows())
        latest = self.calendar.latest()
        for session in sessions:
            found = hits.filter(pl.col("trade_date") == session)
            with self.warehouse.database.pool.connection() as connection, connection.transaction():
                former = former_hits(connection, self.strategy.name, self.calendar.shift(session, -1))
                where = {"screen": self.strategy.name, "trade_date": session}
                counts = replace_rows(connection, SCREEN_RESULTS, found, where=where)
                note_screening(connection, self.strategy.name, session, found.height)
                compared = None if former is None else Compared.of(found["ts_code"], former)
                if session == latest:
                    _announce(connection, self.notifier, self.strategy, session, found, compared, self.events.run_id)
            metadata: dict[str, Any] = {
                "page": _page_of(self.strategy, session),
                **origin(),
                "dagster/row_count": found.height,
                "inserted": counts.inserted,
                "updated": counts.updated,
                "bars_screened": bars.get(session, 0),
                "parameters": dg.MetadataValue.json(self.strategy.parameters.model_dump()),
            }
            if self.universe.chooses:
                metadata["universe"] = dg.MetadataValue.json(self.universe.asked)
            if self.strategy.left_out:
                metadata["left_out"] = dg.MetadataValue.json(dict(list(self.strategy.left_out.items())[:_LEFT_OUT]))
            if compared is not None:
                metadata |= {"new": len(compared.new), "kept": compared.kept, "gone": len(compared.gone)}
            if session == sessions[-1]:
                metadata |= _shown(self.strategy, self.warehouse, self.calendar, session, found, compared)
            self.events.materialized(metadata, session.isoformat())
        self.notifier.send_soon()


def _announce(
    connection: Any,
    notifier: NotifierResource,
    strategy: Strategy,
    session: dt.date,
    found: "pl.DataFrame",
    compared: Compared | None,
    run_id: str,
) -> None:
    """Tells the hits once: a re-run with the same hits is silent, one with other hits is news."""
    current = settings.load()
    told = hashlib.sha256("".join(found.sort("ts_code")["ts_code"]).encode()).hexdigest()[:16]
    page = str(_page_of(strategy, session).url)
    message = screen_ready(
        strategy=strategy.zh,
        session=session,
        hits=found,
        compared=compared,
        page_url=page,
        run_id=run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )
    notifier.enqueue(connection, f"screen:{strategy.name}:{session}:{told}", message)


def _shown(
    strategy: Strategy,
    warehouse: WarehouseResource,
    calendar: Calendar,
    session: dt.date,
    found: "pl.DataFrame",
    compared: Compared | None,
) -> dict[str, Any]:
    """The hits as a table, and the best one's picture with the lines that the strategy declares, the next ones beside it."""
    listed = table(_listed(found.head(50), compared))
    if found.is_empty():
        return {"hits": listed}
    charts = pictured(lambda: _drawn(strategy, warehouse, calendar, session, found), "charts")
    return {"hits": listed, "charts": charts}


def _listed(found: "pl.DataFrame", compared: Compared | None) -> "pl.DataFrame":
    """As a person reads it: what is new is marked so, of the concepts the first ones are named."""
    new = pl.col("ts_code").is_in([] if compared is None else list(compared.new))
    return found.select(
        pl.col("rank").alias("#"),
        pl.col("ts_code").alias("代码 code"),
        (pl.col("name").fill_null("") + pl.when(new).then(pl.lit(" 新")).otherwise(pl.lit(""))).alias("名称 name"),
        pl.col("close").alias("收盘 close"),
        pl.col("pct_chg").round(2).alias("涨跌% pct"),
        pl.col("score").round(4).alias("得分 score"),
        pl.col("reason").alias("理由 reason"),
        pl.col("industry").alias("行业 industry"),
        pl.col("concepts").str.split("、").list.head(_CONCEPTS).list.join("、").alias("概念 concepts"),
    )


def _drawn(
    strategy: Strategy, warehouse: WarehouseResource, calendar: Calendar, session: dt.date, found: "pl.DataFrame"
) -> bytes:
    best = found.row(0, named=True)
    sight, shown = all_of([strategy.sight, Sight.of({DAILY_KLINE.name: BARS}, 0)]), calendar.window(session, _CHARTED_BARS)
    with warehouse.snapshot() as stored:
        bars = read_panel(stored, calendar, sight, shown, codes=[best["ts_code"]]).frame()
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
    filters = "\n".join(f"- {name}: {field.description or ''}" for name, field in Universe.model_fields.items())
    hits = f"结果 Hits: {SCREEN_RESULTS.name}, screen = {strategy.name}"
    return (
        f"{in_both(strategy.zh, strategy.doc)}\n\n参数 Parameters:\n\n{parameters}\n\n"
        f"股票池 Universe (universe):\n\n{filters}\n\n{hits}"
    )


def _when_its_bars_arrive() -> dg.AutomationCondition[Any]:
    """Eager, but for the last sessions, not only for the newest partition: on a closed day that one lies in the future."""
    recent = dg.AutomationCondition.in_latest_time_window(_CATCH_UP)
    return dg.AutomationCondition.eager().replace("in_latest_time_window", recent).with_label("when_its_bars_arrive")


SCREENS = [
    screen_asset(strategy, by_itself=f"screen_{name}" in selections.SCREENS)
    for name, strategy in registered().strategies.items()
]
"""A screen per registered strategy, plug-ins included."""
