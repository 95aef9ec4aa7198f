"""The BaoStock adapter over the unmodified client: values, failures, and what the client must not be trusted with."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import polars as pl
import psutil
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    DIVIDENDS,
    INDEX_DAILY,
    INDEX_LIST,
    INDEX_WEIGHTS,
    MONTHLY_KLINE,
    NAME_HISTORY,
    SPECIAL_TREATMENT,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.servers.baostock_protocol import END, accepted, answered, read_request
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sources import baostock
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.baostock_client import Account
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sources.worker import ClientDied, ClientFailed, ClientHung, ClientProcess

SESSION = dt.date(2026, 11, 20)
START = dt.date(2025, 2, 10)
WHOLE_MARKET, HISTORY = "query_daily_history_k_AStock", "query_history_k_data_plus"
PASSWORD = "not-to-be-told"
NOT_STORED = frozenset("area industry fullname enname cnspell curr_type is_hs act_name act_ent_type".split())
"""What BaoStock's list does not say."""


def free(timeout: float = 30.0, retries: int = 0) -> RatePolicy:
    return RatePolicy(per_minute=None, per_second=None, concurrency=8, retries=retries, backoff=0.01, timeout=timeout)


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=120, first_year=2024)


@pytest.fixture
def sandbox(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


@pytest.fixture
def policies() -> Policies:
    """Of both sources; a test may change them while they are in use."""
    return {"baostock": {"*": free()}, "tushare": {"*": free()}}


@pytest.fixture(scope="module")
def process() -> Iterator[ClientProcess]:
    """One client for all tests: to import it takes longer than they do."""
    process = ClientProcess("quant_pipeline.sources.baostock_client")
    yield process
    process.close()


SourceAt = Callable[[int], BaostockSource]


@pytest.fixture
def source_at(process: ClientProcess, limiter: Limiter, policies: Policies) -> Iterator[SourceAt]:
    """Makes the source of the server at a port; nobody is logged in yet."""
    process.ask("drop", timeout=30)

    def source(port: int) -> BaostockSource:
        made = BaostockSource("127.0.0.1", port, "somebody", PASSWORD, xshg(), limiter, policies)
        made._client = process
        return made

    yield source
    process.ask("drop", timeout=30)  # a server that ends waits for nobody


@pytest.fixture
def bs(source_at: SourceAt, sandbox: Rehearsal) -> BaostockSource:
    return source_at(sandbox.baostock_port)


@pytest.fixture
def tushare(sandbox: Rehearsal, limiter: Limiter, policies: Policies) -> TushareSource:
    return TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, policies)


def good(source: BaostockSource | TushareSource, dataset: Dataset, unit: Unit, *, bse: bool = False) -> pl.DataFrame:
    """The unit's rows in the spec's types; none may be refused."""
    expected = unit.start if unit.grain is Grain.SESSION else None
    checked = validate(dataset, source.fetch(dataset, unit, Tally()), expected_session=expected, sessions=xshg().sessions)
    assert checked.bad.is_empty(), checked.bad
    rows = checked.good.sort(dataset.key)
    return rows if bse or "ts_code" not in rows.columns else rows.filter(~pl.col("ts_code").str.ends_with("BJ"))


