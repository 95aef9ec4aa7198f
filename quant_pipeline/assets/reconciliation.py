"""Reconciliation: a daily sample of the stored bars against a second source, as a report and a check."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, everything_told
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.reports import RECONCILIATION
from quant_pipeline.notify.messages import checks_failed
from quant_pipeline.partitions import SESSIONS, sessions_of
from quant_pipeline.resources.pushplus import PushPlusResource
from quant_pipeline.resources.sync import SyncResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sync.reconcile import (
    ERROR_BELOW,
    FIELDS,
    WARN_BELOW,
    Agreement,
    Reconciliation,
    judge,
    reconcile,
    sample,
)
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.upsert import replace_rows

_WINDOW = 20
"""Sessions that one sample is fetched for: a call by code brings them all."""
_AGREEMENT = """
SELECT field, second_source, sum(compared)::bigint AS compared, sum(agreeing)::bigint AS agreeing,
       100.0::float8 * sum(agreeing) / sum(compared) AS agreement,
       (array_agg(worst_code ORDER BY worst_difference DESC))[1] AS worst_code
FROM reconciliation WHERE trade_date BETWEEN %(start)s AND %(end)s AND dataset = %(dataset)s
GROUP BY field, second_source ORDER BY agreement, field, second_source
"""


class ReconciliationConfig(dg.Config):
    """What to compare. 对账选项"""

    codes: int = Field(30, ge=1, le=500, description="Codes in the sample: one call each. 抽样股票数，每只一次调用")
    seed: int = Field(1, description="Another seed draws other codes. 抽样种子")


@dg.asset(
    name=RECONCILIATION.name,
    deps=[DAILY_KLINE.name],
    group_name=RECONCILIATION.group,
    description=description(RECONCILIATION),
    kinds={"polars", "postgres"},
    owners=["team:market-data"],
    metadata={"dagster/column_schema": column_schema(RECONCILIATION), "dagster/table_name": RECONCILIATION.name},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    dagster_type=NOTHING,
    output_required=False,
    hooks={tell_failure},
)
def reconciliation(
    context: dg.AssetExecutionContext, config: ReconciliationConfig, sync: SyncResource
) -> Iterator[dg.Output[None]]:
    sessions = sessions_of(context.run.tags, sync.calendar)
    for first in range(0, len(sessions), _WINDOW):
        _compare(context, config, sync, sessions[first : first + _WINDOW])
    yield everything_told()


def _compare(
    context: dg.AssetExecutionContext, config: ReconciliationConfig, sync: SyncResource, sessions: Sequence[dt.date]
) -> None:
    """Samples codes of the window's last session, and compares them over the whole window."""
    database = sync.warehouse.database
    codes = sample(database, sessions[-1], config.codes, config.seed)
    stored = read(database, DAILY_KLINE, start=sessions[0], end=sessions[-1], codes=codes, columns=[*_COMPARED, "source"])
    found = reconcile(stored, _second_opinions(sync, codes, stored, sessions))
    by_session = found.agreement("trade_date").with_columns(dataset=pl.lit(DAILY_KLINE.name))
    for session in sessions:
        rows = by_session.filter(pl.col("trade_date") == session)
        with database.connect() as connection, connection.transaction():
            where = {"trade_date": session, "dataset": DAILY_KLINE.name}
            replace_rows(connection, RECONCILIATION, rows, where=where)
        metadata = origin() | {"dagster/row_count": rows.height, "sample": len(codes)}
        if session == sessions[-1]:
            metadata |= _report(found)
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=session.isoformat(), metadata=metadata))


_COMPARED = ("ts_code", "trade_date", *FIELDS)


def _second_opinions(
    sync: SyncResource, codes: Sequence[str], stored: pl.DataFrame, sessions: Sequence[dt.date]
) -> pl.DataFrame:
    """The codes' rows as every other source gives them, with `source`. A source that owns all rows is not asked again."""
    owners = stored["source"].unique().to_list()
    none = stored.clear()
    if not codes:
        return none
    not_from = owners if len(owners) == 1 else []
    opinions = sync.second_opinion(DAILY_KLINE, codes, sessions[0], sessions[-1], not_from=not_from)
    return pl.concat([none, *(rows.select(_COMPARED).with_columns(source=pl.lit(name)) for name, rows in opinions)])


def _report(found: Reconciliation) -> dict[str, Any]:
    agreement, worst = found.agreement(), found.worst()
    report: dict[str, Any] = {
        "rows_compared": found.rows,
        "second_sources": ", ".join(sorted(set(agreement["second_source"]))) or "none could be asked 无可用的第二数据源",
    }
    if not agreement.is_empty():
        report |= {"lowest_agreement": agreement["agreement"].min(), "agreement": table(agreement)}
    return report | ({"worst_differences": table(worst)} if not worst.is_empty() else {})


@dg.asset_check(
    asset=RECONCILIATION.name,
    name="sources_agree",
    description=f"多源一致 · A second source agrees with every field of the stored bars: below {WARN_BELOW:g} % a warning, "
    f"below {ERROR_BELOW:g} % an error.",
)
def sources_agree(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, pushplus: PushPlusResource
) -> dg.AssetCheckResult:
    calendar = warehouse.calendar()
    sessions = sessions_of(context.run.tags, calendar) or list(calendar.window(calendar.latest(), _WINDOW))
    span = {"start": sessions[0], "end": sessions[-1], "dataset": DAILY_KLINE.name}
    agreement = read_sql(warehouse.database, _AGREEMENT, span)
    verdict, text = judge(agreement), _text(agreement)
    if verdict is Agreement.BROKEN:
        current = settings.load()
        message = checks_failed(
            dataset=RECONCILIATION.name,
            sessions=f"{sessions[0]} .. {sessions[-1]}",
            failed=[("多源一致 sources_agree", text)],
            run_id=context.run.run_id,
            ui_url=current.ui_url,
            sandbox=current.sandboxed,
        )
        pushplus.tell(f"checks-failed:{context.run.run_id}:{RECONCILIATION.name}", message)
    return dg.AssetCheckResult(
        passed=verdict is Agreement.GOOD,
        severity=dg.AssetCheckSeverity.ERROR if verdict is Agreement.BROKEN else dg.AssetCheckSeverity.WARN,
        description=text,
        metadata=origin() | ({} if agreement.is_empty() else {"agreement": table(agreement)}),
    )


def _text(agreement: pl.DataFrame) -> str:
    """In one sentence; the rows come with the lowest agreement first."""
    if agreement.is_empty():
        return "no second source was asked for these sessions"
    lowest = agreement.row(0, named=True)
    return (
        f"the lowest agreement is {lowest['agreement']:.1f} %: {lowest['field']} with {lowest['second_source']} "
        f"({lowest['agreeing']} of {lowest['compared']} rows, farthest off {lowest['worst_code']})"
    )
