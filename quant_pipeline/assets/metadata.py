"""What a materialization shows: figures with stable keys (the UI plots them), a preview table, a picture."""

from __future__ import annotations

import base64
import datetime as dt
import logging
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.charts.periods import Frequency
from quant_pipeline.charts.picture import Named, picture
from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.retelling import for_readers
from quant_pipeline.strategies.indicators import add
from quant_pipeline.sync.engine import Outcome
from quant_pipeline.sync.ledger import Item
from quant_pipeline.warehouse.reads import read

SIMULATED = "SANDBOX 沙盒：模拟行情，非真实数据"
SANDBOX_NOTE = "SANDBOX 沙盒: simulated numbers, not the market"
_logger = logging.getLogger(__name__)
_PREVIEW_ROWS = 10
_PANE, _PADDING = 64, 3
"""Signs that fit beside each other into an asset's Overview at 1,440 pixels, and what a cell's border takes of them."""
_FIRST = ("ts_code", "close", "pct_chg", "amount", "vol")
"""What a person looks for first in bars; other data sets keep their own order."""
_FREQUENCIES = {DAILY_KLINE.name: Frequency.DAY, WEEKLY_KLINE.name: Frequency.WEEK, MONTHLY_KLINE.name: Frequency.MONTH}
_DAYS_OF_A_BAR = {Frequency.DAY: 1.6, Frequency.WEEK: 7.5, Frequency.MONTH: 31}
_CHARTED_BARS = 120
_CHARTED_LINES = {"ma5": "MA5", "ma20": "MA20"}
_LOOKBACK = 20
_LISTED = 10
"""Names beside a picture."""


def origin() -> dict[str, Any]:
    """Says SANDBOX where the numbers are simulated."""
    return {"origin": SANDBOX_NOTE if settings.load().sandboxed else "live 实盘数据"}


def unit_metadata(item: Item) -> dict[str, Any]:
    """A unit's counts and costs. A session that came code by code has none of its own: they are those of the codes."""
    by_code = item.calls + item.attempts == 0
    costs = {
        "inserted": item.inserted,
        "updated": item.updated,
        "unchanged": item.unchanged,
        "rejected": item.rejected,
        "calls": item.calls,
        "attempts": item.attempts,
        "seconds": round(item.seconds, 3),
    }
    return origin() | {
        "dagster/row_count": item.rows,
        **({"fetched": "code by code, with the other sessions 按代码获取（多个交易日一起）"} if by_code else costs),
        "missing": item.missing,
        **({"unreadable": item.unreadable} if item.unreadable else {}),
        "source": item.source or "",
        **({"not_whole": for_readers(item.error)} if item.error else {}),
    }


def before_metadata(item: Item) -> dict[str, Any]:
    """What an event says of a unit that another run synced: nothing was fetched for it."""
    costs = dict.fromkeys(("inserted", "updated", "calls", "attempts"), 0) | {"seconds": 0.0}
    return origin() | {
        "dagster/row_count": item.rows,
        **costs,
        "unchanged": item.rows,
        "missing": item.missing,
        "source": item.source or "",
        "synced_at": f"{item.finished_at.astimezone(EXCHANGE_ZONE):%Y-%m-%d %H:%M}" if item.finished_at else "",
        "note": "was there before, nothing was fetched 此前已同步，本次未获取",
        **({"not_whole": for_readers(item.error)} if item.error else {}),
    }


