"""Each source over a real socket: what the simulated exchange has comes back in 股 and 元, and nothing is made up."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest
import requests

from quant_pipeline.market import clock
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.quotes.quote import Quote
from quant_pipeline.quotes.sina import Sina
from quant_pipeline.quotes.tencent import Tencent, TencentRanks
from quant_pipeline.quotes.tushare_rt import TushareRealtime
from quant_pipeline.quotes.upstream import UNKNOWN, Upstream, shares
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.failures import SourceError

SITES = ["tencent", "sina"]
_LINE = (
    "1~浦发银行~{code}~{price}~10.00~10.10~1000~~~" + "0.00~0~" * 10 + "~20261120103000~0.50~5.00~10.60~10.05~"
    "10.50/1000/1050000~1000~105~~~~" + "~" * 12
)
"""A line of Tencent's with what a test varies."""


def site(name: str, hosts: Hosts) -> Upstream:
    match name:
        case "tencent":
            return Tencent(hosts.tencent)
        case "sina":
            return Sina(hosts.sina)
    assert hosts.tushare is not None
    return TushareRealtime(hosts.tushare, hosts.token)


def asked(name: str, hosts: Hosts, codes: list[str]) -> dict[str, Quote]:
    return {quote.ts_code: quote for quote in site(name, hosts).fetch(codes, clock.now()).quotes}


@pytest.fixture
def traded(market: SimulatedMarket) -> pl.DataFrame:
    """What the exchange has now of the shares that are not halted."""
    return market.frame("quotes", {}, 1_000).filter(~pl.col("halted"))


@pytest.mark.parametrize("name", [*SITES, "tushare"])
def test_what_the_exchange_has_comes_back_in_shares_and_yuan(name: str, hosts: Hosts, traded: pl.DataFrame) -> None:
    boards = [
        traded.filter(pl.col("ts_code").str.starts_with(head))["ts_code"][0] for head in ("600", "688", "000", "300", "920")
    ]
    got = asked(name, hosts, boards)
    assert list(got) == boards
    for row in traded.filter(pl.col("ts_code").is_in(boards)).iter_rows(named=True):
        quote = got[row["ts_code"]]
        assert (quote.name, quote.price, quote.pre_close) == (row["name"], row["close"], row["pre_close"])
        assert (quote.open, quote.high, quote.low) == (row["open"], row["high"], row["low"])
        assert quote.volume == row["vol"]
        assert quote.amount == pytest.approx(row["amount"], abs=1)
        assert quote.bids[0] == (row["bid_price1"], row["bid_volume1"])
        assert quote.asks[0] == (row["ask_price1"], row["ask_volume1"])
        assert quote.exchange_time == dt.datetime(2026, 11, 20, 10, 30, tzinfo=EXCHANGE_ZONE)
        assert (quote.status, quote.source, quote.received_at) == ("trading", name, clock.now())


@pytest.mark.parametrize("name", SITES)
def test_five_orders_stand_on_each_side_the_best_first(name: str, hosts: Hosts, traded: pl.DataFrame) -> None:
    (quote,) = asked(name, hosts, [traded["ts_code"][0]]).values()
    bids, asks = [price for price, _ in quote.bids], [price for price, _ in quote.asks]
    assert (bids, asks) == (sorted(bids, reverse=True), sorted(asks))
    assert len(bids) == len(asks) == 5


@pytest.mark.parametrize("name", SITES)
def test_the_market_is_that_of_the_suffix(name: str, hosts: Hosts, market: SimulatedMarket) -> None:
    index = market.frame("quotes", {"ts_code": "000001.SH"}, 1)
    got = site(name, hosts).fetch(["000001.SH", "000016.SZ", "000016.SH"], clock.now())
    quotes = {quote.ts_code: quote for quote in got.quotes}
    assert quotes["000001.SH"].name == "上证指数"
    assert quotes["000001.SH"].price == pytest.approx(index["close"][0], abs=0.01)
    assert quotes["000016.SH"].name == "上证50"
    stocks = market.frame("quotes", {}, 1_000)["ts_code"]
    assert ("000016.SZ" in quotes) is ("000016.SZ" in stocks)


