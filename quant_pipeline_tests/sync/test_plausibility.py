"""Lies that validate: how many rows may contradict what is known, and from which one on the whole answer is doubted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, ETF_DAILY, PRICE_LIMITS
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.failures import Implausible
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import ItemStatus, item_of, record
from quant_pipeline.sync.plausibility import Plausibility
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import bars, store

MON, TUE, WED = (dt.date(2026, 11, day) for day in (16, 17, 18))
CODES = [f"{600000 + n}.SH" for n in range(40)]
"""Forty codes: two may be odd, three are many."""
KEYS = {"ts_code": pl.String, "trade_date": pl.Date}
LIVES = pl.DataFrame(schema={"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date})


def plausibility(
    database: Database,
    *units: Unit,
    dataset: Dataset = DAILY_KLINE,
    known: Sequence[str] = CODES,
    halted: Sequence[tuple[str, dt.date]] = (),
) -> Plausibility:
    halts = pl.DataFrame(list(halted), schema=KEYS, orient="row")
    return Plausibility(database, dataset, xshg(), Roster(dataset, xshg(), LIVES, halts, known=frozenset(known)), units)


def day(session: dt.date, codes: Sequence[str] = CODES) -> pl.DataFrame:
    """Bars of the session that differ from those of the one before."""
    return bars(codes, [MON, TUE, WED]).filter(pl.col("trade_date") == session)


def first(rows: pl.DataFrame, count: int, **values: pl.Expr) -> pl.DataFrame:
    """The rows, of which the first `count` have these values."""
    spoilt = pl.int_range(pl.len()) < count
    return rows.with_columns(pl.when(spoilt).then(value).otherwise(name).alias(name) for name, value in values.items())


def looked_at(rows: pl.DataFrame, of: Plausibility, session: dt.date = TUE) -> tuple[int, str | None, bool | None]:
    """How many rows were refused; the doubt, and whether the answer is held for impossible."""
    checked, doubt = of.looked_at(session, Checked(rows, pl.DataFrame()))
    assert checked.good.height + checked.bad.height == rows.height
    return checked.bad.height, None if doubt is None else str(doubt), None if doubt is None else doubt.impossible


@pytest.fixture
def after_monday(warehouse: Database) -> Plausibility:
    """Monday is stored, Tuesday is looked at."""
    store(warehouse, DAILY_KLINE, day(MON))
    return plausibility(warehouse, Unit.session(TUE))


def test_a_sound_session_is_neither_doubted_nor_cut(after_monday: Plausibility) -> None:
    assert looked_at(day(TUE), after_monday) == (0, None, None)
    assert looked_at(day(TUE).clear(), after_monday) == (0, None, None)


def repeated(count: int, codes: Sequence[str] = CODES) -> pl.DataFrame:
    monday = day(MON, codes).with_columns(trade_date=pl.lit(TUE))
    return pl.concat([monday.head(count), day(TUE, codes).tail(len(codes) - count)])


def test_two_repeated_bars_are_chance_and_three_are_yesterday_s_answer(after_monday: Plausibility) -> None:
    assert looked_at(repeated(2), after_monday) == (0, None, None)
    text = "implausible: the bars of 3 of 40 codes are those of 2026-11-16"
    assert looked_at(repeated(3), after_monday) == (0, text, True)
    idle = first(repeated(3), 3, vol=pl.lit(0.0))
    assert looked_at(idle, after_monday) == (0, None, None)
    other_close = first(repeated(3), 1, close=pl.col("close") + 0.01)
    assert looked_at(other_close, after_monday) == (0, None, None)


def test_bars_without_volume_repeat_themselves_rightly(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(MON).with_columns(vol=pl.lit(0.0), amount=pl.lit(0.0)))
    idle = day(MON).with_columns(trade_date=pl.lit(TUE), vol=pl.lit(0.0), amount=pl.lit(0.0))
    assert looked_at(idle, plausibility(warehouse, Unit.session(TUE))) == (0, None, None)


def test_of_many_codes_one_in_a_hundred_may_repeat(warehouse: Database) -> None:
    codes = [f"{600000 + n}.SH" for n in range(400)]
    store(warehouse, DAILY_KLINE, day(MON, codes))
    of = plausibility(warehouse, Unit.session(TUE), known=codes)
    assert looked_at(repeated(4, codes), of)[1] is None
    assert str(looked_at(repeated(5, codes), of)[1]).startswith("implausible: the bars of 5 of 400 codes")


def test_of_fewer_than_thirty_codes_no_share_is_judged(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(MON))
    of = plausibility(warehouse, Unit.session(TUE))
    assert looked_at(repeated(29, CODES[:29]), of)[1] is None
    assert looked_at(repeated(30, CODES[:30]), of)[1] is not None
    scaled = first(day(TUE, CODES[:29]), 29, pre_close=pl.col("pre_close") * 100)
    assert looked_at(scaled, of) == (29, None, None), "though each row is"


@pytest.mark.parametrize("times", [20.5, 1 / 20.5])
def test_a_price_of_another_scale_is_refused_and_three_of_forty_are_a_lie(times: float, after_monday: Plausibility) -> None:
    last = day(MON)["close"]
    of_scale = {"pre_close": pl.lit(last * times)}
    assert looked_at(first(day(TUE), 2, **of_scale), after_monday) == (2, None, None)
    text = "implausible: the prices of 3 of 40 codes are of another scale than those of 2026-11-16"
    assert looked_at(first(day(TUE), 3, **of_scale), after_monday) == (0, text, True)


def test_the_close_is_looked_at_where_there_is_no_pre_close_and_a_tenfold_price_may_be(after_monday: Plausibility) -> None:
    without = day(TUE).with_columns(pre_close=pl.lit(None, pl.Float64))
    assert looked_at(without, after_monday)[0] == 0
    assert looked_at(first(without, 1, close=pl.col("close") * 100), after_monday)[0] == 1
    last = day(MON)["close"]
    for times in (19.5, 1 / 19.5):
        assert looked_at(first(day(TUE), 5, pre_close=pl.lit(last * times)), after_monday) == (0, None, None)


def test_the_refused_row_says_what_it_contradicts_and_stands_beside_those_refused_before(after_monday: Plausibility) -> None:
    rows = first(day(TUE), 1, pre_close=pl.lit(1000.0))
    bad = pl.DataFrame({"ts_code": ["x"], "reason": ["close is missing"]})
    checked, _ = after_monday.looked_at(TUE, Checked(rows, bad))
    assert checked.bad["reason"].to_list() == [
        "close is missing",
        "its previous close is 100.0 times the stored close 10.0",
    ]
    assert CODES[0] not in checked.good["ts_code"].to_list()


@pytest.mark.parametrize("column", ["vol", "amount"])
def test_thirty_times_the_volume_of_many_codes_is_doubted_and_may_be_taken(column: str, after_monday: Plausibility) -> None:
    last = pl.lit(day(MON)[column])
    text = "implausible: volume of 3 of 40 codes is more than 30 times that of 2026-11-16, or a part"
    for times in (31, 1 / 31):
        assert looked_at(first(day(TUE), 2, **{column: last * times}), after_monday) == (0, None, None)
        assert looked_at(first(day(TUE), 3, **{column: last * times}), after_monday) == (0, text, False)
    for times in (29, 1 / 29):
        assert looked_at(first(day(TUE), 9, **{column: last * times}), after_monday) == (0, None, None)


def test_volumes_of_funds_and_of_the_young_market_may_leap(warehouse: Database) -> None:
    leaping = first(day(TUE), 9, vol=pl.col("vol") * 100, amount=pl.col("amount") * 100)
    store(warehouse, ETF_DAILY, day(MON))
    assert looked_at(leaping, plausibility(warehouse, Unit.session(TUE), dataset=ETF_DAILY))[1] is None
    for former, session, doubted in (("1996-12-30", "1996-12-31", False), ("1997-01-02", "1997-01-03", True)):
        before, then = dt.date.fromisoformat(former), dt.date.fromisoformat(session)
        store(warehouse, DAILY_KLINE, day(MON).with_columns(trade_date=pl.lit(before)))
        of = plausibility(warehouse, Unit.session(then))
        assert (looked_at(leaping.with_columns(trade_date=pl.lit(then)), of, then)[1] is not None) is doubted


def test_codes_that_hardly_trade_are_not_compared_by_volume(after_monday: Plausibility) -> None:
    assert looked_at(first(day(TUE), 9, vol=pl.lit(1.0)), after_monday)[1] is None
    assert looked_at(first(day(TUE), 9, vol=pl.lit(1.1)), after_monday)[1] is not None


def test_a_bar_of_a_halted_code_that_hardly_traded_is_refused(warehouse: Database) -> None:
    of = plausibility(warehouse, Unit.session(TUE), halted=[(CODES[0], TUE), (CODES[1], MON)])
    assert looked_at(day(TUE), of)[0] == 0, "it traded: the list of halts may err"
    assert looked_at(first(day(TUE), 3, vol=pl.lit(1.0)), of)[0] == 1
    assert looked_at(first(day(TUE), 3, vol=pl.lit(1.5)), of)[0] == 0
    assert looked_at(first(day(TUE), 3, amount=pl.lit(1.0)), of)[0] == 1
    checked, _ = of.looked_at(TUE, Checked(first(day(TUE), 3, vol=pl.lit(0.0)), pl.DataFrame()))
    assert checked.bad["ts_code"].to_list() == [CODES[0]]
    assert checked.bad["reason"].to_list() == ["it hardly traded, and suspensions say it was halted"]


def test_twenty_codes_may_be_in_no_list_and_one_more_may_not(warehouse: Database) -> None:
    many = [f"{600000 + n}.SH" for n in range(61)]
    of = plausibility(warehouse)
    assert looked_at(day(TUE, many[:60]), of) == (0, None, None)
    refused, doubt, impossible = looked_at(day(TUE, many), of)
    assert (refused, impossible) == (0, False)
    first_five = ", ".join(many[40:45])
    assert doubt == f"implausible: 21 codes are in no list: {first_five}, …"
    assert looked_at(day(TUE, many), plausibility(warehouse, known=[])) == (0, None, None), "there is no list"


def limits(session: dt.date, **values: pl.Expr) -> pl.DataFrame:
    rows = day(session).select(
        "ts_code", "trade_date", "pre_close", up_limit=pl.col("close") - 0.005, down_limit=pl.col("close") - 1
    )
    return rows.with_columns(**values)


@pytest.mark.parametrize(
    ("status", "compared"), [(ItemStatus.SUCCESS, True), (ItemStatus.PARTIAL, True), (ItemStatus.FAILED, False)]
)
def test_two_closes_may_lie_outside_the_limits_of_a_synced_session_and_three_may_not(
    warehouse: Database, status: ItemStatus, compared: bool
) -> None:
    store(warehouse, PRICE_LIMITS, limits(TUE))
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES ('r', 't', '{}', 'success', 'p', 1)"
        )
        record(connection, "r", PRICE_LIMITS, [item_of(Unit.session(TUE), status=status)])
    of = plausibility(warehouse, Unit.session(TUE))
    text = "implausible: 3 of 40 closes lie outside the session's limits"
    for close in (pl.col("close") + 0.01, pl.col("close") - 1.02):
        assert looked_at(first(day(TUE), 2, close=close), of)[1] is None
        found = looked_at(first(day(TUE), 3, close=close), of)
        assert found == ((0, text, True) if compared else (0, None, None))
    inside = looked_at(first(day(TUE), 3, close=pl.col("close") - 1), of)
    assert inside == (0, None, None)


def test_a_code_without_a_limit_lies_outside_none(warehouse: Database) -> None:
    store(warehouse, PRICE_LIMITS, limits(TUE, up_limit=pl.lit(0.0), down_limit=pl.lit(0.0)))
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES ('r', 't', '{}', 'success', 'p', 1)"
        )
        record(connection, "r", PRICE_LIMITS, [item_of(Unit.session(TUE))])
    assert looked_at(day(TUE), plausibility(warehouse, Unit.session(TUE))) == (0, None, None)


def test_the_closes_of_daily_basic_are_those_of_the_bars_but_for_two(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(TUE))
    of = plausibility(warehouse, Unit.session(TUE), dataset=DAILY_BASIC)
    basic = day(TUE).select("ts_code", "trade_date", "close")
    assert looked_at(first(basic, 40, close=pl.col("close") + 0.004), of) == (0, None, None)
    assert looked_at(first(basic, 2, close=pl.col("close") - 0.01), of) == (0, None, None)
    text = "implausible: 3 of 40 closes are not those of the session's bars"
    for other in (0.01, -0.01):
        assert looked_at(first(basic, 3, close=pl.col("close") + other), of) == (0, text, True)
    assert looked_at(first(basic, 3, close=pl.col("close") + 1).head(29), of)[1] is None
    assert looked_at(first(basic, 3, close=pl.col("close") + 1).head(30), of)[1] is not None


def test_the_limits_of_a_third_of_the_market_may_be_off_the_last_close(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(MON))
    of = plausibility(warehouse, Unit.session(TUE), dataset=PRICE_LIMITS)
    last = pl.lit(day(MON)["close"])
    sound = limits(TUE, up_limit=last * 1.1, down_limit=last * 0.9)
    doubled = {"up_limit": last * 2.2, "down_limit": last * 1.8}
    assert looked_at(first(sound, 13, **doubled), of) == (0, None, None)
    text = "implausible: 14 of 40 limits are not about the close of 2026-11-16"
    assert looked_at(first(sound, 14, **doubled), of) == (0, text, True)
    assert looked_at(first(sound, 14, up_limit=last * 0.55, down_limit=last * 0.45), of)[1] == text
    assert looked_at(first(sound, 40, up_limit=last * 1.105, down_limit=last * 0.905), of) == (0, None, None)
    assert looked_at(first(sound, 40, up_limit=pl.lit(0.0), down_limit=pl.lit(0.0)), of) == (0, None, None)


def test_other_data_sets_are_compared_with_nothing_nor_is_the_first_session_of_all(warehouse: Database) -> None:
    factors = day(TUE).select("ts_code", "trade_date", adj_factor=pl.lit(1.0))
    of = plausibility(warehouse, Unit.session(TUE), dataset=ADJ_FACTOR, halted=[(CODES[0], TUE)])
    assert looked_at(factors, of) == (0, None, None)
    of.remember(TUE, factors)
    opening = xshg().sessions[0]
    on_opening = day(TUE).with_columns(trade_date=pl.lit(opening))
    assert looked_at(on_opening, plausibility(warehouse), opening) == (0, None, None)
    assert looked_at(limits(TUE), plausibility(warehouse, dataset=PRICE_LIMITS), opening) == (0, None, None)


def test_a_session_waits_for_the_one_before_it_only_while_that_is_expected(warehouse: Database) -> None:
    of = plausibility(warehouse, Unit.session(MON), Unit.session(TUE))
    store(warehouse, DAILY_KLINE, day(MON))
    assert looked_at(repeated(40), of)[1] is None, "Monday has no answer yet"
    of.settled(MON)
    assert looked_at(repeated(40), of)[1] is not None, "it failed: what is stored is what there is"


def test_what_came_before_the_session_it_repeats_is_named_when_that_comes(warehouse: Database) -> None:
    of = plausibility(warehouse, *(Unit.session(each) for each in (MON, TUE, WED)))
    looked_at(repeated(40), of)
    of.remember(TUE, repeated(40))
    looked_at(day(WED), of, WED)
    of.remember(WED, day(WED))
    of.remember(MON, day(MON))
    assert of.contradicted() == [TUE]
    assert of.contradicted() == []


def test_what_came_before_the_session_it_repeats_is_named_when_that_fails_and_is_stored(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, pl.concat([day(MON), repeated(40)]))
    of = plausibility(warehouse, Unit.session(MON), Unit.session(TUE))
    looked_at(repeated(40), of)
    of.remember(TUE, repeated(40))
    of.settled(MON)
    assert of.contradicted() == [TUE]


def test_the_doubt_holds_what_would_be_taken(after_monday: Plausibility) -> None:
    _, doubt = after_monday.looked_at(TUE, Checked(repeated(40), pl.DataFrame()))
    assert isinstance(doubt, Implausible)
    assert isinstance(doubt.answer, Checked)
    assert doubt.answer.good.equals(repeated(40))


MARKET = [f"{600000 + n}.SH" for n in range(400)]
"""Four hundred codes, of which the shares count: two are few."""


def test_of_four_hundred_codes_a_twentieth_may_be_of_another_scale_and_one_more_may_not(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(MON, MARKET))
    of = plausibility(warehouse, Unit.session(TUE), known=MARKET)
    dear = {"pre_close": pl.col("pre_close") * 1000}
    assert looked_at(first(day(TUE, MARKET), 20, **dear), of) == (20, None, None)
    assert looked_at(first(day(TUE, MARKET), 21, **dear), of)[2] is True


def test_of_four_hundred_closes_a_fiftieth_may_be_others_than_the_bars_and_one_more_may_not(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(TUE, MARKET))
    of = plausibility(warehouse, Unit.session(TUE), dataset=DAILY_BASIC, known=MARKET)
    basic, other = day(TUE, MARKET).select("ts_code", "trade_date", "close"), {"close": pl.col("close") + 1}
    assert looked_at(first(basic, 8, **other), of)[1] is None
    assert str(looked_at(first(basic, 9, **other), of)[1]).startswith("implausible: 9 of 400 closes are not those")


def test_of_four_hundred_closes_a_fiftieth_may_lie_outside_the_limits_and_one_more_may_not(warehouse: Database) -> None:
    bounds = day(TUE, MARKET).select(
        "ts_code", "trade_date", "pre_close", up_limit=pl.col("close") + 1, down_limit=pl.col("close") - 1
    )
    store(warehouse, PRICE_LIMITS, bounds)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES ('r', 't', '{}', 'success', 'p', 1)"
        )
        record(connection, "r", PRICE_LIMITS, [item_of(Unit.session(TUE))])
    of = plausibility(warehouse, Unit.session(TUE), known=MARKET)
    over = {"close": pl.col("close") + 1.01}
    assert looked_at(first(day(TUE, MARKET), 8, **over), of)[1] is None
    assert str(looked_at(first(day(TUE, MARKET), 9, **over), of)[1]).startswith("implausible: 9 of 400 closes lie outside")


def test_limits_that_are_one_and_a_half_percent_off_the_close_are_off(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, day(MON))
    of = plausibility(warehouse, Unit.session(TUE), dataset=PRICE_LIMITS)
    last = pl.lit(day(MON)["close"])
    sound = limits(TUE, up_limit=last * 1.1, down_limit=last * 0.9)
    assert looked_at(first(sound, 14, up_limit=last * 1.115, down_limit=last * 0.915), of)[1] is not None


def test_the_calendar_s_last_session_has_none_to_be_compared_with_it(warehouse: Database) -> None:
    last = xshg().sessions[-1]
    of = plausibility(warehouse, Unit.session(last))
    of.remember(last, day(TUE).with_columns(trade_date=pl.lit(last)))
    assert of.contradicted() == []


def test_of_two_sessions_the_later_is_held_to_its_limits_too(warehouse: Database) -> None:
    store(warehouse, PRICE_LIMITS, limits(WED))
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES ('r', 't', '{}', 'success', 'p', 1)"
        )
        record(connection, "r", PRICE_LIMITS, [item_of(Unit.session(WED))])
    of = plausibility(warehouse, Unit.session(TUE), Unit.session(WED))
    found = looked_at(first(day(WED), 3, close=pl.col("close") + 0.01), of, WED)
    assert found == (0, "implausible: 3 of 40 closes lie outside the session's limits", True)
