"""Kept live quotes: what is kept of a session, and whether it ends as the day's bar does."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.describe import column_schema, description
from quant_pipeline.assets.events import NOTHING, Events, everything_told
from quant_pipeline.assets.failures import Failed
from quant_pipeline.assets.labels import labelled
from quant_pipeline.assets.metadata import origin, page_link, table
from quant_pipeline.language import marked, told
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DAILY_KLINE, INTRADAY_QUOTES
from quant_pipeline.notify.messages import checks_failed
from quant_pipeline.partitions import SESSIONS, asked_sessions, sessions_of
from quant_pipeline.quotes.recorded import Recorded, ends, recorded
from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.settings import read as read_settings
from quant_pipeline.sync.comparison import TOLERANCES
from quant_pipeline.warehouse.reads import read_sql

CHECK = "ends_as_the_bar"
_COMPARED = ("close", "high", "low", "vol")
_SHOWN = 100
_NAMED = 5
_LATEST_SESSIONS = 20
_NOTHING = "未留存任何快照：当日无人订阅行情，或轮询未运行 nothing was kept: nobody watched a quote, or nothing polled"
_KEPT_DAYS = "SELECT DISTINCT trade_date FROM intraday_quotes WHERE trade_date = ANY(%(days)s::date[])"


@dg.asset(
    name=INTRADAY_QUOTES.name,
    group_name=INTRADAY_QUOTES.group,
    description=f"{description(INTRADAY_QUOTES)}\n\n开启 To switch it on: `QUANT_QUOTES_STORE=true` in `.env`, "
    "then start `quant-pipeline ui` or `serve` anew 写入 .env 后重启",
    kinds={"postgres"},
    owners=["team:market-data"],
    metadata={"dagster/column_schema": column_schema(INTRADAY_QUOTES), "dagster/table_name": INTRADAY_QUOTES.name},
    partitions_def=SESSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    dagster_type=NOTHING,
    output_required=False,
    hooks={tell_failure},
)
def intraday_quotes(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.Output[None]]:
    calendar = warehouse.calendar()
    events = Events(context)
    known = events.known()
    found = {
        session: recorded(warehouse.database, session)
        for session in asked_sessions(context.run.tags, calendar, Partition.SESSION, calendar.latest())
    }
    if not read_settings(QuotesSettings).stored and not any(each.rows for each in found.values()):
        raise Failed(
            told(
                "no quotes are kept: write QUANT_QUOTES_STORE=true into .env and start `quant-pipeline ui` or `serve` anew; "
                "what has gone by cannot be had any more"
            )
        )
    for session, kept in found.items():
        if kept.rows:
            events.materialized(_metadata(kept), session.isoformat())
        else:  # no rows are no product: the partition stays empty, and the page says why
            events.observed(origin() | {"dagster/row_count": 0, "note": _NOTHING}, session.isoformat())
    events.newest_last(known)
    yield everything_told()


def _metadata(kept: Recorded) -> dict[str, Any]:
    by_source = kept.by_source.rename({"source": "来源 source", "rows": "行数 rows", "codes": "代码 codes"})
    gaps = [(f"{start}", f"{end}", round(_minutes(start, end), 1)) for start, end in kept.gaps]
    shown: dict[str, Any] = {
        "page": page_link("quotes"),
        **origin(),
        "dagster/row_count": kept.rows,
        "codes": kept.codes,
        "first": f"{kept.first}",
        "last": f"{kept.last}",
        "source": ", ".join(kept.by_source["source"]),
        "by_source": table(by_source),
        "gaps": len(gaps),
        "minutes_without": round(sum(minutes for *_, minutes in gaps), 1),
    }
    if gaps:
        schema = ["从 from", "到 to", "分钟 minutes"]
        shown["gaps_listed"] = table(pl.DataFrame(gaps[:_SHOWN], schema=schema, orient="row"))
    return shown


def _minutes(start: dt.time, end: dt.time) -> float:
    day = dt.date.min
    return (dt.datetime.combine(day, end) - dt.datetime.combine(day, start)).total_seconds() / 60


@dg.asset_check(
    asset=INTRADAY_QUOTES.name,
    name=CHECK,
    additional_deps=[DAILY_KLINE.name],
    description="收于日线 · The last kept quote of each share ends as its daily bar: close, high and low to the 分, vol within "
    "what two honest sources may differ by. Shares whose quotes stop before 15:00 are not compared, and counted. A warning "
    "names those that differ. 每只股票最后一条快照的收盘、最高、最低、成交量与日线一致；未留存到收盘的不比较",
)
def ends_as_the_bar(
    context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource, notifier: NotifierResource
) -> dg.AssetCheckResult:
    calendar = warehouse.calendar()
    asked = sessions_of(context.run.tags, calendar) or list(calendar.window(calendar.latest(), _LATEST_SESSIONS))
    sessions = sorted(read_sql(warehouse.database, _KEPT_DAYS, {"days": asked})["trade_date"])
    last = ends(warehouse.database, sessions)
    compared = last.filter("whole", "bar")
    off = _differing(compared)
    codes = off["ts_code"].unique().sort().to_list()
    early, without = last.filter(~pl.col("whole")).height, last.filter("whole", ~pl.col("bar")).height
    text = _text(codes, compared.height, early, without)
    if codes:
        _tell(notifier, context.run.run_id, sessions, text)
    metadata = origin() | {"looked_at": compared.height, "differing": len(codes), "ended_early": early, "without_bar": without}
    if codes:
        metadata |= {"codes": ", ".join(codes[:_SHOWN]), "rows": table(off.head(_SHOWN))}
    return dg.AssetCheckResult(
        passed=not codes and compared.height > 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=for_readers(text),
        metadata=labelled(metadata),
    )


def _differing(compared: "pl.DataFrame") -> "pl.DataFrame":
    """A row per value that differs by more than two honest sources may: trade_date, ts_code, field, quoted, stored."""
    tolerances = TOLERANCES[DAILY_KLINE.name]
    parts = [
        compared.select(
            "trade_date",
            "ts_code",
            pl.lit(field).alias("field"),
            pl.col(f"{field}_quoted").cast(pl.Float64).alias("quoted"),
            pl.col(field).cast(pl.Float64).alias("stored"),
            tolerances[field].of(pl.col(field)).alias("tolerated"),
        )
        for field in _COMPARED
    ]
    off = pl.concat(parts).filter((pl.col("quoted") - pl.col("stored")).abs() > pl.col("tolerated"))
    return off.sort("trade_date", "ts_code", maintain_order=True)


_WHOLE = marked("the last quotes of {count} shares end as their daily bars")
_OFF = marked("{count} shares end otherwise than their daily bars: {codes}")
_NONE = marked("nothing was compared")
_EARLY = marked("{count} are kept to before the close only")
_WITHOUT = marked("{count} have no daily bar yet: sync the session, then run the check again")


def _text(codes: Sequence[str], compared: int, early: int, without: int) -> str:
    if codes:
        named = ", ".join(codes[:_NAMED]) + (", …" if len(codes) > _NAMED else "")
        said = [told(_OFF, count=len(codes), codes=named)]
    else:
        said = [told(_WHOLE, count=compared) if compared else _NONE]
    said += [told(template, count=count) for template, count in ((_EARLY, early), (_WITHOUT, without)) if count]
    return "; ".join(said)


def _tell(notifier: NotifierResource, run_id: str, sessions: Sequence[dt.date], text: str) -> None:
    current = settings.load()
    message = checks_failed(
        dataset=INTRADAY_QUOTES.name,
        sessions=f"{sessions[0]} .. {sessions[-1]}",
        failed=[(f"收于日线 {CHECK}", text)],
        run_id=run_id,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
    )
    notifier.tell(f"quotes-differ:{run_id}", message)
