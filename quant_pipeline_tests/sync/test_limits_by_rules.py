"""Price limits counted by the rules against the exchange's own: the sandbox keeps its rules apart from the platform's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest

from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    BSE_MAPPING,
    DAILY_KLINE,
    NAME_HISTORY,
    PRICE_LIMITS,
    SPECIAL_TREATMENT,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
)
from quant_pipeline.market.trading_rules import STORED_NO_LIMIT
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sources.failures import SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.ranking import Ranking
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.syncer import Request, Syncer
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.sync.conftest import Bench
from quant_pipeline_tests.sync.stored import store

_KEY = ["ts_code", "trade_date"]
THURSDAY, FRIDAY = dt.date(2026, 11, 19), dt.date(2026, 11, 20)


def derived(bench: Bench) -> DerivedSource:
    return DerivedSource(bench.database, bench.calendar, Limiter(bench.database.pool, bench.presence), {})


@pytest.mark.parametrize("last", ["2025-11-20", "2026-06-12"])  # from 2026-07-06 on the sandbox still has 5 % for ST
def test_they_are_the_exchange_s_own(bench: Bench, last: str) -> None:
    sessions = bench.calendar.window(dt.date.fromisoformat(last), 5)
    bench.reference(sessions)
    for dataset in (DAILY_KLINE, ADJ_FACTOR, PRICE_LIMITS):
        assert not bench.sync(dataset, sessions).failed
    for session in sessions[1:]:
        ours = derived(bench).fetch(PRICE_LIMITS, Unit.session(session), Tally())
        own = read(bench.database, PRICE_LIMITS, start=session, end=session)
        listed = read(bench.database, STOCK_LIST)["ts_code"]
        own = own.filter(pl.col("ts_code").is_in(listed.implode()))
        both = own.join(ours, on=_KEY, suffix="_ours")
        assert both.height >= 0.95 * own.height, own.join(ours, on=_KEY, how="anti").to_dicts()
        free = pl.col("up_limit") >= STORED_NO_LIMIT
        differing = both.filter(
            pl.when(free)
            .then(pl.col("up_limit_ours") < STORED_NO_LIMIT)
            .otherwise(
                ((pl.col("up_limit") - pl.col("up_limit_ours")).abs() > 1e-6)
                | ((pl.col("down_limit") - pl.col("down_limit_ours")).abs() > 1e-6)
            )
        )
        assert differing.is_empty(), differing.to_dicts()


@pytest.fixture
def baostock(bench: Bench) -> Iterator[BaostockSource]:
    policies = {"baostock": {"*": RatePolicy(per_minute=None, per_second=None, concurrency=1)}}
    account = (bench.sandbox.host, bench.sandbox.baostock_port, "anonymous", "123456")
    source = BaostockSource(*account, bench.calendar, Limiter(bench.database.pool, bench.presence), policies)
    yield source
    source.close()


def without_names(bench: Bench, baostock: BaostockSource) -> Syncer:
    """A syncer that has no Tushare, over bars and factors of two sessions."""
    days = bench.calendar.window(dt.date(2025, 11, 20), 2)
    for dataset in (TRADE_CALENDAR, STOCK_LIST, BSE_MAPPING):
        bench.sync(dataset)
    bench.sync(SUSPENSIONS, days)
    assert not bench.sync(DAILY_KLINE, days).failed
    ranking = Ranking(bench.database.pool, {"baostock": 2, "derived": 9})
    return Syncer(bench.database, bench.calendar, [baostock, derived(bench)], ranking, bench.ledger, bench.run)


def test_without_names_the_marks_of_baostock_say_who_is_st(bench: Bench, baostock: BaostockSource) -> None:
    syncer, session = without_names(bench, baostock), dt.date(2025, 11, 20)
    request = Request(sessions=(session,))
    plans = syncer.plan(PRICE_LIMITS, request)
    assert [(plan.dataset, len(plan.units), plan.calls) for plan in plans] == [
        (SPECIAL_TREATMENT, 1, 1),
        (PRICE_LIMITS, 1, 1),
    ]
    assert syncer.plan(PRICE_LIMITS, request)[0].dataset is PRICE_LIMITS, "one syncer plans it once"
    before = len(bench.sandbox.calls("query_daily_history_k_AStock", server="baostock"))
    outcome = syncer.sync(PRICE_LIMITS, request)
    assert (list(outcome.failed), outcome.sources) == ([], ["derived"])
    assert len(bench.sandbox.calls("query_daily_history_k_AStock", server="baostock")) - before == 1
    ours = read(bench.database, PRICE_LIMITS, start=session, end=session)
    bench.sync(PRICE_LIMITS, (session,), force=True)
    own = read(bench.database, PRICE_LIMITS, start=session, end=session)
    both = own.join(ours, on=_KEY, suffix="_ours")
    assert both.height == ours.height
    assert (both["up_limit"] - both["up_limit_ours"]).abs().max() < 1e-6  # type: ignore[operator]
    marked = bench.rows("SELECT ts_code FROM special_treatment WHERE is_st = 1 AND ts_code ~ '^(60|00)'")
    assert {code for (code,) in marked} & set(both["ts_code"])
    assert bench.rows("SELECT status, source FROM sync_items WHERE dataset = 'special_treatment'") == [("success", "baostock")]


def test_where_names_are_or_come_or_st_has_no_limit_of_its_own_no_marks_are_asked_for(
    bench: Bench, baostock: BaostockSource
) -> None:
    syncer, session = without_names(bench, baostock), dt.date(2025, 11, 20)
    asked = [plan.dataset for plan in syncer.plan(PRICE_LIMITS, Request(sessions=(FRIDAY,)))]
    assert SPECIAL_TREATMENT not in asked
    everybody = [bench.source(), baostock, derived(bench)]
    ranking = Ranking(bench.database.pool, {"tushare": 1, "baostock": 2, "derived": 9})
    rich = Syncer(bench.database, bench.calendar, everybody, ranking, bench.ledger, bench.run)
    asked = [plan.dataset for plan in rich.plan(PRICE_LIMITS, Request(sessions=(session,)))]
    assert (NAME_HISTORY in asked, SPECIAL_TREATMENT in asked) == (True, False)
    bench.sync(NAME_HISTORY)
    assert [plan.dataset for plan in syncer.plan(PRICE_LIMITS, Request(sessions=(session,)))] == [PRICE_LIMITS]


def one_share(bench: Bench, session: dt.date, *, factor: float = 2.0, name: str | None = "浦发银行") -> dict[str, object]:
    """What is counted for a share that closed at 10 元 the session before and did not trade in this one."""
    before = bench.calendar.shift(session, -1)
    listed = {"ts_code": "600000.SH", "list_status": "L", "list_date": dt.date(2010, 1, 4)}
    bar = dict.fromkeys(("open", "high", "low", "close", "pre_close"), 10.0) | {"vol": 1.0, "amount": 1.0}
    store(bench.database, STOCK_LIST, [listed])
    store(bench.database, DAILY_KLINE, [{"ts_code": "600000.SH", "trade_date": before, **bar}])
    factors = [(before, 2.0), (session, factor)]
    store(
        bench.database, ADJ_FACTOR, [{"ts_code": "600000.SH", "trade_date": day, "adj_factor": each} for day, each in factors]
    )
    if name is not None:
        store(bench.database, NAME_HISTORY, [{"ts_code": "600000.SH", "name": name, "start_date": dt.date(2020, 1, 2)}])
    (row,) = derived(bench).fetch(PRICE_LIMITS, Unit.session(session), Tally()).to_dicts()
    return row


@pytest.mark.parametrize(("factor", "pre_close", "up"), [(2.0, 10.0, 11.0), (2.5, 8.0, 8.8)])
def test_a_halted_share_s_limits_follow_from_its_last_close_and_the_factors(
    bench: Bench, factor: float, pre_close: float, up: float
) -> None:
    row = one_share(bench, FRIDAY, factor=factor)
    assert (row["pre_close"], row["up_limit"]) == (pre_close, up)


@pytest.mark.parametrize(("name", "up"), [("浦发银行", 11.0), ("*ST浦发", 10.5)])
def test_the_name_of_the_day_says_whether_it_is_st(bench: Bench, name: str, up: float) -> None:
    assert one_share(bench, dt.date(2025, 11, 20), name=name)["up_limit"] == up


def test_where_the_name_of_the_day_is_not_known_nothing_is_guessed_and_where_st_has_no_limit_of_its_own_it_need_not_be(
    bench: Bench,
) -> None:
    assert one_share(bench, FRIDAY, name=None)["up_limit"] == 11.0
    with pytest.raises(SourceError, match="nothing to count limits from"):
        one_share(bench, dt.date(2025, 11, 20), name=None)
