"""The paper portfolio that follows the signals: what it holds, risks and trades next; alerts beyond the thresholds."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.events import Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.lineage import reduced
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.assets.signals import by_session, rules_of_project, when_the_screens_change
from quant_pipeline.language import of_messages, speaking
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import PORTFOLIO_RISK, SIGNALS
from quant_pipeline.notify.messages import portfolio_at_risk
from quant_pipeline.partitions import asked_sessions
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.selections import ON
from quant_pipeline.signals.portfolio import Followed, follow, worth

_SHOWN = 50


@by_session(
    PORTFOLIO_RISK,
    reduced([name for name in PORTFOLIO_RISK.after if name == SIGNALS.name or name in ON]),
    when_the_screens_change(SIGNALS.name),
)
def portfolio_risk(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, notifier: NotifierResource
) -> Iterator[dg.Output[None]]:
    rules, calendar = rules_of_project(), warehouse.calendar()
    latest = calendar.latest()
    events = Events(context)
    known = events.known()
    failed = []
    for session in asked_sessions(context.run.tags, calendar, Partition.SESSION, latest):
        try:
            followed = follow(warehouse.database, calendar, rules, session)
        except ValueError as error:
            failed.append(f"{session}: {error}")
            continue
        if followed.new and session == latest:
            _alert(warehouse, notifier, followed)
        events.materialized(_told(followed), session.isoformat())
    events.newest_last(known)
    notifier.send_soon()
    if failed:
        raise Failed(failed[0] + (f" (+{len(failed) - 1})" if len(failed) > 1 else ""))
    yield everything_told()


def _alert(warehouse: WarehouseResource, notifier: NotifierResource, followed: Followed) -> None:
    """Once per session and set of figures; one that was beyond its threshold the session before has been told then."""
    current = settings.load()
    with speaking(of_messages()):
        line = worth(followed.row)
    largest = followed.positions.sort("weight", descending=True)
    message = portfolio_at_risk(
        session=followed.session,
        worth=line,
        alerts=list(followed.new.values()),
        holdings=[(f"{row['ts_code']} {row['name'] or ''}".strip(), f"{row['weight']:.2f}%") for row in largest.to_dicts()],
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )
    with warehouse.database.connect() as connection, connection.transaction():
        notifier.enqueue(connection, f"portfolio-risk:{followed.session}:{','.join(sorted(followed.new))}", message)


def _told(followed: Followed) -> dict[str, Any]:
    row, written = followed.row, followed.written
    orders = [
        {
            "ts_code": each.ts_code,
            "side": each.side,
            "shares": each.shares,
            "weight %": each.weight * 100,
            "reason": each.reason,
        }
        for each in followed.orders
    ]
    columns = ["ts_code", "name", "industry", "shares", "price", "weight"]
    shown = origin() | {
        "dagster/row_count": 1,
        "inserted": written.inserted,
        "updated": written.updated,
        "equity": round(row["equity"], 2),
        "exposure": round(row["exposure"], 2),
        "passed_over": followed.passed_over,
        "alerts": row["alerts"] or "none 无",
        "holdings": table(followed.positions.select(columns).with_columns(pl.col(pl.Float64).round(2)).head(_SHOWN)),
    }
    if row["var_95"] is not None:
        shown["var_95"] = round(row["var_95"], 3)
    if orders:
        shown["orders"] = table(pl.DataFrame(orders).with_columns(pl.col(pl.Float64).round(2)).head(_SHOWN))
    return shown
