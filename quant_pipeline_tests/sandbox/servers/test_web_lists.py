"""The lists of the sandbox's web sites, as the sites write them: what AKShare's own functions cannot show is looked at here."""

from __future__ import annotations

import io
from itertools import count

import openpyxl
import orjson
import polars as pl
import pytest

from quant_pipeline.sandbox.servers.web import eastmoney_lists, exchanges, ths_site
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

EVERY = 100_000


def listed(data: SimulatedMarket, **asked: str) -> list[str]:
    return data.frame("stock_basic", {"list_status": "L", **asked}, EVERY)["symbol"].to_list()


@pytest.mark.parametrize(("stock_type", "board"), [("1", "主板"), ("8", "科创板"), ("2", "B股")])
def test_shanghai_lists_a_type_of_stocks(market: SimulatedMarket, stock_type: str, board: str) -> None:
    body, rows = exchanges.sse(market, stock_type)
    result = orjson.loads(body)["result"]
    assert [row["A_STOCK_CODE"] for row in result] == listed(market, exchange="SSE", market=board)
    assert rows == len(result)


def test_shenzhens_workbook_keeps_codes_as_texts(market: SimulatedMarket) -> None:
    body, rows = exchanges.szse(market)
    head, *table = openpyxl.load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True)
    assert [row[head.index("A股代码")] for row in table] == listed(market, exchange="SZSE")
    assert rows == len(table)


def test_beijing_lists_twenty_a_page(market: SimulatedMarket) -> None:
    pages = []
    for number in count():
        body, _ = exchanges.bse(market, number)
        assert body.startswith(b"null([")
        [page] = orjson.loads(body[len("null(") : -1])
        pages.append(page)
        if page["lastPage"]:
            break
    codes = [row["xxzqdm"] for page in pages for row in page["content"]]
    assert codes == sorted(listed(market, exchange="BSE"))
    assert len(pages) == pages[0]["totalPages"] == -(-len(codes) // exchanges.BSE_PAGE)
    assert list(pages[0]["content"][0])[38] == "xxzqdm"  # AKShare reads by position


def test_a_quotation_is_found_in_its_own_market_only(market: SimulatedMarket) -> None:
    """A BSE code asked for in Shanghai, as AKShare does, has no row; the others come in the order of the question."""
    bse, sh, sz = (listed(market, exchange=name)[0] for name in ("BSE", "SSE", "SZSE"))
    asked = {"secids": f"0.{sz},1.{bse},1.{sh},0.{bse}", "fields": "f14,f3,f12,f2"}
    rows = orjson.loads(eastmoney_lists.quotations(market, asked)[0])["data"]["diff"]
    assert [row["f12"] for row in rows] == [sz, sh, bse]
    assert [list(row) for row in rows] == [["f2", "f3", "f12", "f14"]] * 3


def test_the_hot_rank_begins_with_the_most_traded(market: SimulatedMarket) -> None:
    rows = orjson.loads(eastmoney_lists.hot_ranks(market, 100)[0])["data"]
    traded = market.frame("daily", {"trade_date": "20261120"}, EVERY).sort("amount", descending=True)
    assert [row["rk"] for row in rows] == list(range(1, 101))
    assert rows[0]["sc"] == traded["ts_code"].str.replace(r"(\d{6})\.(\w\w)", "$2$1")[0]


def test_funds_come_in_pages_of_a_hundred_until_there_are_no_more(market: SimulatedMarket) -> None:
    asked = {"pz": "500", "po": "1", "fid": "f12", "fields": "f12,f14,f999"}
    pages = []
    for number in count(1):
        body, rows = eastmoney_lists.fund_spot(market, asked | {"pn": str(number)})
        data = orjson.loads(body)["data"]
        if data is None:
            break
        assert rows == len(data["diff"]) <= eastmoney_lists.LONGEST_PAGE
        pages.append(data)
    codes = [row["f12"] for page in pages for row in page["diff"]]
    every = market.frame("fund_basic", {"market": "E", "status": "L"}, EVERY)["ts_code"].str.head(6)
    assert codes == sorted(every, reverse=True)
    assert {row["f999"] for page in pages for row in page["diff"]} == {"-"}


def test_an_unknown_fund_has_no_bars(market: SimulatedMarket) -> None:
    body, rows = eastmoney_lists.fund_bars(market, "588999.SH", {"beg": "20260101", "end": "20261120"})
    assert orjson.loads(body)["data"] is None
    assert rows == 0


def test_a_funds_change_is_counted_from_the_raw_close_on_an_ex_date_too(market: SimulatedMarket) -> None:
    bars = market.frame("fund_daily", {"start_date": "20260101", "end_date": "20261120"}, EVERY).sort("ts_code", "trade_date")
    closes = bars.with_columns(last=pl.col("close").shift().over("ts_code")).filter(
        pl.col("last") - pl.col("pre_close") > 0.002
    )
    fund, day, close, last = closes.select("ts_code", "trade_date", "close", "last").row(0)
    body, rows = eastmoney_lists.fund_bars(market, fund, {"beg": day, "end": day})
    assert rows == 1
    [line] = orjson.loads(body)["data"]["klines"]
    assert float(line.split(",")[9]) == pytest.approx(close - last, abs=0.0006)


def test_bonds_have_their_columns_at_the_places_that_akshare_reads(market: SimulatedMarket) -> None:
    rows = orjson.loads(eastmoney_lists.bonds(market, {"pageSize": "500", "pageNumber": "1"})[0])["result"]["data"]
    places = {0: "SECURITY_CODE", 5: "LISTING_DATE", 16: "ACTUAL_ISSUE_SCALE", 38: "SECURITY_SHORT_NAME", 49: "TRANSFER_PRICE"}
    assert {place: list(rows[0])[place] for place in places} == places
    assert len(rows[0]) == 72
    past = orjson.loads(eastmoney_lists.bonds(market, {"pageSize": "500", "pageNumber": "99"})[0])
    assert (past["result"], past["code"]) == (None, 9201)


def test_the_boards_pages_are_gbk_with_every_board_on_them(market: SimulatedMarket) -> None:
    boards = market.frame("ths_index", {"exchange": "A", "type": "I"}, EVERY).filter(pl.col("ts_code").str.starts_with("881"))
    code = boards["ts_code"][0][:6]
    body, rows = ths_site.industry_page(market, code)
    text = body.decode("gbk")
    assert all(name in text for name in boards["name"])
    assert f'id="clid" value="{code}"' in text
    assert rows == len(boards)


def test_a_concepts_page_has_a_number_that_is_not_its_code(market: SimulatedMarket) -> None:
    concepts = market.frame("ths_index", {"exchange": "A", "type": "N"}, EVERY)
    code = concepts["ts_code"][0][:6]
    links = ths_site.concept_table(market, 1)[0].decode("gbk")
    body, rows = ths_site.concept_page(market, str(int(code) - 885_000 + 301_000))
    text = body.decode("gbk")
    assert f'id="clid" value="{code}"' in text
    assert all(name in text for name in concepts["name"])
    assert rows == len(concepts)
    assert "/gn/detail/code/30" in text
    assert "/gn/detail/code/885" not in text + links
