"""AKShare's bars, over the unmodified client, a proxy and TLS: Tushare's values by each of three routes, or a clear failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import psutil
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, TRADE_CALENDAR, WEEKLY_KLINE
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.akshare import bars as akshare_bars
from quant_pipeline.sources.base import Source, Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sources.worker import ClientDied, ClientFailed, ClientHung, ClientProcess
from quant_pipeline.warehouse.database import Database

SESSION = dt.date(2026, 11, 20)
START = dt.date(2025, 11, 3)
EVERY = 100_000
ROUTES = ["eastmoney", "tencent", "sina"]
CHANGES = ("pre_close", "change", "pct_chg")
UNHURRIED = RatePolicy(per_minute=None, per_second=None, concurrency=1, retries=0, trip=1_000)


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=120, first_year=2024)


@pytest.fixture(scope="module")
def rehearsal(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange, quotas={"*": None}) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def client(rehearsal: Rehearsal) -> Iterator[ClientProcess]:
    """One for all tests: it takes AKShare a while to come up."""
    client = ClientProcess("quant_pipeline.sources.akshare.client", rehearsal.web_environment())
    yield client
    client.close()


@pytest.fixture(autouse=True)
def evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test takes place when the session's data are there, unless it says otherwise."""
    monkeypatch.setenv("QUANT_NOW", f"{SESSION}T18:00")


@pytest.fixture
def sandbox(rehearsal: Rehearsal) -> Iterator[Rehearsal]:
    yield rehearsal
    rehearsal.clear_faults()


@pytest.fixture(scope="module")
def market(exchange: Exchange) -> SimulatedMarket:
    return SimulatedMarket(exchange)


@pytest.fixture
def policies() -> Policies:
    """A test may change them while they are in use."""
    return {"akshare": {"*": UNHURRIED}, "tushare": {"*": UNHURRIED}}


@pytest.fixture
def source(
    sandbox: Rehearsal,
    client: ClientProcess,
    warehouse: Database,
    limiter: Limiter,
    policies: Policies,
    monkeypatch: pytest.MonkeyPatch,
) -> AkshareSource:
    source = AkshareSource(warehouse, sandbox.web_environment(), xshg(), limiter, policies)
    monkeypatch.setattr(source, "_client", client)
    return source


@pytest.fixture
def tushare(sandbox: Rehearsal, limiter: Limiter, policies: Policies) -> TushareSource:
    return TushareSource(sandbox.token, sandbox.tushare_url, xshg(), limiter, policies)


def good(source: Source, dataset: Dataset, unit: Unit, tally: Tally | None = None) -> pl.DataFrame:
    """The unit's rows in the spec's types, in order; none may be refused."""
    expected = unit.start if unit.grain is Grain.SESSION else None
    frame = source.fetch(dataset, unit, tally or Tally())
    checked = validate(dataset, frame, expected_session=expected, sessions=xshg().sessions)
    assert checked.bad.is_empty(), checked.bad
    return checked.good.sort(dataset.key)


def assert_same(dataset: Dataset, ours: pl.DataFrame, theirs: pl.DataFrame, *, but: tuple[str, ...] = ()) -> None:
    """Equal in every other column; figures within the rounding of percentages."""
    assert ours.height == theirs.height > 0
    for column in (column for column in dataset.columns if column.name not in but):
        mine, other = ours[column.name], theirs[column.name]
        assert mine.null_count() == other.null_count(), column.name
        if mine.dtype == pl.Float64:
            assert (mine - other).abs().max() <= (1e-3 if column.unit == "%" else 1e-6), column.name  # type: ignore[operator]
        else:
            assert mine.equals(other), column.name


def refusal(source: AkshareSource, dataset: Dataset, unit: Unit) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch(dataset, unit, Tally())
    return caught.value


def traded(market: SimulatedMarket, prefix: str) -> str:
    """A code with that prefix that trades all the time."""
    codes: list[str] = market.frame("daily", {"trade_date": f"{SESSION:%Y%m%d}"}, EVERY)["ts_code"].to_list()
    old = market.frame("daily", {"trade_date": "20240102"}, EVERY)["ts_code"].to_list()
    return next(code for code in codes if code.startswith(prefix) and code in old)