def run_metadata(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What a run over several units came to, in words; `seconds` as they passed, not summed over calls at once."""
    found = f"{len(outcome.synced):,} units 单元 · {outcome.total('calls'):,} calls 调用 · "
    changes = f"{outcome.total('inserted'):,} new 新增 · {outcome.total('updated'):,} changed 变更"
    return {"this_run": f"{found}{changes} · {seconds:,.1f} s 秒"}


def sum_metadata(outcome: Outcome) -> dict[str, Any]:
    """The counts and costs of a list that came part by part."""
    counters = ("inserted", "updated", "unchanged", "rejected", "calls", "seconds")
    sums = {counter: round(outcome.total(counter), 3) for counter in counters}
    return origin() | {"dagster/row_count": outcome.total("rows"), **sums, "source": ", ".join(outcome.sources)}


def preview(warehouse: WarehouseResource, dataset: Dataset, session: dt.date | None) -> dict[str, Any]:
    """A few rows as a table; for K-lines the most traded ones, the page and the picture of the first of them."""
    rows = read(warehouse.database, dataset, start=session, end=session)
    if dataset.name not in _FREQUENCIES or session is None or rows.is_empty():
        return _fitted(warehouse, dataset, rows.head(_PREVIEW_ROWS))
    top = rows.sort("amount", descending=True, nulls_last=True).head(_LISTED + 1)
    return _most_traded(warehouse, dataset, session, top) | _fitted(warehouse, dataset, top.head(_PREVIEW_ROWS))


def _fitted(warehouse: WarehouseResource, dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any]:
    """The rows as a table that the narrowest pane shows whole: code and name in one cell, then as many columns as fit.

    The pane cuts what is wider, and breaks Chinese to a character a line where it is tight. The session is the event's own.
    """
    shown = rows.drop("source", "trade_date", strict=False) if dataset.dated else rows.drop("source", strict=False)
    if "ts_code" in shown.columns and "name" not in dataset.column_names:
        names = names_of(warehouse, shown["ts_code"].to_list())
        shown = shown.with_columns(name=pl.col("ts_code").replace_strict(names, default=""))
    if {"ts_code", "name"} <= set(shown.columns):
        both = pl.concat_str("ts_code", pl.lit(" "), pl.col("name").fill_null("")).str.strip_chars()
        shown = shown.with_columns(ts_code=both).select("ts_code", pl.exclude("ts_code", "name"))
    first = [name for name in _FIRST if name in shown.columns]
    shown = shown.select(*first, pl.exclude(first)) if first else shown
    chinese = {column.name: column.zh for column in dataset.columns}
    plain = shown.with_columns(
        pl.col(pl.Date, pl.Datetime).cast(pl.String).str.replace_all("-", "\u2011"),
        pl.col(pl.Float64, pl.Float32).round(4),
    )
    kept: list[str] = []
    room = _PANE
    for name in plain.columns:
        written = plain[name].cast(pl.String).fill_null("")
        cells = max((_width(cell) for cell in written), default=0)
        room -= max(cells, _width(name), _width(chinese.get(name, ""))) + _PADDING
        if room < 0 and kept:
            break
        kept.append(name)
    told = {"preview": table(plain.select(kept).rename({name: f"{name} {chinese.get(name, '')}".strip() for name in kept}))}
    more = [name for name in plain.columns if name not in kept]
    return told | ({"more_columns": ", ".join(f"{name} {chinese.get(name, '')}".strip() for name in more)} if more else {})


def _width(text: str) -> int:
    """In columns of a fixed-width font: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _most_traded(warehouse: WarehouseResource, dataset: Dataset, session: dt.date, top: pl.DataFrame) -> dict[str, Any]:
    frequency, code = _FREQUENCIES[dataset.name], top["ts_code"][0]
    address = f"k/{code}" if frequency is Frequency.DAY else f"k/{code}?freq={frequency}"
    return {
        "page": page_link(address),
        "candlesticks": pictured(lambda: _drawn(warehouse, dataset, session, top), "candlesticks"),
    }


def _drawn(warehouse: WarehouseResource, dataset: Dataset, session: dt.date, top: pl.DataFrame) -> bytes:
    """The K-line of the first of `top`, its bars up to the session, and the others' names beside it."""
    frequency, code = _FREQUENCIES[dataset.name], top["ts_code"][0]
    start = session - dt.timedelta(days=round(_DAYS_OF_A_BAR[frequency] * (_CHARTED_BARS + _LOOKBACK)))
    raw = read(warehouse.database, dataset, start=start, end=session, codes=[code])
    adjusted = adjust(raw, read(warehouse.database, ADJ_FACTOR, start=start, end=session, codes=[code]), "qfq")
    whole = adjusted["close"].null_count() == 0
    named = names_of(warehouse, top["ts_code"].to_list())
    return picture(
        add(adjusted if whole else raw, "MA5 MA20").tail(_CHARTED_BARS),
        code=code,
        name=named.get(code, ""),
        caption=f"{frequency.zh} {'前复权' if whole else '不复权'}",
        lines=_CHARTED_LINES,
        others=[
            Named(row["ts_code"], named.get(row["ts_code"], ""), row["pct_chg"], f"{(row['amount'] or 0) / 1e5:,.2f} 亿元")
            for row in top.tail(-1).iter_rows(named=True)
        ],
        others_are="成交额其次",
        note=SIMULATED if settings.load().sandboxed else "",
    )


def names_of(warehouse: WarehouseResource, codes: Sequence[str]) -> dict[str, str]:
    """Code -> short name, of those that have one."""
    rows = read(warehouse.database, STOCK_LIST, codes=codes, columns=["ts_code", "name"]).drop_nulls()
    return dict(rows.iter_rows())


def page_link(address: str) -> dg.UrlMetadataValue:
    """A link to one of our own pages: `k/600519.SH`."""
    return dg.MetadataValue.url(f"{settings.load().pages_url}/{address}")


def pictured(draw: Callable[[], bytes], alt: str) -> dg.MarkdownMetadataValue:
    """A picture in Markdown: the UI shows it, and no file is left behind. One that cannot be drawn (a plug-in's line that is
    none) is said: the rows are stored, and no picture is worth a run."""
    try:
        png = draw()
    except Exception:
        _logger.warning("the picture %s could not be drawn", alt, exc_info=True)
        return dg.MarkdownMetadataValue(
            "图片未能画出，数据已入库 The picture could not be drawn: `quant-pipeline history --logs`"
        )
    return dg.MarkdownMetadataValue(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(rows: pl.DataFrame) -> dg.TableMetadataValue:
    """A frame as a table in the UI. Its cells may be text, numbers or nothing: everything else is written out."""
    plain = rows.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))
    records = [dg.TableRecord(record) for record in plain.to_dicts()]
    columns = [dg.TableColumn(name, _shown_type(dtype)) for name, dtype in plain.schema.items()]
    return dg.TableMetadataValue(records, dg.TableSchema(columns))


def _shown_type(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "int"
    return "float" if dtype.is_numeric() else "bool" if dtype == pl.Boolean else "string"


def failures_table(items: Iterable[Item]) -> dg.TableMetadataValue:
    """Which units failed, and why (at most a hundred)."""
    shown = [
        {
            "unit": item.unit,
            "source": item.source or "",
            "class": item.error_class or "",
            "error": for_readers(item.error or ""),
        }
        for item in list(items)[:100]
    ]
    return table(pl.DataFrame(shown))