def assert_same(dataset: Dataset, ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Equal in every column; figures within their rounding (percentages come with 4 and with 6 decimals)."""
    assert ours.height == theirs.height > 0
    for column in dataset.columns:
        if column.name in NOT_STORED:
            continue
        mine, other = ours[column.name], theirs[column.name]
        if mine.dtype == pl.Float64:
            assert (mine - other).abs().max() <= (1e-4 if column.unit == "%" else 1e-6), column.name  # type: ignore[operator]
        else:
            assert mine.equals(other), column.name


# --- values --------------------------------------------------------------------------------------------------------------


def test_a_session_equals_tushares_but_for_the_bse(bs: BaostockSource, tushare: TushareSource) -> None:
    for day in (SESSION, dt.date(2025, 6, 3)):
        assert_same(DAILY_KLINE, good(bs, DAILY_KLINE, Unit.session(day)), good(tushare, DAILY_KLINE, Unit.session(day)))
    rows = good(bs, DAILY_KLINE, Unit.session(SESSION), bse=True)
    assert not rows["ts_code"].str.ends_with("BJ").any()


def test_the_indexes_of_both_exchanges_are_tushares(bs: BaostockSource, tushare: TushareSource) -> None:
    columns = ["ts_code", "name", "market", "list_date"]
    theirs = good(tushare, INDEX_LIST, Unit.snapshot(SESSION)).filter(pl.col("ts_code").str.contains(r"\.(SH|SZ)$"))
    assert good(bs, INDEX_LIST, Unit.snapshot(SESSION)).select(columns).equals(theirs.select(columns))
    assert set(INDEX_DAILY.codes) - set(theirs["ts_code"]) == {"899050.BJ"}


def test_an_index_equals_tushares_but_for_the_bse(bs: BaostockSource, tushare: TushareSource) -> None:
    for code in INDEX_DAILY.codes:
        unit = Unit.code(code, dt.date(2026, 9, 1), SESSION)
        if bs.lacks(INDEX_DAILY, code):
            assert code.endswith(".BJ")
            continue
        assert_same(INDEX_DAILY, good(bs, INDEX_DAILY, unit), good(tushare, INDEX_DAILY, unit))


def test_suspended_days_are_suspensions_and_no_bars(bs: BaostockSource, tushare: TushareSource) -> None:
    whole = pl.col("suspend_timing").is_null() & (pl.col("suspend_type") == "S")
    for day in reversed(xshg().window(SESSION, 60)):
        expected = good(tushare, SUSPENSIONS, Unit.session(day)).filter(whole)
        if not expected.is_empty():
            break
    assert_same(SUSPENSIONS, good(bs, SUSPENSIONS, Unit.session(day)), expected)
    code = expected["ts_code"][0]
    unit = Unit.code(code, START, SESSION)
    assert_same(SUSPENSIONS, good(bs, SUSPENSIONS, unit), good(tushare, SUSPENSIONS, unit).filter(whole))
    assert_same(DAILY_KLINE, good(bs, DAILY_KLINE, unit), good(tushare, DAILY_KLINE, unit))
    assert day not in good(bs, DAILY_KLINE, unit)["trade_date"].to_list()


def test_the_lists_equal_tushares(bs: BaostockSource, tushare: TushareSource) -> None:
    for dataset in (TRADE_CALENDAR, STOCK_LIST):
        ours, theirs = good(bs, dataset, Unit.snapshot(SESSION)), good(tushare, dataset, Unit.snapshot(SESSION))
        assert_same(dataset, ours, theirs)
    assert ours["area"].null_count() == ours.height


def test_factors_are_a_row_per_session_from_one_before_the_unit_on(bs: BaostockSource, tushare: TushareSource) -> None:
    before = xshg().shift(START, -1)
    everything = good(tushare, ADJ_FACTOR, Unit.session(SESSION))["ts_code"].to_list()
    compared = 0
    for code in everything[:12]:
        ours = good(bs, ADJ_FACTOR, Unit.code(code, START, SESSION))
        theirs = good(tushare, ADJ_FACTOR, Unit.code(code, before, SESSION))
        assert_same(ADJ_FACTOR, ours, theirs)
        compared += theirs["adj_factor"].n_unique() > 1
    assert compared > 2


def test_factors_begin_with_the_listing_at_one(bs: BaostockSource, tushare: TushareSource) -> None:
    listed = good(bs, STOCK_LIST, Unit.snapshot(SESSION)).filter(pl.col("list_date") > START)
    code = listed.filter(pl.col("list_status") == "L").sort("list_date")["ts_code"][0]
    unit = Unit.code(code, START, SESSION)
    assert_same(ADJ_FACTOR, good(bs, ADJ_FACTOR, unit), good(tushare, ADJ_FACTOR, unit))


def test_the_list_behind_the_factors_is_asked_for_once(bs: BaostockSource, sandbox: Rehearsal) -> None:
    codes = good(bs, STOCK_LIST, Unit.snapshot(SESSION)).filter(pl.col("list_status") == "L")["ts_code"].head(3)
    for code in codes:
        bs.fetch(ADJ_FACTOR, Unit.code(code, START, SESSION), Tally())
    assert len(sandbox.calls("query_stock_basic", server="baostock")) == 2
    assert len(sandbox.calls("query_adjust_factor", server="baostock")) == 3


@pytest.mark.parametrize(("dataset", "api"), [(WEEKLY_KLINE, "weekly"), (MONTHLY_KLINE, "monthly")])
def test_weeks_and_months_equal_what_the_days_give(bs: BaostockSource, dataset: Dataset, api: str) -> None:
    code = good(bs, DAILY_KLINE, Unit.session(SESSION))["ts_code"][3]
    unit = Unit.code(code, START, SESSION)
    period = xshg().week_end if api == "weekly" else xshg().month_end
    first = START - dt.timedelta(days=START.weekday()) if api == "weekly" else START.replace(day=1)
    days = good(bs, DAILY_KLINE, Unit.code(code, first, SESSION))
    days = days.with_columns(pl.col("trade_date").replace_strict({day: period(day) for day in days["trade_date"]}))
    expected = (
        days.group_by("trade_date", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("vol").sum(),
            pl.col("amount").sum(),
        )
        .filter(pl.col("trade_date") <= SESSION)
    )
    bars = good(bs, dataset, unit)
    assert bars["trade_date"].to_list() == expected["trade_date"].to_list()
    for name in expected.columns[1:]:
        assert bars[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-3)
    assert bars["pre_close"].null_count() == 0


def test_periods_and_factors_lie_on_the_sessions_of_the_calendar_that_it_is_given(
    bs: BaostockSource, tushare: TushareSource
) -> None:
    code = good(tushare, DAILY_KLINE, Unit.session(SESSION))["ts_code"].sort()[0]
    thursday = xshg().shift(SESSION, -1)
    bs._calendar = xshg().overruled_by({SESSION: False})
    for dataset in (WEEKLY_KLINE, ADJ_FACTOR):
        assert good(bs, dataset, Unit.code(code, thursday, SESSION))["trade_date"].max() == thursday


def test_valuations_are_tushares_where_it_has_them_and_null_where_not(bs: BaostockSource, tushare: TushareSource) -> None:
    served = ["close", "turnover_rate", "pe_ttm", "pb", "ps_ttm"]
    codes_of_day = good(tushare, DAILY_BASIC, Unit.session(SESSION))["ts_code"].to_list()
    for code in codes_of_day[:4]:
        ours, theirs = (good(source, DAILY_BASIC, Unit.code(code, START, SESSION)) for source in (bs, tushare))
        assert ours.select("ts_code", "trade_date").equals(theirs.select("ts_code", "trade_date"))
        for name in served:
            mine, other = ours[name], theirs[name]
            assert mine.is_null().equals(other.is_null(), check_names=False), name
            assert ((mine - other).abs() <= 1e-6 + other.abs() * 1e-6).all(), name
        others = [name for name in DAILY_BASIC.column_names if name not in ("ts_code", "trade_date", *served)]
        assert ours.select(others).null_count().row(0) == (ours.height,) * len(others)


def test_who_is_st_is_what_the_names_of_the_day_say(bs: BaostockSource, tushare: TushareSource) -> None:
    """Suspended shares too: their limits are asked for like any other's."""
    marked = good(bs, SPECIAL_TREATMENT, Unit.session(SESSION))
    names = good(tushare, NAME_HISTORY, Unit.snapshot(SESSION)).filter(pl.col("start_date") <= SESSION).sort("start_date")
    is_st = names.group_by("ts_code", maintain_order=True).agg(st=pl.col("name").last().str.contains("ST").cast(pl.Int64))
    both = marked.join(is_st, on="ts_code", how="left")
    assert both["is_st"].equals(both["st"], check_names=False)
    assert marked["is_st"].sum() > 0
    assert set(good(bs, SUSPENSIONS, Unit.session(SESSION))["ts_code"]) < set(marked["ts_code"])
    code = marked.filter(pl.col("is_st") == 1)["ts_code"][0]
    history = good(bs, SPECIAL_TREATMENT, Unit.code(code, SESSION - dt.timedelta(days=7), SESSION))
    assert history.filter(pl.col("trade_date") == SESSION).equals(marked.filter(pl.col("ts_code") == code))


AMOUNTS = ["ts_code", "trade_date", "div_proc", "stk_div", "stk_bo_rate", "stk_co_rate", "cash_div_tax"]
DATES = ["ann_date", "record_date", "ex_date", "pay_date", "div_listdate", "imp_ann_date"]


def test_a_session_s_dividends_are_found_by_the_prices_and_equal_tushares(bs: BaostockSource, tushare: TushareSource) -> None:
    days = xshg().between(dt.date(2026, 6, 1), dt.date(2026, 6, 12))
    ours = pl.concat([good(bs, DIVIDENDS, Unit.session(day)) for day in days])
    theirs = pl.concat([good(tushare, DIVIDENDS, Unit.session(day)) for day in days])
    assert ours.height > 3
    assert ours.select(AMOUNTS + DATES).equals(theirs.select(AMOUNTS + DATES))
    assert ours["cash_div"].null_count() == ours.height, "the cash after tax is a choice of two"


def test_a_code_s_dividends_over_years_equal_tushares(bs: BaostockSource, tushare: TushareSource) -> None:
    code = good(tushare, DIVIDENDS, Unit.session(dt.date(2026, 6, 4)))["ts_code"][0]
    unit = Unit.code(code, START, SESSION)
    ours, theirs = good(bs, DIVIDENDS, unit), good(tushare, DIVIDENDS, unit)
    assert ours.select(AMOUNTS + DATES).equals(theirs.select(AMOUNTS + DATES))
    assert len(ours) > 0


def test_the_members_of_three_indexes_are_tushares_without_weights(bs: BaostockSource, tushare: TushareSource) -> None:
    unit = Unit.session(dt.date(2026, 9, 30))
    ours, theirs = good(bs, INDEX_WEIGHTS, unit), good(tushare, INDEX_WEIGHTS, unit)
    assert set(theirs["index_code"]) - set(ours["index_code"]) == {"000852.SH"}
    named = ["index_code", "con_code", "trade_date"]
    assert ours.select(named).equals(theirs.filter(pl.col("index_code") != "000852.SH").select(named))
    assert ours["weight"].null_count() == ours.height


@pytest.mark.parametrize(("said", "known"), [("-3.2", None), ("0.000000", None), ("", None), ("12.5", 12.5)])
def test_a_ratio_to_a_loss_is_null_as_tushares_is(
    bs: BaostockSource, monkeypatch: pytest.MonkeyPatch, said: str, known: float | None
) -> None:
    row = {"date": "2026-11-20", "code": "sh.600000", "close": "10.00", "turn": "0.5", "tradestatus": "1"}
    rows = pl.DataFrame([row | {"peTTM": said, "pbMRQ": "1.1", "psTTM": "2.0"}])
    monkeypatch.setattr(bs, "_query", lambda *_, **__: rows)
    basic = good(bs, DAILY_BASIC, Unit.code("600000.SH", SESSION, SESSION))
    assert basic["pe_ttm"].to_list() == [known]
    assert basic.select("turnover_rate", "pb", "ps_ttm").row(0) == (0.5, 1.1, 2.0)


def test_pages_are_counted_as_calls(bs: BaostockSource, sandbox: Rehearsal) -> None:
    tally = Tally()
    rows = bs.fetch(TRADE_CALENDAR, Unit.snapshot(SESSION), tally)
    assert tally.calls == rows.height // 2000 + 1 == len(sandbox.calls("query_trade_dates", server="baostock"))


def test_what_it_lacks_and_what_it_reaches(bs: BaostockSource, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {code: bs.lacks(DAILY_KLINE, code) for code in ("920001.BJ", "900901.SH", "200011.SZ", "600000.SH", "300750.SZ")}
    assert lacking == {"920001.BJ": True, "900901.SH": True, "200011.SZ": True, "600000.SH": False, "300750.SZ": False}
    today, yesterday = Unit.session(SESSION), Unit.session(xshg().shift(SESSION, -1))
    assert bs.reaches(DAILY_KLINE, today)
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T17:29")
    assert not bs.reaches(DAILY_KLINE, today)
    assert bs.reaches(DAILY_KLINE, yesterday)
    assert bs.reaches(STOCK_LIST, Unit.snapshot(SESSION))


# --- failures ------------------------------------------------------------------------------------------------------------

CLASSES = {
    "retryable": "10002001 10002002 10002003 10002004 10002005 10002006 10002007 10002008 10004001 10004002 10005001",
    "rate_limited": "10001005 10001011",
    "permanent_source": "10001002 10001003 10001004 10001006 10001007 10001012",
    "permanent_api": "10004003 10004005 10004006 10004007 10004008 10004009 10004010 10004012 10004018 10004020",
    "empty": "10004011",
}


def test_codes_have_their_class(limiter: Limiter, policies: Policies) -> None:
    source = BaostockSource(None, None, "somebody", PASSWORD, xshg(), limiter, policies)
    for failure, listed in CLASSES.items():
        for code in listed.split():
            error = source.classify(WHOLE_MARKET, ClientFailed(("Refused", "Exception"), f"{code} words with {PASSWORD}"))
            assert (code, error.failure, error.unknown) == (code, failure, False)
            assert code in str(error)
            assert PASSWORD not in str(error)


def test_every_code_of_the_clients_list_is_known_and_another_is_told(limiter: Limiter, policies: Policies) -> None:
    from baostock.common import contants

    source = BaostockSource(None, None, "somebody", PASSWORD, xshg(), limiter, policies)
    listed = [code for name, code in vars(contants).items() if name.startswith("BSERR") and code != contants.BSERR_SUCCESS]
    assert len(listed) > 40
    for code in [*listed, "10009999"]:
        error = source.classify(HISTORY, ClientFailed(("Refused", "Exception"), f"{code} words"))
        assert (code, error.unknown) == (code, code == "10009999")
    assert error.failure is FailureClass.RETRYABLE


def test_a_client_that_fails_is_asked_again(limiter: Limiter, policies: Policies) -> None:
    source = BaostockSource(None, None, "somebody", PASSWORD, xshg(), limiter, policies)
    for error in (
        ClientHung("no answer within 60 s"),
        ClientDied("ended"),
        ClientFailed(("LostPage", "Exception"), "page 2 did not come"),
        ClientFailed(("WrongAnswer", "Exception"), "10001011 is in these words by chance"),
        ClientFailed(("JSONDecodeError", "ValueError", "Exception"), "Expecting value"),
    ):
        assert source.classify(WHOLE_MARKET, error).failure is FailureClass.RETRYABLE


def test_the_black_list_lasts_until_tomorrow(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("code", server="baostock", api=WHOLE_MARKET, code="10001011")
    with pytest.raises(SourceError, match="黑名单用户") as refused:
        bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert refused.value.failure is FailureClass.RATE_LIMITED
    assert refused.value.wait == 6 * 3600


def test_a_wrong_password_is_told_without_it(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("code", server="baostock", api="login", code="10001002")
    with pytest.raises(SourceError, match="用户名或密码错误") as refused:
        bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert refused.value.failure is FailureClass.PERMANENT_SOURCE
    assert PASSWORD not in repr(refused.getrepr())


def test_a_lost_session_is_renewed_within_the_call(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("code", server="baostock", api=WHOLE_MARKET, code="10001001")
    assert bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally()).height > 80
    answers = [call["answer"] for call in sandbox.calls(server="baostock")]
    assert answers == ["ok", "code", "ok", "ok"]  # log in, refused, log in, answered


@pytest.mark.parametrize("kind", ["disconnect", "half"])
def test_a_closed_line_is_an_error_and_no_endless_loop(
    bs: BaostockSource, sandbox: Rehearsal, policies: Policies, kind: str
) -> None:
    sandbox.order_fault(kind, server="baostock", api=WHOLE_MARKET)
    with pytest.raises(SourceError, match="10002007"):
        bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    policies["baostock"]["*"] = free(retries=1)
    sandbox.order_fault(kind, server="baostock", api=WHOLE_MARKET)
    assert bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally()).height > 80
    assert len(sandbox.calls("login", server="baostock")) == 3  # the socket was dropped each time


def test_a_hang_is_killed_and_the_next_call_answered(bs: BaostockSource, sandbox: Rehearsal, policies: Policies) -> None:
    bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    former = bs._client.pid
    assert former is not None
    policies["baostock"]["*"] = free(timeout=0.3)
    sandbox.order_fault("hang", server="baostock", api=WHOLE_MARKET, seconds=600)
    with pytest.raises(SourceError, match="was killed") as hung:
        bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert hung.value.failure is FailureClass.RETRYABLE
    assert not psutil.pid_exists(former)
    policies["baostock"]["*"] = free()
    assert bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally()).height > 80


def test_a_lost_page_is_no_end(bs: BaostockSource, sandbox: Rehearsal, policies: Policies) -> None:
    sandbox.order_fault("wrong_rows", server="baostock", api="query_trade_dates")
    with pytest.raises(SourceError, match="page 2 of query_trade_dates") as lost:
        bs.fetch(TRADE_CALENDAR, Unit.snapshot(SESSION), Tally())
    assert lost.value.failure is FailureClass.RETRYABLE
    policies["baostock"]["*"] = free(retries=1)
    sandbox.order_fault("disconnect", server="baostock", api="query_trade_dates", after=3)
    assert bs.fetch(TRADE_CALENDAR, Unit.snapshot(SESSION), Tally()).height > 13_000


def test_a_date_that_the_client_does_not_take_is_an_error(process: ClientProcess, sandbox: Rehearsal) -> None:
    account = Account("127.0.0.1", sandbox.baostock_port, "somebody", PASSWORD)
    asked = {"code": "sh.600000", "fields": "date", "start_date": "20261120", "end_date": "2026-11-20"}
    with pytest.raises(ClientFailed, match="10004006") as refused:  # it returns None, and prints
        process.ask("query", account, 20.0, 20_000, HISTORY, asked, timeout=30)
    assert PASSWORD not in str(refused.value)


def test_threads_never_get_each_others_answers(bs: BaostockSource) -> None:
    codes = good(bs, DAILY_KLINE, Unit.session(SESSION))["ts_code"].head(20).to_list()
    with ThreadPoolExecutor(4) as pool:
        units = [Unit.code(code, dt.date(2026, 11, 2), SESSION) for code in codes]
        answers = list(pool.map(lambda unit: bs.fetch(DAILY_KLINE, unit, Tally()), units))
    assert [set(answer["ts_code"]) for answer in answers] == [{code} for code in codes]


def test_rows_that_cannot_be_are_refused_not_stored(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("bad_values", server="baostock", api=WHOLE_MARKET)
    frame = bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    checked = validate(DAILY_KLINE, frame, expected_session=SESSION, sessions=xshg().sessions)
    reasons = " ".join(checked.bad["reason"])
    assert "ohlc_in_order" in reasons
    assert "trade_date is missing" in reasons


def test_an_empty_answer_keeps_its_columns(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("empty", server="baostock", api=WHOLE_MARKET)
    frame = bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert frame.is_empty()
    assert set(frame.columns) == set(DAILY_KLINE.column_names)


def test_a_share_of_a_prefix_that_nobody_knows_comes_like_any_other(bs: BaostockSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("new_prefix", server="baostock", times=None)
    units = {
        DAILY_KLINE: (Unit.session(SESSION), Unit.code("303001.SZ", START, SESSION)),
        STOCK_LIST: (Unit.snapshot(SESSION),),
    }
    assert not bs.lacks(DAILY_KLINE, "303001.SZ")
    for dataset, asked in units.items():
        for unit in asked:
            assert "303001.SZ" in bs.fetch(dataset, unit, Tally())["ts_code"].to_list(), f"{dataset.name} {unit}"


def test_its_process_ends_when_it_is_closed(bs: BaostockSource) -> None:
    bs.fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    pid = bs._client.pid
    assert pid is not None
    bs.close()
    assert not psutil.pid_exists(pid)


# --- a server that does what the sandbox never does ----------------------------------------------------------------------

Reply = Callable[[bytes], bytes]
FIELDS = ("date", "code", "tradestatus")


@contextmanager
def serving(reply: Reply) -> Iterator[int]:
    """A server that admits everybody and answers every query with `reply(line)`; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def converse(line: socket.socket) -> None:
            with suppress(ConnectionError), line, line.makefile("rb") as requests:
                for request in requests:
                    asked = read_request(request)
                    line.sendall(accepted(asked) if asked.api.name == "login" else reply(request))

        def listen() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=converse, args=(line,), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_the_rows_of_another_code_are_refused(source_at: SourceAt) -> None:
    def confused(line: bytes) -> bytes:
        asked = read_request(line)
        other = replace(asked, parameters={**asked.parameters, "code": "sh.600001"})
        return answered(other, FIELDS, [("2026-11-20", "sh.600001", "0")])

    with (
        serving(confused) as port,
        pytest.raises(SourceError, match=r"asked for sh\.600000, the answer is that of sh\.600001") as wrong,
    ):
        source_at(port).fetch(SUSPENSIONS, Unit.code("600000.SH", START, SESSION), Tally())
    assert wrong.value.failure is FailureClass.RETRYABLE


def test_a_session_of_exactly_2000_codes_is_whole(source_at: SourceAt) -> None:
    """The client would take it for a first page, and ask for a second one of the date "2"."""
    codes = [f"sh.{600_000 + number}" for number in range(2000)]

    def exactly(line: bytes) -> bytes:
        asked = read_request(line)
        day = asked.parameters["date"]
        return answered(asked, FIELDS, [(day, code, "0") for code in codes])

    with serving(exactly) as port:
        rows = source_at(port).fetch(SUSPENSIONS, Unit.session(SESSION), Tally())
    assert rows.height == 2000


def test_two_full_pages_and_an_empty_one_are_whole(source_at: SourceAt) -> None:
    def two_pages(line: bytes) -> bytes:
        asked = read_request(line)
        row = (f"2026-11-{asked.page:02}", "sh.600000", "0")
        return answered(asked, FIELDS, [row] * (2000 if asked.page <= 2 else 0))

    tally = Tally()
    with serving(two_pages) as port:
        rows = source_at(port).fetch(SUSPENSIONS, Unit.code("600000.SH", START, SESSION), tally)
    assert (rows.height, tally.calls) == (4000, 3)


@pytest.mark.parametrize(("turned", "page"), [(False, 2), (True, 11)], ids=["the same page for ever", "always a new page"])
def test_pages_without_an_end_are_left(source_at: SourceAt, turned: bool, page: int) -> None:
    def endless(line: bytes) -> bytes:
        asked = read_request(line)
        row = ("2026-11-20", "sh.600000", str(asked.page if turned else 0))
        return answered(asked, FIELDS, [row] * 2000)

    with serving(endless) as port, pytest.raises(SourceError, match=f"page {page} of {HISTORY}") as failed:
        source_at(port).fetch(SUSPENSIONS, Unit.code("600000.SH", START, SESSION), Tally())
    assert failed.value.failure is FailureClass.RETRYABLE


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
def test_a_bomb_is_the_nets_failure_and_the_next_call_is_answered(limiter: Limiter, policies: Policies, packed: bool) -> None:
    served = zlib.compress(b"0" * 2**28) if packed else b"x" * 5 * 2**20
    bombs = iter([b"00.9.40\x0196\x01%010d" % len(served) + served + END])

    def bomb(line: bytes) -> bytes:
        asked = read_request(line)
        return next(bombs, b"") or answered(asked, FIELDS, [("2026-11-20", "sh.600000", "0")])

    with serving(bomb) as port:
        source = BaostockSource("127.0.0.1", port, "somebody", PASSWORD, xshg(), limiter, policies)
        source._client = ClientProcess("quant_pipeline.sources.baostock_client", memory=400 * 2**20)
        try:
            with pytest.raises(SourceError) as failed:
                source.fetch(SUSPENSIONS, Unit.session(SESSION), Tally())
            assert failed.value.failure is FailureClass.RETRYABLE
            assert source.fetch(SUSPENSIONS, Unit.session(SESSION), Tally()).height == 1
        finally:
            source.close()


def test_a_server_that_drips_is_killed_when_its_time_is_over(source_at: SourceAt, policies: Policies) -> None:
    """Each byte comes within the silence that is allowed: only the whole call's time ends it."""
    policies["baostock"]["*"] = free(timeout=1.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                while not over.wait(0.02):
                    line.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(SourceError, match="no answer within 1 s"):
            source_at(server.getsockname()[1]).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
        over.set()
        dripping.join()


def test_indexes_and_funds_are_no_shares(source_at: SourceAt) -> None:
    def mixed(line: bytes) -> bytes:
        codes = ("sh.000001", "sh.510300", "sz.399001", "sh.900901", "sh.600000", "sz.159915", "sh.113001", "sz.000001")
        return answered(read_request(line), FIELDS, [("2026-11-20", code, "0") for code in codes])

    with serving(mixed) as port:
        rows = source_at(port).fetch(SUSPENSIONS, Unit.session(SESSION), Tally())
    assert rows["ts_code"].to_list() == ["600000.SH", "000001.SZ"]


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n" + END, b"\x00" * 40 + END, END], ids=["gateway", "zeros", "nothing"]
)
def test_an_answer_that_is_none_is_asked_again(source_at: SourceAt, garbage: bytes) -> None:
    with serving(lambda _line: garbage) as port, pytest.raises(SourceError) as failed:
        source_at(port).fetch(DAILY_KLINE, Unit.session(SESSION), Tally())
    assert failed.value.failure is FailureClass.RETRYABLE


def test_periods_of_a_later_label_than_was_asked_for_are_left_out_and_so_are_earlier_ones() -> None:
    """A week is asked for from its Monday on, and the last one may end after the day that was asked for."""
    days = [dt.date(2026, 11, day) for day in (6, 13, 18)]
    ends = {day: xshg().week_end(day) for day in days}
    unit = Unit.code("600000.SH", dt.date(2026, 11, 9), dt.date(2026, 11, 18))
    assert baostock._labelled(pl.DataFrame({"trade_date": days}), ends, unit)["trade_date"].to_list() == [days[1]]
    whole = Unit.code("600000.SH", dt.date(2026, 11, 6), dt.date(2026, 11, 20))
    assert baostock._labelled(pl.DataFrame({"trade_date": days}), ends, whole).height == 3, "both ends are the unit's"