def ex_date(market: SimulatedMarket) -> tuple[str, dt.date]:
    """A code, and a session on which its factor steps while it trades, inside START..SESSION."""
    for code in market.frame("stock_basic", {}, EVERY)["ts_code"]:
        if code.endswith(".BJ"):
            continue  # its factors are told by nobody
        factors = market.frame("adj_factor", {"ts_code": code, "start_date": f"{START:%Y%m%d}"}, EVERY).reverse()
        steps = factors.filter(pl.col("adj_factor") != pl.col("adj_factor").shift())["trade_date"].to_list()
        days = market.frame("daily", {"ts_code": code, "start_date": f"{START:%Y%m%d}"}, EVERY)["trade_date"].to_list()
        if steps and steps[0] in days[:-1]:
            return code, dt.datetime.strptime(steps[0], "%Y%m%d").date()  # noqa: DTZ007  (a day has no zone)
    raise AssertionError("no code has an ex-date in the range")


def only(sandbox: Rehearsal, route: str) -> None:
    """Blocks the routes before this one."""
    for earlier in ROUTES[: ROUTES.index(route)]:
        sandbox.order_fault("html", server="akshare", api=earlier, times=None)


def asked(sandbox: Rehearsal, since: int) -> list[str]:
    return [call["api"] for call in sandbox.calls(server="akshare")[since:]]


# --- values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["000", "688", "60", "300"])
@pytest.mark.parametrize("route", ROUTES)
def test_bars_equal_tushares_by_every_route(
    source: AkshareSource, tushare: TushareSource, sandbox: Rehearsal, market: SimulatedMarket, route: str, prefix: str
) -> None:
    unit = Unit.code(traded(market, prefix), START, SESSION)
    only(sandbox, route)
    before = len(sandbox.calls(server="akshare"))
    bars = good(source, DAILY_KLINE, unit)
    assert_same(DAILY_KLINE, bars, good(tushare, DAILY_KLINE, unit))
    assert list(dict.fromkeys(asked(sandbox, before)))[: ROUTES.index(route) + 1] == ROUTES[: ROUTES.index(route) + 1]


def test_the_client_gives_tencents_volume_in_three_ways(client: ClientProcess, market: SimulatedMarket) -> None:
    """What the test above overcomes: 股, but 手 for sz000, where the client forgets to multiply."""
    ways = {}
    for prefix in ("000", "688", "60"):
        code = traded(market, prefix)
        symbol = code[7:].lower() + code[:6]
        bars = client.ask("tencent_bars", symbol, "2026-11-02", "2026-11-20", timeout=30)
        lots = market.frame("daily", {"ts_code": code, "start_date": "20261102"}, EVERY)["vol"].reverse()
        ways[prefix] = (pl.Series(bars["volume"]) / lots).round(6).unique().to_list()
    assert ways == {"000": [1.0], "688": [100.0], "60": [100.0]}


@pytest.mark.parametrize("route", ROUTES)
def test_the_close_before_is_adjusted_on_an_ex_date(
    source: AkshareSource,
    tushare: TushareSource,
    sandbox: Rehearsal,
    client: ClientProcess,
    market: SimulatedMarket,
    route: str,
) -> None:
    """The routes count from the raw close before: the factors' steps say where that is wrong."""
    code, day = ex_date(market)
    unit = Unit.code(code, day, day)
    [theirs] = good(tushare, DAILY_KLINE, unit)["pre_close"]
    told = client.ask("eastmoney_bars", code[:6], "daily", f"{day:%Y%m%d}", f"{day:%Y%m%d}", timeout=30)
    assert told["收盘"][0] - told["涨跌额"][0] > theirs + 0.005, "eastmoney's own change does not know of the dividend"
    only(sandbox, route)
    assert good(source, DAILY_KLINE, unit)["pre_close"].to_list() == [theirs]


