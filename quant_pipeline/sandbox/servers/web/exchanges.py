"""The exchanges' own lists of stocks: Shanghai's JSON, Shenzhen's workbook, Beijing's JSONP."""

from __future__ import annotations

import io
from typing import Any

import orjson
import polars as pl
from openpyxl import Workbook

from quant_pipeline.sandbox.simulation.interface import Market

BSE_PAGE = 20
_EVERY_STOCK = 20_000
_SSE_BOARDS = {"1": "主板", "8": "科创板"}
"""STOCK_TYPE -> board; 2 are B shares, of which the sandbox has none."""
_SZSE_COLUMNS = ("板块", "A股代码", "A股简称", "A股上市日期", "A股总股本", "A股流通股本", "地区", "所属行业")
_BSE_FIELDS = (
    "fxssrq xxbldw xxbnsy xxcfgbz xxcqcx xxcyhbjq xxdqr xxdtjg xxdzdtjg xxdzztjg xxfcbj xxfxsgb xxghfl xxgprq xxgxsj xxhbzl "
    "xxhxcs xxhyzl xxisin xxjczq xxjgdw xxjsfl xxjsrq xxmbxl xxmgmz xxqtyw xxsbcs xxsldw xxsnsy xxssdq xxtpbz xxwltp xxxjxz "
    "xxyhsl xxywjc xxzbqs xxzgb xxzhbl xxzqdm xxzqjb xxzqjc xxzqqxr xxzrdw xxzrlx xxzrzt xxzsssl xxztjg xxzxsbsl"
)
"""Of a row, in the site's order: AKShare reads them by position. Those that the sandbox does not know are null."""


def sse(market: Market, stock_type: str) -> tuple[bytes, int]:
    """query.sse.com.cn: the listed stocks of a type, all on one page; the reply and its rows."""
    stocks = _listed(market, "SSE").filter(pl.col("market") == _SSE_BOARDS.get(stock_type, ""))
    rows = stocks.select(
        A_STOCK_CODE="symbol",
        B_STOCK_CODE=pl.lit("-"),
        SEC_NAME_CN="name",
        SEC_NAME_FULL="name",
        COMPANY_ABBR="name",
        FULL_NAME="name",
        LIST_DATE="list_date",
        DELIST_DATE=pl.lit("-"),
        AREA_NAME="area",
        CSRC_CODE_DESC="industry",
        STATE_CODE=pl.lit("2"),
    ).to_dicts()
    page = {"pageNo": 1, "pageSize": 10_000, "pageCount": 1, "total": len(rows), "data": rows}
    return orjson.dumps({"actionErrors": [], "actionMessages": [], "pageHelp": page, "result": rows}), len(rows)


def szse(market: Market) -> tuple[bytes, int]:
    """www.szse.cn: the workbook of the A-shares (without their shares, which AKShare does not read here)."""
    stocks = _listed(market, "SZSE")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("A股列表")
    sheet.append(_SZSE_COLUMNS)
    table = stocks.select(
        "market",
        "symbol",
        "name",
        pl.col("list_date").str.replace(r"(\d{4})(\d{2})(\d{2})", "$1-$2-$3"),
        *(pl.lit(None).alias(column) for column in ("total_share", "float_share")),
        "area",
        "industry",
    )
    for row in table.iter_rows():
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue(), len(stocks)


def bse(market: Market, page: int) -> tuple[bytes, int]:
    """www.bse.cn: a page (from 0) of 20 stocks, as `null([{…}])`."""
    stocks = _listed(market, "BSE").sort("symbol")
    shown = stocks.slice(page * BSE_PAGE, BSE_PAGE).select(
        fxssrq="list_date", xxhyzl="industry", xxssdq="area", xxzqdm="symbol", xxzqjc="name", xxfcbj=pl.lit("2")
    )
    pages = -(-len(stocks) // BSE_PAGE)
    content: list[dict[str, Any]] = [dict.fromkeys(_BSE_FIELDS.split()) | row for row in shown.iter_rows(named=True)]
    answer = {
        "content": content,
        "firstPage": page == 0,
        "lastPage": page >= pages - 1,
        "number": page,
        "numberOfElements": len(content),
        "size": BSE_PAGE,
        "sort": [],
        "totalElements": len(stocks),
        "totalPages": pages,
    }
    return b"null([" + orjson.dumps(answer) + b"])", len(content)


def _listed(market: Market, exchange: str) -> pl.DataFrame:
    return market.frame("stock_basic", {"exchange": exchange, "list_status": "L"}, _EVERY_STOCK)