@pytest.mark.parametrize("name", [*SITES, "tushare"])
def test_what_a_site_does_not_know_is_named(name: str, hosts: Hosts, traded: pl.DataFrame) -> None:
    known = traded["ts_code"][0]
    got = site(name, hosts).fetch([known, "699999.SH"], clock.now())
    assert [quote.ts_code for quote in got.quotes] == [known]
    assert got.refused == {"699999.SH": UNKNOWN}
    nothing = site(name, hosts).fetch(["699999.SH"], clock.now())  # Tencent has one line for it, of another form
    assert (nothing.quotes, dict(nothing.refused)) == ((), {"699999.SH": UNKNOWN})


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("how", ["cut", "whole"])
def test_half_an_answer_is_a_failure(name: str, how: str, hosts: Hosts, sandbox: Rehearsal, traded: pl.DataFrame) -> None:
    """Also one that bears a true length and no sign of what it lacks."""
    sandbox.order_fault("half", server=name, code=how)
    with pytest.raises(SourceError):
        site(name, hosts).fetch(traded["ts_code"][:20].to_list(), clock.now())


def test_a_line_that_sina_leaves_out_is_a_failure(hosts: Hosts, sandbox: Rehearsal, traded: pl.DataFrame) -> None:
    """The answer may be cut exactly between two lines: it has one for every code, the unknown too."""
    sandbox.order_fault("half", server="sina", code="whole_lines")
    with pytest.raises(SourceError, match="lacks the lines of 5 codes"):
        site("sina", hosts).fetch(traded["ts_code"][:10].to_list(), clock.now())


def test_sina_wants_to_be_named(sandbox: Rehearsal) -> None:
    address = f"{sandbox.sina_quotes_url}/rn=1&list=sh000001"
    assert requests.get(address, timeout=10).status_code == 403
    assert requests.get(address, headers={"Referer": "https://finance.sina.com.cn/"}, timeout=10).status_code == 200


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize(("fault", "order"), [("status", {"status": 403}), ("html", {}), ("disconnect", {})])
def test_a_ban_and_a_cut_line_are_failures_in_words(
    name: str, fault: str, order: dict[str, int], hosts: Hosts, sandbox: Rehearsal
) -> None:
    sandbox.order_fault(fault, server=name, **order)
    with pytest.raises(SourceError) as failure:
        site(name, hosts).fetch(["000001.SH"], clock.now())
    assert "Error" not in failure.value.text
    assert failure.value.text