def test_without_the_factors_there_is_no_close_before(
    source: AkshareSource, tushare: TushareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    code, day = ex_date(market)
    sandbox.order_fault("html", server="akshare", api="sina", times=None)
    unit = Unit.code(code, day, SESSION)
    bars = good(source, DAILY_KLINE, unit)
    assert_same(DAILY_KLINE, bars, good(tushare, DAILY_KLINE, unit), but=CHANGES)
    assert all(bars[name].is_null().all() for name in CHANGES)


def test_bse_codes_are_asked_of_eastmoney_only(
    source: AkshareSource, tushare: TushareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    unit = Unit.code(traded(market, "920"), START, SESSION)
    before = len(sandbox.calls(server="akshare"))
    bars = good(source, DAILY_KLINE, unit)
    assert_same(DAILY_KLINE, bars, good(tushare, DAILY_KLINE, unit), but=CHANGES)
    assert bars["pre_close"].is_null().all(), "nobody tells its ex-dates"
    sandbox.order_fault("html", server="akshare", api="eastmoney")
    assert refusal(source, DAILY_KLINE, unit).failure is FailureClass.BANNED
    assert asked(sandbox, before) == ["eastmoney", "eastmoney"]
    assert source.lacks(ADJ_FACTOR, unit.ts_code or "")
    assert not source.lacks(DAILY_KLINE, unit.ts_code or "")


def test_a_suspended_stock_has_no_bar_in_between(
    source: AkshareSource, tushare: TushareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    halts = market.frame("suspend_d", {"start_date": f"{START:%Y%m%d}", "suspend_type": "S"}, EVERY)
    whole = halts.filter(pl.col("suspend_timing").is_null() & ~pl.col("ts_code").str.ends_with("BJ"))
    unit = Unit.code(whole["ts_code"][0], START, SESSION)
    theirs = good(tushare, DAILY_KLINE, unit)
    for route in ROUTES:
        only(sandbox, route)
        assert good(source, DAILY_KLINE, unit)["trade_date"].equals(theirs["trade_date"]), route


@pytest.mark.parametrize("dataset", [WEEKLY_KLINE, MONTHLY_KLINE], ids=lambda dataset: dataset.name)
def test_weeks_and_months_equal_tushares(
    source: AkshareSource, tushare: TushareSource, market: SimulatedMarket, dataset: Dataset
) -> None:
    unit = Unit.code(ex_date(market)[0], START, SESSION)
    assert_same(dataset, good(source, dataset, unit), good(tushare, dataset, unit))


@pytest.mark.parametrize(("dataset", "period"), [(WEEKLY_KLINE, "weekly"), (MONTHLY_KLINE, "monthly")])
def test_the_running_week_or_month_is_left_out(
    source: AkshareSource,
    client: ClientProcess,
    market: SimulatedMarket,
    monkeypatch: pytest.MonkeyPatch,
    dataset: Dataset,
    period: str,
) -> None:
    """On the last day of both, at noon: eastmoney shows them already, under the day before."""
    code = traded(market, "60")
    monkeypatch.setenv("QUANT_NOW", "2026-07-31T12:00")
    end = dt.date(2026, 7, 31)
    told = client.ask("eastmoney_bars", code[:6], period, "20260601", "20260731", timeout=30)
    assert told["日期"].iloc[-1] == dt.date(2026, 7, 30)
    labels = good(source, dataset, Unit.code(code, dt.date(2026, 6, 1), end))["trade_date"].to_list()
    expected = xshg().weeks if period == "weekly" else xshg().months
    assert labels == [label for label in expected(dt.date(2026, 6, 1), end) if label < end]


def test_the_latest_session_comes_from_the_quotations(source: AkshareSource, tushare: TushareSource) -> None:
    unit = Unit.session(SESSION)
    assert_same(DAILY_KLINE, good(source, DAILY_KLINE, unit), good(tushare, DAILY_KLINE, unit))


@pytest.mark.parametrize(
    ("now", "day", "reached"),
    [
        ("2026-11-20T18:00", 20, True),
        ("2026-11-20T18:00", 19, False),
        ("2026-11-20T14:00", 20, False),
        ("2026-11-22T12:00", 20, True),
        ("2026-11-23T10:00", 20, False),  # Monday's quotations have begun
    ],
)
def test_quotations_are_of_this_moment(
    source: AkshareSource, monkeypatch: pytest.MonkeyPatch, now: str, day: int, reached: bool
) -> None:
    monkeypatch.setenv("QUANT_NOW", now)
    assert source.reaches(DAILY_KLINE, Unit.session(dt.date(2026, 11, day))) is reached
    assert source.reaches(DAILY_KLINE, Unit.code("600000.SH", dt.date(2026, 11, 2), dt.date(2026, 11, day)))


def test_factors_are_tushares_on_another_base(source: AkshareSource, tushare: TushareSource, market: SimulatedMarket) -> None:
    code, _ = ex_date(market)
    before = xshg().shift(START, -1)
    ours = good(source, ADJ_FACTOR, Unit.code(code, START, SESSION))
    theirs = good(tushare, ADJ_FACTOR, Unit.code(code, before, SESSION))
    assert ours["trade_date"].equals(theirs["trade_date"]), "from one session before the unit on"
    assert ours["adj_factor"].n_unique() > 1
    base = ours["adj_factor"] / theirs["adj_factor"]
    assert base.max() == pytest.approx(base.min(), rel=1e-5)


def test_factors_begin_with_the_first_bar(source: AkshareSource, tushare: TushareSource, market: SimulatedMarket) -> None:
    listed = market.frame("stock_basic", {}, EVERY).filter(
        pl.col("list_date").is_between(pl.lit(f"{START:%Y%m%d}"), pl.lit("20261101")) & (pl.col("exchange") != "BSE")
    )
    unit = Unit.code(listed["ts_code"][0], START, SESSION)
    ours, theirs = good(source, ADJ_FACTOR, unit), good(tushare, ADJ_FACTOR, unit)
    assert ours["trade_date"].equals(theirs["trade_date"])
    assert good(source, DAILY_KLINE, unit)["pre_close"].equals(good(tushare, DAILY_KLINE, unit)["pre_close"])


def test_factors_end_with_a_code_that_is_gone_but_not_with_one_that_is_suspended(
    source: AkshareSource, tushare: TushareSource, market: SimulatedMarket
) -> None:
    main = ~pl.col("ts_code").str.ends_with("BJ")
    gone = market.frame("stock_basic", {"list_status": "D"}, EVERY).filter(main & (pl.col("delist_date") > "20240201"))
    unit = Unit.code(gone["ts_code"][0], dt.date(2024, 1, 10), SESSION)
    bars = good(tushare, DAILY_KLINE, unit)
    assert good(source, ADJ_FACTOR, unit)["trade_date"].max() == bars["trade_date"].max()

    halts = market.frame("suspend_d", {"start_date": "20251201", "suspend_type": "S"}, EVERY)
    halted = halts.filter(main & pl.col("suspend_timing").is_null()).row(0, named=True)
    day = dt.datetime.strptime(halted["trade_date"], "%Y%m%d").date()  # noqa: DTZ007  (a day has no zone)
    unit = Unit.code(halted["ts_code"], day, day)
    assert good(tushare, DAILY_KLINE, unit).is_empty()
    assert good(source, ADJ_FACTOR, unit)["trade_date"].max() == day


def test_the_calendar_equals_tushares(source: AkshareSource, tushare: TushareSource) -> None:
    unit = Unit.snapshot(SESSION)
    ours, theirs = good(source, TRADE_CALENDAR, unit), good(tushare, TRADE_CALENDAR, unit)
    assert ours["cal_date"].max() == max(xshg().sessions)
    assert_same(TRADE_CALENDAR, ours, theirs.filter(pl.col("cal_date") <= max(xshg().sessions)))


# --- failures ------------------------------------------------------------------------------------------------------------

EASTMONEY, TENCENT, SINA, EXCHANGES, THS = "eastmoney", "tencent", "sina", "exchanges", "ths"


@pytest.mark.parametrize(
    ("site", "kinds", "text", "failure"),
    [
        (EASTMONEY, "ProxyError ConnectionError RequestException OSError", "Unable to connect to proxy", "banned"),
        (EASTMONEY, "ConnectionError RequestException OSError", "RemoteDisconnected('Remote end closed …')", "banned"),
        (EASTMONEY, "JSONDecodeError InvalidJSONError ValueError", "Expecting value: line 1 column 1 (char 0)", "banned"),
        (SINA, "IndexError LookupError", "list index out of range", "banned"),
        (SINA, "KeyError LookupError", "'date'", "banned"),
        (SINA, "ValueError", "Length mismatch: Expected axis has 7 elements, new values have 8 elements", "banned"),
        (THS, "AttributeError", "'NoneType' object has no attribute 'find_all'", "banned"),
        (EXCHANGES, "ValueError", "Excel file format cannot be determined, you must specify an engine", "retryable"),
        (EASTMONEY, "TypeError", "'NoneType' object is not subscriptable", "empty"),
        (EASTMONEY, "ReadTimeout Timeout RequestException OSError", "Read timed out. (read timeout=30)", "retryable"),
        (EASTMONEY, "ConnectTimeout ConnectionError Timeout", "timed out", "retryable"),
        (TENCENT, "IndexError LookupError", "positional indexers are out-of-bounds", "empty"),
        (SINA, "RemoteCode ValueError", "the site's answer is no data; it was not run", "banned"),
        (SINA, "ValueError", "sina hfq factor not available", "empty"),
    ],
)
def test_what_the_client_raises_has_its_class(
    warehouse: Database, limiter: Limiter, site: str, kinds: str, text: str, failure: str
) -> None:
    error = AkshareSource(warehouse, {}, xshg(), limiter, {}).classify(site, ClientFailed((*kinds.split(), "Exception"), text))
    assert (error.failure, error.api) == (failure, site)


def test_a_client_that_hangs_or_dies_is_asked_again(warehouse: Database, limiter: Limiter) -> None:
    source = AkshareSource(warehouse, {}, xshg(), limiter, {})
    for error in (ClientHung("no answer within 60 s"), ClientDied("it ended")):
        assert source.classify(EASTMONEY, error).failure is FailureClass.RETRYABLE


@pytest.mark.parametrize("kind", ["html", "disconnect", "status"])
@pytest.mark.parametrize("dataset", [DAILY_KLINE, ADJ_FACTOR], ids=lambda dataset: dataset.name)
def test_a_block_page_or_a_cut_line_everywhere_is_a_ban_that_names_all_routes(
    source: AkshareSource, sandbox: Rehearsal, market: SimulatedMarket, dataset: Dataset, kind: str
) -> None:
    for site in ROUTES:
        sandbox.order_fault(kind, server="akshare", api=site, times=None)
    error = refusal(source, dataset, Unit.code(traded(market, "60"), START, SESSION))
    assert error.failure is FailureClass.BANNED
    assert error.api == "sina"
    assert dataset is ADJ_FACTOR or all(f"{site}:" in error.text for site in ROUTES)


def test_a_route_without_bars_is_no_answer_while_another_has_some(
    source: AkshareSource, tushare: TushareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    sandbox.order_fault("empty", server="akshare", api="eastmoney")
    unit = Unit.code(traded(market, "60"), START, SESSION)
    assert good(source, DAILY_KLINE, unit).height == good(tushare, DAILY_KLINE, unit).height


def test_a_code_that_nobody_knows_has_no_bars(source: AkshareSource, sandbox: Rehearsal) -> None:
    before = len(sandbox.calls(server="akshare"))
    assert good(source, DAILY_KLINE, Unit.code("605999.SH", START, SESSION)).is_empty()
    assert set(asked(sandbox, before)) == set(ROUTES)


def test_lost_pages_of_the_quotations_are_no_answer(source: AkshareSource, sandbox: Rehearsal) -> None:
    """Without its second page the client stumbles."""
    sandbox.order_fault("empty", server="akshare", api="eastmoney", after=1)
    assert refusal(source, DAILY_KLINE, Unit.session(SESSION)).failure is FailureClass.EMPTY


def test_the_sites_are_counted_apart(source: AkshareSource, market: SimulatedMarket, warehouse: Database) -> None:
    """The limiter, the circuit and the metrics know web sites: a ban is by site."""
    tally = Tally()
    source.fetch(DAILY_KLINE, Unit.code(traded(market, "60"), START, SESSION), tally)
    with warehouse.connect() as connection:
        rows = connection.execute("SELECT api, outcome FROM source_calls WHERE source = 'akshare' ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [("eastmoney", "ok"), ("sina", "ok")]
    assert tally.calls == 2


# The last one: a new client takes a while to come up.
def test_a_client_that_hangs_is_killed(
    source: AkshareSource, client: ClientProcess, sandbox: Rehearsal, market: SimulatedMarket, policies: Policies
) -> None:
    unit = Unit.code(traded(market, "920"), SESSION, SESSION)
    assert good(source, DAILY_KLINE, unit).height == 1
    former = client.pid
    assert former is not None
    policies["akshare"]["*"] = UNHURRIED.model_copy(update={"timeout": 0.5})
    sandbox.order_fault("hang", server="akshare", api="eastmoney", seconds=600)
    error = refusal(source, DAILY_KLINE, unit)
    assert error.failure is FailureClass.RETRYABLE
    assert not psutil.pid_exists(former)


def test_a_day_that_is_later_or_earlier_than_was_asked_for_is_left_out() -> None:
    """Sina gives all that there is, whatever was asked for."""
    days = [dt.date(2026, 11, day) for day in (12, 13, 16, 17, 18)]
    asked = Unit.code("600000.SH", days[1], days[3])
    assert akshare_bars._within(asked, pl.DataFrame({"trade_date": days}))["trade_date"].to_list() == days[1:4]
