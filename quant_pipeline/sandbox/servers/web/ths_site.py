"""同花顺's pages of boards, q.10jqka.com.cn: HTML in GBK, as far as AKShare reads it."""

from __future__ import annotations

from html import escape

import polars as pl

from quant_pipeline.sandbox.simulation.interface import Market

CONCEPTS_A_PAGE = 10
_EVERY_BOARD = 5_000
_INDUSTRY_PREFIX = "881"
"""Of the industries only the second level (881xxx) stands on the pages; 884xxx are the third."""
_PAGE_NUMBERS = 885_000 - 301_000
"""A concept's page has a number of its own (301558); its code (885558) is hidden in the page."""
_PAGE = """<!DOCTYPE html>
<html><head><meta http-equiv="Content-Type" content="text/html; charset=gbk"><title>{title} - 同花顺财经</title></head>
<body>
<input type="hidden" id="clid" value="{code}">
<div class="heading"><div class="board-hq"><h3>{title}<span>{code}</span></h3></div>
<div class="board-infos">{infos}</div></div>
<div class="category boxShadow"><div class="cate_inner">
{links}
</div></div>
</body></html>
"""


def industry_page(market: Market, code: str) -> tuple[bytes, int]:
    """/thshy/detail/code/881272/: a board's page, with the links to all of them; the page and its boards."""
    boards = _industries(market)
    links = [("thshy", code, name) for code, name in boards.select(_digits(), "name").iter_rows()]
    return _board_page(boards.filter(_digits() == code), code, links), len(boards)


def concept_page(market: Market, number: str) -> tuple[bytes, int]:
    """/gn/detail/code/301558/: a concept's page, with the links to all of them; the page and its boards."""
    boards = _concepts(market)
    links = [("gn", number, name) for number, name in boards.select(_page_number(), "name").iter_rows()]
    own = boards.filter(_page_number() == number)
    return _board_page(own, own["ts_code"][0][:6] if len(own) else "", links), len(boards)


def concept_table(market: Market, page: int) -> tuple[bytes, int]:
    """/gn/index/field/addtime/order/desc/page/1/ajax/1/: ten concepts, the youngest first; the page and its rows."""
    boards = _concepts(market).sort("list_date", "ts_code", descending=True, nulls_last=True)
    pages = max(1, -(-len(boards) // CONCEPTS_A_PAGE))
    shown = boards.slice((page - 1) * CONCEPTS_A_PAGE, CONCEPTS_A_PAGE)
    day = pl.col("list_date").str.replace(r"(\d{4})(\d{2})(\d{2})", "$1-$2-$3").fill_null("--")
    rows = [
        f"<tr><td>{day}</td><td>{_link('gn', number, name)}</td><td></td><td></td><td>{count}</td></tr>"
        for day, number, name, count in shown.select(day, _page_number(), "name", "count").iter_rows()
    ]
    head = "".join(f"<th>{title}</th>" for title in ("日期", "概念名称", "驱动事件", "龙头股", "成分股数量"))
    text = (
        f'<table class="m-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f'<div class="m-pager"><span class="page_info">{page}/{pages}</span></div>'
    )
    return _encoded(text), len(rows)


def _board_page(board: pl.DataFrame, code: str, links: list[tuple[str, str, str]]) -> bytes:
    title = board["name"][0] if len(board) else ""
    infos = "".join(f"<dl><dt>成分股数</dt><dd>{count}</dd></dl>" for count in board["count"])
    anchors = "\n".join(_link(*link) for link in links)
    return _encoded(_PAGE.format(title=escape(title), code=code, infos=infos, links=anchors))


def _link(room: str, number: str, name: str) -> str:
    return f'<a href="http://q.10jqka.com.cn/{room}/detail/code/{number}/" target="_blank">{escape(name)}</a>'


def _industries(market: Market) -> pl.DataFrame:
    boards = market.frame("ths_index", {"exchange": "A", "type": "I"}, _EVERY_BOARD)
    return boards.filter(pl.col("ts_code").str.starts_with(_INDUSTRY_PREFIX)).sort("ts_code")


def _concepts(market: Market) -> pl.DataFrame:
    return market.frame("ths_index", {"exchange": "A", "type": "N"}, _EVERY_BOARD).sort("ts_code")


def _digits() -> pl.Expr:
    return pl.col("ts_code").str.head(6)


def _page_number() -> pl.Expr:
    return (_digits().cast(pl.Int64) - _PAGE_NUMBERS).cast(pl.String)


def _encoded(text: str) -> bytes:
    return text.encode("gbk", errors="xmlcharrefreplace")