@pytest.mark.parametrize("name", SITES)
def test_before_the_open_there_are_orders_and_no_price(
    name: str, hosts: Hosts, traded: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = traded["ts_code"][0]
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T09:20:00")
    (quote,) = asked(name, hosts, [code]).values()
    assert (quote.price, quote.open, quote.high, quote.low, quote.change) == (None, None, None, None, None)
    assert (quote.volume, quote.status) == (0, "auction")
    assert len(quote.bids) == len(quote.asks) == 1
    assert quote.bids[0][0] == quote.asks[0][0] == traded["open"][0]


@pytest.mark.parametrize("name", SITES)
def test_a_suspended_share_says_so(name: str, hosts: Hosts, market: SimulatedMarket) -> None:
    halted = market.frame("quotes", {}, 1_000).filter(pl.col("halted"))
    code, before = halted["ts_code"][0], halted["pre_close"][0]
    (quote,) = asked(name, hosts, [code]).values()
    assert (quote.status, quote.price, quote.volume, quote.open) == ("suspended", before, 0, None)
    assert (quote.bids, quote.asks) == ((), ())


@pytest.mark.parametrize("name", [*SITES, "tushare"])
def test_the_last_quote_is_the_day_s_bar(
    name: str, hosts: Hosts, market: SimulatedMarket, traded: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = traded["ts_code"][:40].to_list()
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T15:00:20")
    got = asked(name, hosts, codes)
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T18:00:00")
    for bar in market.frame("daily", {"trade_date": "20261120", "ts_code": ",".join(codes)}, 100).iter_rows(named=True):
        quote = got[bar["ts_code"]]
        assert (quote.open, quote.high, quote.low, quote.price) == (bar["open"], bar["high"], bar["low"], bar["close"])
        assert quote.volume == bar["vol"] * 100
        assert quote.amount == pytest.approx(bar["amount"] * 1_000, abs=1)
        assert (quote.pre_close, quote.status) == (bar["pre_close"], "closed")
    assert len(got) == len(codes)


def test_the_pages_of_the_ranks_are_the_market_each_code_once(hosts: Hosts, market: SimulatedMarket) -> None:
    got = TencentRanks(hosts.ranks).market(clock.now()).quotes
    rows = market.frame("quotes", {}, 1_000)
    assert sorted(quote.ts_code for quote in got) == rows["ts_code"].to_list()
    volumes = dict(rows.select("ts_code", "vol").iter_rows())
    assert all(quote.volume == volumes[quote.ts_code] for quote in got)


def test_a_lost_page_of_the_ranks_is_the_market_lost(hosts: Hosts, sandbox: Rehearsal) -> None:
    sandbox.order_fault("html", server="tencent", api="ranks", after=1)
    with pytest.raises(SourceError):
        TencentRanks(hosts.ranks).market(clock.now())


def test_the_market_by_rt_k_is_one_call(hosts: Hosts, sandbox: Rehearsal, market: SimulatedMarket) -> None:
    before = len(sandbox.calls("rt_k"))
    assert hosts.tushare is not None
    got = TushareRealtime(hosts.tushare, hosts.token).market(clock.now()).quotes
    assert {quote.ts_code for quote in got} == set(market.frame("quotes", {}, 1_000)["ts_code"])
    assert len(sandbox.calls("rt_k")) == before + 1


def test_an_account_without_rt_k_is_told_in_tushare_s_words(hosts: Hosts, sandbox: Rehearsal) -> None:
    sandbox.order_fault("permission", api="rt_k")
    with pytest.raises(SourceError, match="没有接口访问权限"):
        site("tushare", hosts).fetch(["600000.SH"], clock.now())


@contextmanager
def answering(text: str) -> Iterator[str]:
    """A site that answers everything with the text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode("gbk")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("number", "price", "why"),
    [
        ("600000", "10.50", None),
        ("000016", "10.50", "its line is not that of 600000.SH"),
        ("600000", "10.70", "its price 10.7 is not between its low 10.05 and its high 10.6"),
    ],
)
def test_a_line_of_another_security_or_of_figures_that_cannot_be_is_no_quote(number: str, price: str, why: str | None) -> None:
    with answering(f'v_sh600000="{_LINE.format(code=number, price=price)}";\n') as address:
        got = Tencent(address).fetch(["600000.SH"], clock.now())
    assert dict(got.refused) == ({} if why is None else {"600000.SH": why})
    assert [(quote.volume, quote.amount) for quote in got.quotes] == ([(100_000, 1_050_000.0)] if why is None else [])


@pytest.mark.parametrize(
    ("code", "volume", "amount", "last", "expected"),
    [
        ("600000.SH", 1_000.0, 1_050_000.0, 10.5, (100_000, 100)),  # in 手
        ("688981.SH", 1_000.0, 50_000.0, 50.0, (1_000, 1)),  # STAR in 股, as Tencent has it
        ("688981.SH", 1_000.0, 5_000_000.0, 50.0, (100_000, 100)),  # and in 手, should it change
        ("113052.SH", 1_000.0, 1_180_000.0, 118.0, (10_000, 10)),  # ten bonds are a 手
        ("600000.SH", 1_000.0, 5_000.0, 10.0, (None, 100)),  # half a share: one of the figures is wrong
        ("600000.SH", 1_000.0, None, 10.0, (None, 100)),
        ("600000.SH", 0.0, 0.0, 10.0, (0, 100)),
        ("000001.SH", 1_000.0, 3.0, 3_000.0, (100_000, 100)),  # an index: points are no price
    ],
)
def test_the_unit_of_a_volume_is_what_amount_and_price_tell(
    code: str, volume: float, amount: float | None, last: float, expected: tuple[int | None, int]
) -> None:
    assert shares(code, volume, amount, last) == expected
