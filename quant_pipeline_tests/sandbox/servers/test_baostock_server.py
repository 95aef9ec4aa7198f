"""The BaoStock protocol, through the unmodified client (in its process, with the guard) over real sockets."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest

from quant_pipeline.sandbox.addresses import HOST
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.servers.baostock_protocol import END, PAGE
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.baostock_client import Account
from quant_pipeline.sources.worker import ClientFailed, ClientProcess

SESSION, COMPACT = "2026-11-20", "20261120"
AT_ONCE = 0.8
"""Seconds without a byte after which the client gives up, where a test wants it to."""
DAILY = "date,code,open,high,low,close,preclose,volume,amount,adjustflag,turn,tradestatus,pctChg,isST"
ALL = 10_000_000


class Client:
    """The real client in its process, logged in at the sandbox by its first question."""

    def __init__(self, sandbox: Rehearsal) -> None:
        self.process = ClientProcess("quant_pipeline.sources.baostock_client")
        self.account = Account(HOST, sandbox.baostock_port, "anonymous", "123456")

    def answer(self, function: str, silence: float = 20.0, **parameters: str) -> tuple[list[str], list[list[str]], int]:
        answer: tuple[list[str], list[list[str]], int] = self.process.ask(
            "query", self.account, silence, ALL, function, parameters, timeout=30
        )
        return answer

    def frame(self, function: str, **parameters: str) -> pl.DataFrame:
        fields, rows, _ = self.answer(function, **parameters)
        return pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String), orient="row")

    def history(self, code: str, fields: str = DAILY, **parameters: str) -> pl.DataFrame:
        asked = {"start_date": "2026-01-05", "end_date": SESSION, "frequency": "d", "adjustflag": "3"}
        return self.frame("query_history_k_data_plus", code=code, fields=fields, **asked | parameters)

    def refusal(self, function: str, **parameters: Any) -> str:
        with pytest.raises(ClientFailed) as failed:
            self.answer(function, **parameters)
        return failed.value.text


@pytest.fixture(scope="module")
def shared(exchange: Exchange) -> Iterator[tuple[Rehearsal, Client]]:
    with running(exchange) as rehearsal:
        client = Client(rehearsal)
        yield rehearsal, client
        client.process.close()


@pytest.fixture
def sandbox(shared: tuple[Rehearsal, Client]) -> Iterator[Rehearsal]:
    yield shared[0]
    shared[0].clear_faults()


@pytest.fixture
def bs(shared: tuple[Rehearsal, Client], sandbox: Rehearsal) -> Client:
    del sandbox
    return shared[1]


def spelled(ts_code: str) -> str:
    return f"{ts_code[-2:].lower()}.{ts_code[:6]}"


def numbers(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.select(pl.col(column).cast(pl.Float64) for column in columns)


def test_a_session_of_the_whole_market_arrives_in_one_answer(bs: Client, market: SimulatedMarket) -> None:
    fields, rows, requests_made = bs.answer("query_daily_history_k_AStock", date=SESSION)
    assert requests_made == 1
    assert fields[:2] == ["date", "code"]
    served = pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String), orient="row")
    traded = served.filter(pl.col("tradestatus") == "1")
    daily = market.frame("daily", {"trade_date": COMPACT}, ALL).filter(~pl.col("ts_code").str.ends_with("BJ")).sort("ts_code")
    assert traded["code"].to_list() == [spelled(code) for code in daily["ts_code"]]
    figures = numbers(traded, "open", "high", "low", "close", "preclose", "volume", "amount")
    expected = daily.select(
        "open", "high", "low", "close", preclose="pre_close", volume=pl.col("vol") * 100, amount=pl.col("amount") * 1000
    )
    assert (figures - expected).select(pl.all().abs().max()).row(0) == pytest.approx((0.0,) * 7, abs=1e-4)
    assert rows[0][2].partition(".")[2] == rows[0][2][-4:]  # four decimals
    assert not any(row[1].startswith("bj") for row in rows)


def test_a_suspended_code_has_a_row_that_is_no_bar(bs: Client, market: SimulatedMarket) -> None:
    halted = bs.frame("query_daily_history_k_AStock", date=SESSION).filter(pl.col("tradestatus") == "0")
    suspended = market.frame("suspend_d", {"trade_date": COMPACT, "suspend_type": "S"}, ALL)
    whole = suspended.filter(pl.col("suspend_timing").is_null() & ~pl.col("ts_code").str.ends_with("BJ"))
    assert sorted(halted["code"]) == sorted(spelled(code) for code in whole["ts_code"])
    assert len(halted) > 0
    for price in ("open", "high", "low", "close"):
        assert halted[price].equals(halted["preclose"])
    assert set(halted["volume"]) <= {"", "0"}
    assert set(halted["turn"]) == {""}


def test_both_spellings_of_no_volume_occur(bs: Client) -> None:
    days = pl.concat(
        [bs.frame("query_daily_history_k_AStock", date=f"2026-11-{day}") for day in ("16", "17", "18", "19", "20")]
    )
    assert set(days.filter(pl.col("tradestatus") == "0")["volume"]) == {"", "0"}


def test_a_session_is_served_from_half_past_five_on(bs: Client, sandbox: Rehearsal) -> None:
    def at(time: str) -> int:
        sandbox.set_clock(f"{SESSION}T{time}")
        return len(bs.answer("query_daily_history_k_AStock", date=SESSION)[1])

    assert at("17:29") == 0
    assert at("17:30") > 250


def test_pages_of_2000_rows_are_asked_for_by_the_client(bs: Client, sandbox: Rehearsal) -> None:
    days, rows, requests_made = bs.answer("query_trade_dates", start_date="1990-12-19", end_date="2026-12-31")
    assert days == ["calendar_date", "is_trading_day"]
    assert requests_made == len(rows) // PAGE + 1 == 7
    pages = [call["params"]["page"] for call in sandbox.calls("query_trade_dates", server="baostock")]
    assert pages[-7:] == list("1234567")
    assert rows[0] == ["1990-12-19", "1"]
    assert len({row[0] for row in rows}) == len(rows)
    assert dict(map(tuple, rows))["2026-11-21"] == "0"


def test_a_history_gives_the_fields_that_were_asked_for(bs: Client, market: SimulatedMarket) -> None:
    code = market.frame("daily", {"trade_date": COMPACT}, ALL)["ts_code"][0]
    history = bs.history(spelled(code), "close,date,isST")
    assert history.columns == ["close", "date", "isST"]
    assert history["date"].is_sorted()
    daily = market.frame("daily", {"ts_code": code, "start_date": "20260105", "end_date": COMPACT}, ALL).sort("trade_date")
    assert len(history) >= len(daily)
    assert float(history["close"][-1]) == daily["close"][-1]
    assert bs.answer("query_adjust_factor", code="sh.609999", start_date="1990-12-19", end_date=SESSION)[1] == []
    assert bs.refusal("query_history_k_data_plus", code="sh.600000", fields="date,nonsense").startswith("10004012")
    assert bs.refusal("query_history_k_data_plus", code="sh.600000", fields="date,date").startswith("10004018")
    assert bs.refusal("query_history_k_data_plus", code="bj.920001", fields="date").startswith("10004011")
    assert bs.refusal("query_trade_dates", start_date="2026-13-01", end_date=SESSION).startswith("10004007")


def test_st_is_what_the_name_of_the_day_says(bs: Client, market: SimulatedMarket) -> None:
    names = market.frame("namechange", {}, ALL).filter(
        pl.col("name").str.contains("ST") & pl.col("start_date").is_between(pl.lit("20260201"), pl.lit("20261001"))
    )
    code, start = names.filter(~pl.col("ts_code").str.ends_with("BJ")).select("ts_code", "start_date").row(0)
    flags = bs.history(spelled(code), "date,isST").with_columns(pl.col("date").str.replace_all("-", ""))
    began = flags.filter(pl.col("date") >= start)
    assert began["isST"][0] == "1"


def test_adjusted_prices_follow_the_factors(bs: Client, market: SimulatedMarket) -> None:
    year = market.frame("adj_factor", {"start_date": "20260105", "end_date": COMPACT}, ALL)
    stepped = year.group_by("ts_code").agg(pl.col("adj_factor").n_unique()).filter(pl.col("adj_factor") > 1)
    code = stepped.filter(~pl.col("ts_code").str.ends_with("BJ"))["ts_code"].min()
    assert isinstance(code, str)
    raw, hfq, qfq = (numbers(bs.history(spelled(code), "close", adjustflag=flag), "close")["close"] for flag in "312")
    factors = year.filter(pl.col("ts_code") == code).sort("trade_date")["adj_factor"]
    assert hfq.to_list() == pytest.approx((raw * factors).to_list(), abs=1e-4)
    assert qfq.to_list() == pytest.approx((raw * factors / factors[-1]).to_list(), abs=1e-4)
    steps = bs.frame("query_adjust_factor", code=spelled(code), start_date="2026-01-05", end_date=SESSION)
    assert steps["backAdjustFactor"].cast(pl.Float64).to_list() == pytest.approx(
        factors.filter(factors.diff().fill_null(0) != 0).to_list(), abs=1e-6
    )
    assert float(steps["foreAdjustFactor"][-1]) == 1.0
    of_day = bs.frame("query_daily_adjust_factor", date=steps["dividOperateDate"][0])
    assert spelled(code) in of_day["code"].to_list()
    assert set(of_day["dividOperateDate"]) == {steps["dividOperateDate"][0]}


def test_lists_hold_stocks_and_indexes_and_nothing_of_the_bse(bs: Client, market: SimulatedMarket) -> None:
    listing = bs.frame("query_stock_basic")
    stocks = listing.filter(pl.col("type") == "1")
    expected = market.frame("stock_basic", {"list_status": "L,D,P"}, ALL).filter(~pl.col("ts_code").str.ends_with("BJ"))
    assert sorted(stocks["code"]) == sorted(spelled(code) for code in expected["ts_code"])
    assert set(stocks["status"]) == {"0", "1"}
    assert "sh.000001" in listing.filter(pl.col("type") == "2")["code"].to_list()
    assert bs.frame("query_stock_basic", code="sh.000001")["code_name"].to_list() == ["上证指数"]
    listed = bs.frame("query_all_stock", day=SESSION)
    assert {"0", "1"} == set(listed["tradeStatus"])
    assert listed["code_name"].null_count() == 0
    assert len(bs.answer("query_all_stock", day="2026-11-21")[1]) == 0


@pytest.mark.parametrize(
    ("kind", "order", "code"),
    [
        ("disconnect", {}, "10002007"),
        ("hang", {"seconds": 60}, "10002007"),
        ("half", {}, "10002007"),
        ("unended", {}, "10002007"),
        ("code", {"code": "10001011"}, "10001011 黑名单用户"),
        ("code", {"code": "10005001"}, "10005001 系统级别错误"),
    ],
)
def test_faults_to_order(sandbox: Rehearsal, bs: Client, kind: str, order: dict[str, Any], code: str) -> None:
    bs.refusal("query_trade_dates", start_date="", end_date="no day")  # it logs in anew, with the patience of the next call
    sandbox.order_fault(kind, server="baostock", api="query_daily_history_k_AStock", **order)
    assert bs.refusal("query_daily_history_k_AStock", silence=AT_ONCE, date=SESSION).startswith(code)
    assert sandbox.calls("query_daily_history_k_AStock", server="baostock")[-1]["answer"] == kind
    assert len(bs.answer("query_daily_history_k_AStock", date=SESSION)[1]) > 250


def test_faults_in_the_rows(bs: Client, sandbox: Rehearsal) -> None:
    def rows(kind: str) -> pl.DataFrame:
        sandbox.order_fault(kind, server="baostock", api="query_daily_history_k_AStock", seconds=0.01)
        return bs.frame("query_daily_history_k_AStock", date=SESSION)

    whole = bs.frame("query_daily_history_k_AStock", date=SESSION)
    assert len(rows("wrong_rows")) == round(len(whole) * 0.8)
    assert len(rows("empty")) == 0
    bad = rows("bad_values")
    assert bad["high"][0].startswith("-")
    assert bad["date"][1] == ""
    assert len(bad) == len(whole) + 1
    assert len(rows("slow")) == len(whole)


def test_a_page_to_order_is_lost(bs: Client, sandbox: Rehearsal) -> None:
    sandbox.order_fault("wrong_rows", server="baostock", api="query_trade_dates")
    with pytest.raises(ClientFailed, match="page 2 of query_trade_dates did not come") as failed:
        bs.answer("query_trade_dates", start_date="1990-12-19", end_date="2026-12-31")
    assert failed.value.kinds[0] == "LostPage"


def test_a_session_that_is_forgotten_is_renewed(bs: Client, sandbox: Rehearsal) -> None:
    bs.answer("query_daily_history_k_AStock", date=SESSION)
    logins = len(sandbox.calls("login", server="baostock"))
    sandbox.order_fault("code", server="baostock", api="query_daily_history_k_AStock", code="10001001")
    assert len(bs.answer("query_daily_history_k_AStock", date=SESSION)[1]) > 250
    assert len(sandbox.calls("login", server="baostock")) == logins + 1


Converse = Callable[[bytes], bytes]


@pytest.fixture
def raw(sandbox: Rehearsal) -> Iterator[Converse]:
    """Writes bytes, reads one reply."""
    with socket.create_connection((HOST, sandbox.baostock_port), timeout=10) as line:

        def converse(message: bytes) -> bytes:
            line.sendall(message)
            reply = b""
            while not reply.endswith(END):
                received = line.recv(65_536)
                assert received, "the server closed the connection"
                reply += received
            return reply

        yield converse


def framed(kind: str, *body: str) -> bytes:
    text = "\x01".join(body)
    head = f"00.9.40\x01{kind}\x01{len(text):010d}{text}"
    return f"{head}\x01{zlib.crc32(head.encode())}\n".encode()


def test_who_is_not_logged_in_is_told_so(raw: Converse) -> None:
    asked = framed("98", "query_daily_history_k_AStock", "anonymous", SESSION)
    assert "10001001\x01用户未登录".encode() in raw(asked)
    assert b"00.9.40\x0101\x01" in raw(framed("00", "login", "anonymous", "123456", "0"))
    answer = raw(asked)
    assert answer.startswith(b"00.9.40\x0199\x01")
    assert raw(framed("02", "logout", "anonymous", "20261120180000")).endswith(END)
    assert b"10001001" in raw(asked)


def test_what_is_no_request_is_refused(raw: Converse, sandbox: Rehearsal) -> None:
    good = framed("33", "query_trade_dates", "anonymous", "1", "2000", "2026-11-01", SESSION)
    assert b"10004019" in raw(good.replace(b"2026-11-01", b"2026-11-02"))  # the checksum is another's
    assert b"10004019" in raw(b"GET / HTTP/1.1\n")
    assert b"10004020" in raw(framed("ZZ", "query_weather", "anonymous"))
    assert b"10004006" in raw(framed("33", "query_trade_dates", "anonymous", "1", "2000"))
    assert b"10001002" in raw(framed("00", "login", "anonymous", "", "0"))
    raw(framed("00", "login", "anonymous", "a-secret", "0"))
    assert "a-secret" not in str(sandbox.calls(server="baostock"))


def test_two_queries_of_one_user_at_once_are_refused(sandbox: Rehearsal, bs: Client, raw: Converse) -> None:
    asked = framed("33", "query_trade_dates", "anonymous", "1", "2000", "2026-11-01", SESSION)
    raw(framed("00", "login", "anonymous", "123456", "0"))
    bs.answer("query_stock_basic", code="sh.000001")
    sandbox.order_fault("slow", server="baostock", api="query_daily_history_k_AStock", seconds=1)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(bs.answer, "query_daily_history_k_AStock", date=SESSION)
        while sandbox.calls(server="baostock")[-1]["answer"] != "slow":
            assert not slow.done()
        assert "10001011\x01黑名单用户".encode() in raw(asked)
        assert len(slow.result()[1]) > 250
    assert b"10001011" not in raw(asked)


def test_valuations_are_those_of_daily_basic(bs: Client, market: SimulatedMarket) -> None:
    served = bs.frame("query_daily_history_k_AStock", date=SESSION).filter(pl.col("tradestatus") == "1")
    basics = market.frame("daily_basic", {"trade_date": COMPACT}, ALL).filter(~pl.col("ts_code").str.ends_with("BJ"))
    names = {"turn": "turnover_rate", "peTTM": "pe_ttm", "pbMRQ": "pb", "psTTM": "ps_ttm"}
    given = served.select(pl.col(name).replace("", None).cast(pl.Float64).alias(theirs) for name, theirs in names.items())
    true = basics.sort("ts_code").select(names.values())
    assert given.null_count().row(0) == true.null_count().row(0)
    assert (given - true).select(pl.all().abs().max()).row(0) == pytest.approx((0.0,) * 4, abs=1e-4)
    assert served["pcfNcfTTM"].replace("", None).null_count() < len(served)
    by_code = bs.history(served["code"][0], ",".join(("date", *names, "pcfNcfTTM", "isST")), start_date=SESSION)
    assert by_code.select(served.select(by_code.columns).columns).row(0) == served.select(by_code.columns).row(0)


def test_answers_that_lie_or_cannot_be_read(sandbox: Rehearsal, bs: Client) -> None:
    def day() -> pl.DataFrame:
        return bs.frame("query_daily_history_k_AStock", date=SESSION)

    def order(kind: str, **how: Any) -> None:
        sandbox.order_fault(kind, server="baostock", api="query_daily_history_k_AStock", **how)

    true = day()
    order("unreadable", columns=["peTTM"])
    assert set(day()["peTTM"]) == {"--"}
    order("scaled", columns=["volume"], factor=100)
    assert day()["volume"].replace("", "0").cast(pl.Int64).sum() == 100 * true["volume"].replace("", "0").cast(pl.Int64).sum()
    former = bs.frame("query_daily_history_k_AStock", date="2026-11-19")
    order("stale")
    assert day().drop("date", "isST").equals(former.drop("date", "isST"))
    order("contradicting", count=6)
    assert len(day().filter(pl.col("code").is_duplicated())) == 12
    order("unknown_codes", count=5)
    assert len(set(day()["code"]) - set(true["code"])) == 5
    assert day().equals(true)
