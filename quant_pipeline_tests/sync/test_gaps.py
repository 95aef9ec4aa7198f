"""Which rows of an answer lack, who is asked for them, and what becomes of the unit: decided without a source or a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE, ETF_DAILY, SUSPENSIONS, THS_HOT, WEEKLY_KLINE
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.router import Answer
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.gaps import MOST_CODES, Gaps
from quant_pipeline.sync.ledger import Item, ItemStatus, Shortfall, item_of
from quant_pipeline.sync.roster import Roster
from quant_pipeline.sync.store import Fetched

MON, TUE, WED, THU, FRI = (dt.date(2026, 11, day) for day in range(16, 21))
WEEK = (MON, TUE, WED, THU, FRI)
CODES = [f"60000{n}.SH" for n in range(10)]
"""Ten codes: two of them may lack in a session."""
KEYS = {"ts_code": pl.String, "trade_date": pl.Date}


def gaps(
    codes: Sequence[str] = CODES,
    *,
    dataset: Dataset = DAILY_KLINE,
    halted: Sequence[tuple[str, dt.date]] = (),
    halts_known: Sequence[dt.date] = WEEK,
) -> Gaps:
    listed = pl.DataFrame(
        {"ts_code": codes, "list_date": [dt.date(2020, 1, 2)] * len(codes), "delist_date": [None] * len(codes)},
        schema={"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date},
    )
    halts = pl.DataFrame(list(halted), schema=KEYS, orient="row")
    return Gaps(dataset, xshg(), Roster(dataset, xshg(), listed, halts, frozenset(halts_known), known=frozenset(codes)))


def rows(*keys: tuple[str, dt.date]) -> pl.DataFrame:
    return pl.DataFrame(list(keys), schema=KEYS, orient="row")


def came(unit: Unit, codes: Sequence[str] | pl.DataFrame, refused: Sequence[str] = (), source: str = "tushare") -> Fetched:
    """The answer to a unit: good rows of these codes (or these rows), refused ones of those."""
    good = codes if isinstance(codes, pl.DataFrame) else rows(*((code, unit.start) for code in codes))
    bad = pl.DataFrame({"ts_code": list(refused), "reason": ["close is missing"] * len(refused)}) if refused else pl.DataFrame()
    return Fetched(unit, Answer(source, Checked(good, bad), calls=1, attempts=1, seconds=0.5), None)


def seen(found: Gaps, *group: Fetched) -> dict[Unit, Item]:
    return found.seen({each.unit: item_of(each.unit, source="tushare", rows=1) for each in group}, group)


def settled(found: Gaps, without: Sequence[str] = (), elsewhere: str = "") -> dict[Unit, Item]:
    """What the units come to where no source has the codes `without`."""
    return dict(found.settled(lambda code: code not in without, elsewhere=elsewhere))


def test_a_whole_answer_has_no_gap() -> None:
    found = gaps()
    unit = Unit.session(MON)
    items = seen(found, came(unit, CODES))
    assert (items[unit].status, items[unit].missing) == (ItemStatus.SUCCESS, 0)
    assert (found.units(), found.left_by, settled(found), found.holds_back(unit)) == ([], frozenset(), {}, False)


def test_so_many_as_may_lack_are_missing_and_one_more_fails_the_session() -> None:
    few, many = gaps(), gaps()
    unit = Unit.session(MON)
    item = seen(few, came(unit, CODES[2:]))[unit]
    assert (item.status, item.missing, few.holds_back(unit)) == (ItemStatus.SUCCESS, 2, False)
    assert (item.error_class, few.left_by) == (None, {"tushare"}), (
        "it is no failure, and the next sources are asked all the same"
    )
    item = seen(many, came(unit, CODES[3:]))[unit]
    assert (item.status, item.missing, many.holds_back(unit)) == (ItemStatus.FAILED, 3, True)
    assert item.error_class == "empty"
    assert item.error == ("3 of 10 rows that are due are missing from every source: 600000.SH, 600001.SH, 600002.SH"), (
        "nobody was asked yet, and a kill now forgets nothing"
    )


def test_an_answer_of_nothing_is_never_forgiven() -> None:
    found = gaps(CODES[:1])
    unit = Unit.code(CODES[0], MON, TUE)
    assert seen(found, came(unit, rows()))[unit].status is ItemStatus.FAILED
    assert [str(each) for each in found.units()] == ["600000.SH 2026-11-16..2026-11-17"]


def test_a_unit_without_an_answer_leaves_no_gap_and_the_next_one_s_is_counted() -> None:
    found = gaps()
    nothing, short = Fetched(Unit.session(MON), None, None), came(Unit.session(TUE), CODES[1:])
    whole, second = came(Unit.session(WED), CODES), came(Unit.session(THU), CODES[:-1], source="baostock")
    items = seen(found, nothing, short, whole, second)
    assert {unit.start: item.missing for unit, item in items.items()} == {MON: 0, TUE: 1, WED: 0, THU: 1}
    assert list(settled(found)) == [Unit.session(TUE), Unit.session(THU)]
    assert found.left_by == {"tushare", "baostock"}


def test_a_refused_row_lacks_until_another_source_gives_it() -> None:
    found = gaps()
    unit = Unit.session(MON)
    item = seen(found, came(unit, CODES[1:], refused=CODES[:1]))[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.REFUSED, 1)
    assert item.error == "1 of 10 rows were refused (see rejected_rows), and no source replaced them: 600000.SH"
    assert found.holds_back(unit), "one refused row is enough: it is not complete without it"
    assert found.refused() == [unit]
    assert found.fill(rows((CODES[0], MON))).height == 1
    assert (found.refused(), settled(found)[unit].status, settled(found)[unit].missing) == ([], ItemStatus.SUCCESS, 0)


def test_of_a_row_that_lacks_and_a_refused_one_the_refused_decides_though_the_other_was_filled() -> None:
    found = gaps()
    unit = Unit.session(MON)
    seen(found, came(unit, CODES[2:], refused=CODES[:1]))
    found.fill(rows((CODES[1], MON)))
    item = settled(found)[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.REFUSED, 1)
    found.fill(rows((CODES[0], MON)))
    assert settled(found)[unit].status is ItemStatus.SUCCESS


def test_a_refused_row_of_a_code_that_owes_none_lacks_nowhere() -> None:
    found = gaps(halted=[(CODES[0], MON)])
    unit = Unit.session(MON)
    item = seen(found, came(unit, CODES[1:], refused=[CODES[0], "000001.SZ"]))[unit]
    assert (item.status, item.missing, found.holds_back(unit), found.refused()) == (ItemStatus.SUCCESS, 0, False, [])


def test_a_refused_row_beside_a_good_one_of_the_same_code_lacks_nowhere() -> None:
    found = gaps(dataset=SUSPENSIONS)
    unit = Unit.session(MON)
    assert seen(found, came(unit, CODES[:1], refused=CODES[:2]))[unit].missing == 1
    assert [each.ts_code for each in found.units()] == [CODES[1]]


def test_where_nobody_owes_rows_a_refused_one_lacks_and_fails_nothing() -> None:
    found = gaps(dataset=THS_HOT)
    unit = Unit.session(MON)
    item = seen(found, came(unit, [], refused=CODES[:3]))[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.REFUSED, 3)
    assert item.error == (
        "3 rows were refused (see rejected_rows), and no source replaced them: 600000.SH, 600001.SH, 600002.SH"
    )


def test_of_halts_a_refused_one_is_one_of_none_that_are_owed() -> None:
    unit = Unit.session(MON)
    item = seen(gaps(dataset=SUSPENSIONS), came(unit, [], refused=CODES[:6]))[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.REFUSED, 6)
    assert str(item.error).startswith("6 rows were refused")


def test_in_a_thin_market_only_refused_rows_are_asked_of_others() -> None:
    found = gaps(dataset=ETF_DAILY)
    silent, refused = Unit.session(MON), Unit.session(TUE)
    items = seen(found, came(silent, CODES[4:]), came(refused, CODES[4:], refused=CODES[:1]))
    assert (items[silent].missing, items[refused].missing) == (0, 1)
    assert [str(unit) for unit in found.units()] == ["600000.SH 2026-11-17..2026-11-17"]
    assert found.left_by == {"tushare"}


def test_a_code_s_refused_rows_are_counted_as_the_sessions_that_it_lacks() -> None:
    found = gaps()
    unit = Unit.code(CODES[0], MON, FRI)
    item = seen(found, came(unit, rows(*((CODES[0], day) for day in WEEK[:4])), refused=CODES[:1]))[unit]
    assert (item.missing, item.status, found.refused()) == (1, ItemStatus.SUCCESS, [])


def test_a_code_owes_the_sessions_of_its_range_but_for_its_halts() -> None:
    found = gaps(halted=[(CODES[0], TUE), (CODES[1], WED)])
    unit = Unit.code(CODES[0], MON, THU)
    assert seen(found, came(unit, rows((CODES[0], MON), (CODES[0], THU))))[unit].missing == 1
    assert [str(each) for each in found.units()] == ["600000.SH 2026-11-18..2026-11-18"], "the other code's halt is not its own"
    fourth = Unit.code(CODES[2], MON, FRI)
    item = seen(found, came(fourth, rows((CODES[2], MON), (CODES[2], FRI))))[fourth]
    assert item.error == (
        "3 of 5 rows that are due are missing from every source: 600002.SH 2026-11-17, 2026-11-18, 2026-11-19"
    )


def test_a_range_may_lack_more_where_the_halts_of_its_first_days_are_not_known() -> None:
    found = gaps(halts_known=[FRI])
    unit = Unit.code(CODES[0], MON, FRI)
    assert seen(found, came(unit, rows((CODES[0], MON), (CODES[0], FRI))))[unit].status is ItemStatus.SUCCESS


def test_two_gaps_of_one_code_in_two_sessions_are_closed_by_one_answer() -> None:
    found = gaps()
    first, second = Unit.session(MON), Unit.session(WED)
    seen(found, came(first, CODES[1:]), came(second, CODES[1:-1]))
    assert [str(unit) for unit in found.units()] == [
        "600000.SH 2026-11-16..2026-11-18",
        "600009.SH 2026-11-18..2026-11-18",
    ]
    filled = found.fill(rows((CODES[0], MON), (CODES[0], TUE), (CODES[0], WED), (CODES[5], MON)))
    assert set(filled.iter_rows()) == {(CODES[0], MON), (CODES[0], WED)}, "what stood there before is not written again"
    assert {unit: item.missing for unit, item in settled(found).items()} == {first: 0, second: 1}
    assert found.fill(rows((CODES[0], MON))).is_empty(), "a gap is closed once"


def test_as_many_codes_as_may_be_asked_one_by_one_and_one_more() -> None:
    codes = [f"{n:06}.SZ" for n in range(MOST_CODES + 1)]
    most, more = gaps(codes), gaps(codes)
    seen(most, came(Unit.session(MON), codes[-1:]))
    seen(more, came(Unit.session(MON), []))
    assert MOST_CODES == 800
    assert len(most.units()) == MOST_CODES
    assert more.units() == []


def test_sessions_that_lack_so_many_codes_are_asked_for_as_a_whole_and_codes_never() -> None:
    found = gaps()
    seen(found, came(Unit.session(MON), CODES[3:]), came(Unit.session(TUE), CODES[2:]), came(Unit.session(WED), CODES[4:]))
    seen(found, came(Unit.code(CODES[0], MON, FRI), rows()))
    assert found.sessions(3) == [Unit.session(MON), Unit.session(WED)]


def test_codes_that_no_source_has_fail_nothing_and_more_of_them_than_may_lack_are_reported() -> None:
    few, many = gaps(), gaps()
    unit = Unit.session(MON)
    seen(few, came(unit, CODES[2:]))
    assert settled(few, without=CODES[:2])[unit].status is ItemStatus.SUCCESS
    seen(many, came(unit, CODES[3:]))
    item = settled(many, without=CODES[:3], elsewhere=" (tushare could have them)")[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.UNSERVED, 3)
    assert item.error == (
        "3 of 10 rows that are due are of codes that no source in use has: 600000.SH, 600001.SH, 600002.SH"
        " (tushare could have them)"
    )


def test_what_a_source_has_and_what_nobody_has_are_judged_apart() -> None:
    both, had, nobody = gaps(), gaps(), gaps()
    unit = Unit.session(MON)
    seen(both, came(unit, CODES[4:]))
    assert settled(both, without=CODES[:2])[unit].status is ItemStatus.SUCCESS, "two and two: each as few as may lack"
    assert settled(both, without=CODES[:2])[unit].missing == 4
    seen(had, came(unit, CODES[5:]))
    item = settled(had, without=CODES[:2])[unit]
    assert (item.status, item.missing) == (ItemStatus.FAILED, 5)
    assert item.error is not None
    assert item.error.startswith("3 of 10 rows that are due are missing from every source: 600002.SH")
    seen(nobody, came(unit, CODES[5:]))
    item = settled(nobody, without=CODES[:3])[unit]
    assert item.error_class == Shortfall.UNSERVED
    assert "3 of 10" in str(item.error)


def test_a_single_code_that_nobody_has_is_unserved_and_not_failed() -> None:
    found = gaps()
    unit = Unit.code(CODES[0], MON, FRI)
    seen(found, came(unit, rows()))
    assert settled(found, without=CODES[:1])[unit].error_class == Shortfall.UNSERVED


def test_what_filling_a_whole_unit_cost_is_added_to_its_item() -> None:
    found = gaps()
    unit = Unit.session(MON)
    seen(found, came(unit, CODES[1:]))
    cost = {"inserted": 2, "updated": 3, "unchanged": 4, "attempts": 5, "calls": 6, "seconds": 0.5}
    found.cost(unit, item_of(unit, source="baostock", rows=9, **cost))
    found.cost(unit, item_of(unit, source="baostock", rows=1))
    item = settled(found)[unit]
    assert (item.rows, item.source) == (11, "tushare, baostock"), "each source is named once"
    assert {name: getattr(item, name) for name in cost} == cost


def test_what_asking_in_vain_cost_is_added_to_the_first_unit_that_lacks_the_code() -> None:
    found = gaps()
    first, second = Unit.session(MON), Unit.session(WED)
    seen(found, came(first, CODES[1:]), came(second, CODES[1:-1]))
    for asked in found.units():
        found.spent(asked, 3, 2)
    found.spent(Unit.code("999999.SH", MON, WED), 9, 9)
    assert {unit: (item.calls, item.attempts) for unit, item in settled(found).items()} == {first: (3, 2), second: (3, 2)}


def test_a_week_owes_a_row_of_what_traded_on_one_of_its_days() -> None:
    found = gaps(dataset=WEEKLY_KLINE, halted=[(CODES[0], day) for day in WEEK] + [(CODES[1], day) for day in WEEK[:4]])
    unit = Unit.session(FRI)
    assert seen(found, came(unit, CODES[2:]))[unit].missing == 1
    assert [str(each) for each in found.units()] == ["600001.SH 2026-11-20..2026-11-20"]


def test_five_names_are_shown_and_of_more_that_there_are_more() -> None:
    codes = [f"60000{n}.SH" for n in range(7)]
    five, six = gaps(codes), gaps(codes)
    unit = Unit.session(MON)
    assert str(seen(five, came(unit, codes[5:]))[unit].error).endswith("600003.SH, 600004.SH")
    assert str(seen(six, came(unit, codes[6:]))[unit].error).endswith("600003.SH, 600004.SH, …")
    range_of_six, range_of_five = Unit.code(codes[0], dt.date(2026, 11, 9), MON), Unit.code(codes[0], MON, FRI)
    assert str(seen(five, came(range_of_six, rows()))[range_of_six].error).endswith("2026-11-12, 2026-11-13, …")
    range_of_one = Unit.code(codes[0], FRI, FRI)
    assert str(seen(five, came(range_of_one, rows()))[range_of_one].error).endswith("source: 600000.SH")
    assert str(seen(five, came(range_of_five, rows()))[range_of_five].error).endswith("2026-11-19, 2026-11-20")


def test_of_two_refused_rows_of_which_the_next_source_has_one_the_other_is_still_refused() -> None:
    found = gaps()
    unit = Unit.session(MON)
    seen(found, came(unit, CODES[2:], refused=CODES[:2]))
    assert found.fill(rows((CODES[1], MON))).height == 1
    item = settled(found)[unit]
    assert (item.status, item.error_class, item.missing) == (ItemStatus.PARTIAL, Shortfall.REFUSED, 1)
    assert item.error == "1 of 10 rows were refused (see rejected_rows), and no source replaced them: 600000.SH"
    assert found.refused() == [unit]
    assert [str(each) for each in found.units()] == ["600000.SH 2026-11-16..2026-11-16"]
