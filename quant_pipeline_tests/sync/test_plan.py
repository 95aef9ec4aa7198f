"""What is asked for, in which grain, at what price: decided over sources that are declared here and asked for nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE, DIVIDENDS, INDEX_DAILY, STOCK_LIST, THS_HOT, THS_MEMBERS, WEEKLY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.router import Router
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.plan import Plan, PlanError, plan_list, plan_rows, plan_units
from quant_pipeline.sync.roster import Roster

DAYS = xshg().window(dt.date(2026, 11, 20), 20)
FREE = RatePolicy(per_minute=None, per_second=None)
BY_BOTH = (Grain.SESSION, Grain.CODE)


class Base(Source):
    """A source of which only plans are made: it has no limiter, and every answer would be an error."""

    name = "base"
    default_priority = 1
    default_policies: ClassVar = {"*": FREE}

    def __init__(self, policy: RatePolicy = FREE) -> None:
        super().__init__(xshg(), None, {self.name: {"*": policy}})

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


class Wide(Base):
    """By session and by code, pages of ten rows."""

    name = "wide"

    @serves(DAILY_KLINE, by=BY_BOTH, api="daily", page=10)
    def daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(WEEKLY_KLINE, by=BY_BOTH, api="weekly", page=10)
    def weekly(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="list", page=2, asks=3)
    def stocks(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(THS_MEMBERS, by=(Grain.MEMBERS,), api="members", page=2)
    def members(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError


class Narrow(Base):
    """By session, pages of two rows."""

    name = "narrow"

    @serves(DIVIDENDS, by=(Grain.SESSION,), api="dividend", page=2)
    def dividends(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(DAILY_KLINE, by=(Grain.SESSION,), api="daily", page=2)
    def daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError


class ByCode(Base):
    """By code only, and nothing of Beijing's."""

    name = "bycode"

    @serves(DAILY_KLINE, by=(Grain.CODE,), api="daily", page=10)
    def daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        return dataset is DAILY_KLINE and ts_code.endswith(".BJ")


class Beside(Base):
    """By session and code, nothing of Beijing's."""

    name = "beside"

    @serves(DAILY_KLINE, by=BY_BOTH, api="daily", page=10)
    def daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        return dataset is DAILY_KLINE and ts_code.endswith(".BJ")


class Alone(Beside):
    """The same, and it does not share."""

    name = "alone"
    shares = False


def roster(*codes: str, dataset: Dataset = DAILY_KLINE, since: dt.date = DAYS[0]) -> Roster:
    schema = {"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date}
    return Roster(dataset, xshg(), pl.DataFrame([(code, since, None) for code in codes], schema=schema, orient="row"))


def names(plan: Plan) -> list[str]:
    return [str(unit) for unit in plan.units]


def plan(sources: Sequence[Source], listed: Sequence[str], days: Sequence[dt.date] = DAYS, **asked: Sequence[str]) -> Plan:
    return plan_rows(DAILY_KLINE, Router(sources), roster(*listed), days, **asked)


def test_the_grain_is_the_one_of_fewer_calls_and_of_equal_ones_the_session() -> None:
    two = ["600000.SH", "600001.SH"]
    by_code = plan([Wide()], two)  # 20 sessions of a page each, or 2 codes of 20 rows: 3 pages each
    assert (by_code.grain, by_code.calls, by_code.source, by_code.labels) == (Grain.CODE, 6, "wide", DAYS)
    assert names(by_code) == [f"{code} {DAYS[0]}..{DAYS[-1]}" for code in two]
    by_session = plan([Wide()], two, DAYS[:2])
    assert (by_session.grain, by_session.calls, by_session.labels) == (Grain.SESSION, 2, ())
    assert names(by_session) == [str(day) for day in DAYS[:2]]
    assert plan([Wide()], two, DAYS[:1]).calls == 1


def test_of_what_no_code_owes_a_session_is_a_page_however_many_are_listed() -> None:
    many = roster(*(f"60000{n}.SH" for n in range(9)), dataset=DIVIDENDS)
    assert plan_rows(DIVIDENDS, Router([Narrow()]), many, DAYS).calls == len(DAYS)
    assert plan([Narrow()], [f"60000{n}.SH" for n in range(9)]).calls == 5 * len(DAYS)


def test_a_full_page_costs_one_more_call() -> None:
    nine, ten = [f"60000{n}.SH" for n in range(9)], [f"60000{n}.SH" for n in range(10)]
    assert plan([Wide()], nine, DAYS[:1]).calls == 1
    assert plan([Wide()], ten, DAYS[:1]).calls == 2


def test_named_codes_alone_complete_no_session() -> None:
    found = plan([Wide()], ["600000.SH", "600001.SH"], codes=("600001.SH",))
    assert (names(found), found.labels) == ([f"600001.SH {DAYS[0]}..{DAYS[-1]}"], ())


def test_only_codes_that_lived_in_the_range_are_asked() -> None:
    lives = pl.DataFrame(
        {
            "ts_code": ["600000.SH", "600001.SH", "600002.SH", "600003.SH"],
            "list_date": [DAYS[0], DAYS[11], DAYS[10], dt.date(2020, 1, 2)],
            "delist_date": [None, None, None, DAYS[0]],
        }
    )
    found = plan_rows(DAILY_KLINE, Router([Wide()]), Roster(DAILY_KLINE, xshg(), lives), DAYS[:11])
    assert [unit.ts_code for unit in found.units] == ["600000.SH", "600002.SH"]
    assert found.calls == 3, "two pages of eleven rows, one of a single row"


def test_no_days_are_no_plan_and_no_error() -> None:
    found = plan([], [], ())
    assert (found.units, found.calls, found.minutes, str(found)) == ((), 0, 0.0, "daily_kline: nothing to fetch")


def test_without_a_list_sessions_are_asked_or_the_list_is_named_that_must_be_there_first() -> None:
    assert plan([Wide()], [], DAYS[:3]).grain is Grain.SESSION
    with pytest.raises(PlanError, match="daily_kline: none of its codes is known yet, sync stock_list first"):
        plan([ByCode()], [], DAYS[:3])
    assert plan([ByCode(), Wide()], [], DAYS[:3]).grain is Grain.SESSION, "one that serves it by session is enough"
    assert plan([ByCode()], [], DAYS[:3], codes=("600000.SH",)).calls == 1, "named, it needs no list"


def test_what_nobody_serves_names_the_sources_in_use() -> None:
    with pytest.raises(PlanError, match=r"ths_hot: none of the sources in use \(wide, bycode\) serves it"):
        plan_rows(THS_HOT, Router([Wide(), ByCode()]), roster(dataset=THS_HOT), DAYS)
    with pytest.raises(PlanError, match=r"\(-\)"):
        plan_rows(THS_HOT, Router([]), roster(dataset=THS_HOT), DAYS)


def test_the_core_codes_are_asked_where_no_list_is_stored() -> None:
    class Indexes(Base):
        name = "indexes"

        @serves(INDEX_DAILY, by=(Grain.CODE,), api="index", page=100)
        def index(self, unit: Unit, tally: Tally) -> pl.DataFrame:
            raise NotImplementedError

    found = plan_rows(INDEX_DAILY, Router([Indexes()]), roster(dataset=INDEX_DAILY), DAYS)
    assert [unit.ts_code for unit in found.units] == list(INDEX_DAILY.codes)


def test_the_running_week_is_a_unit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    weeks = [dt.date(2026, 11, 6), dt.date(2026, 11, 13), dt.date(2026, 11, 18)]
    only = roster("600000.SH", "600001.SH", dataset=WEEKLY_KLINE)
    found = plan_rows(WEEKLY_KLINE, Router([Wide()]), only, weeks, codes=("600000.SH", "600001.SH"))
    assert found.grain is Grain.SESSION, "three weeks are three calls, two codes four"
    found = plan_rows(WEEKLY_KLINE, Router([Wide()]), only, weeks, codes=("600000.SH",))
    assert names(found) == ["600000.SH 2026-11-06..2026-11-13", "600000.SH 2026-11-18..2026-11-18"]
    found = plan_rows(WEEKLY_KLINE, Router([Wide()]), only, weeks[:2], codes=("600000.SH",))
    assert names(found) == ["600000.SH 2026-11-06..2026-11-13"]


def test_each_unit_has_the_price_of_who_is_asked_first_for_it() -> None:
    """What the first does not have is the second's, and counts for it."""
    codes = ["600000.SH", "920001.BJ", "920002.BJ"]
    found = plan([ByCode(), Wide()], codes, codes=codes)
    assert (found.grain, found.calls, found.source) == (Grain.CODE, 9, "wide"), "two codes of three are asked of it"
    assert plan([ByCode(), Wide()], codes, codes=codes[:2]).source == "bycode", "of as many each the first"
    assert plan([ByCode()], codes, codes=codes[1:]).calls == 6, "nobody has it: the first will say so"


def test_given_units_are_a_page_each_and_a_grain_nobody_serves_is_planned_without_calls() -> None:
    units = [Unit.session(day) for day in DAYS[:3]]
    found = plan_units(DAILY_KLINE, Router([Wide()]), Grain.SESSION, units)
    assert (found.calls, found.units, found.shared) == (3, tuple(units), False)
    assert plan_units(DAILY_KLINE, Router([Narrow()]), Grain.SESSION, units).calls == 3
    found = plan_units(DAILY_KLINE, Router([ByCode()]), Grain.SESSION, units)
    assert (found.calls, found.units, found.grain) == (0, tuple(units), Grain.SESSION)
    assert (found.minutes, found.shared, found.source) == (0, False, "")


def test_a_list_is_one_unit_and_members_are_one_for_each_board() -> None:
    found = plan_list(STOCK_LIST, Router([Wide()]), as_of=DAYS[0])
    assert (found.grain, names(found), found.calls) == (Grain.SNAPSHOT, [str(DAYS[0])], 3)
    assert plan_list(STOCK_LIST, Router([Wide()]), as_of=DAYS[0], rows=25).calls == 15
    found = plan_list(THS_MEMBERS, Router([Wide()]), as_of=DAYS[0], groups=["885001.TI", "885002.TI"])
    assert (names(found), found.calls) == ([f"885001.TI {DAYS[0]}", f"885002.TI {DAYS[0]}"], 2)
    assert str(found) == "ths_members: 2 boards, 2 calls to wide, 0.0 min at its pace"
    with pytest.raises(PlanError):
        plan_list(THS_MEMBERS, Router([ByCode()]), as_of=DAYS[0], groups=["885001.TI"])


def test_a_part_of_a_plan_has_its_share_of_the_cost() -> None:
    whole = plan([Wide(RatePolicy(per_minute=None, per_second=1, burst=1))], ["600000.SH", "600001.SH"])
    half = whole.of(whole.units[:1])
    assert (len(half.units), half.calls, half.minutes) == (1, 3, pytest.approx(whole.minutes / 2))
    assert whole.of([]).calls == 0
    assert Plan(DAILY_KLINE, Grain.SESSION, ()).of([]).minutes == 0


@pytest.mark.parametrize(
    ("policy", "calls", "minutes"),
    [
        ({"per_minute": None, "per_second": 1, "burst": 5}, 5, 0),
        ({"per_minute": None, "per_second": 1, "burst": 5}, 8, 3 / 60),
        ({"per_minute": None, "per_second": 2, "burst": 5}, 8, 1.5 / 60),
        ({"per_minute": 5, "per_second": None}, 0, 0),
        ({"per_minute": 5, "per_second": None}, 5, 0),
        ({"per_minute": 5, "per_second": None}, 6, 1),
        ({"per_minute": 5, "per_second": None}, 10, 1),
        ({"per_minute": 5, "per_second": None, "minute": 30}, 11, 1),
        ({"per_minute": 5, "per_second": 1, "burst": 1}, 6, 1),
        ({"per_minute": 100, "per_second": 1, "burst": 1}, 7, 6 / 60),
    ],
)
def test_the_minutes_are_those_of_the_quota_or_of_the_pace_whichever_is_more(
    policy: dict[str, float], calls: int, minutes: float
) -> None:
    days = xshg().window(DAYS[-1], 20)[:calls]
    found = plan_units(DAILY_KLINE, Router([Wide(RatePolicy(**policy))]), Grain.SESSION, [Unit.session(day) for day in days])
    assert found.minutes == pytest.approx(minutes)


PACED = RatePolicy(per_minute=10, per_second=None)
"""Ten sessions at once, twenty in a minute, thirty in two."""


def shared(*sources: Source, days: int = 30, codes: Sequence[str] = ("600000.SH",), known: bool = True) -> Plan:
    units = [Unit.session(day) for day in xshg().window(DAYS[-1], days)]
    lives = roster(*codes, since=xshg().window(DAYS[-1], 15)[0])
    return plan_units(DAILY_KLINE, Router(sources), Grain.SESSION, units, lives if known else None)


def test_a_plan_of_more_than_a_minute_is_shared_out_over_all_that_share() -> None:
    found = shared(Wide(PACED), Beside(PACED))
    assert (found.shared, found.minutes) == (True, pytest.approx(1.0)), "two at one pace take half of the time"
    assert not shared(Wide(PACED), Beside(PACED), days=20).shared, "a minute is not more than a minute"
    assert not shared(Wide(PACED)).shared, "there is nobody to share it with"
    assert not shared(Wide(PACED), Alone(PACED)).shared
    assert not shared(Wide(PACED), Beside(PACED), known=False).shared, "who can have it is not known"
    assert shared(Wide(PACED), Alone(PACED)).minutes == 2


def test_a_source_takes_its_share_only_of_the_sessions_that_it_has_whole() -> None:
    """In half of the sessions a code of Beijing's was listed, which it does not have."""
    found = shared(Wide(PACED), Beside(PACED), codes=["600000.SH", "920001.BJ"])
    assert (found.shared, found.minutes) == (True, pytest.approx(30 / (15 + 7.5)))
    both = shared(Wide(PACED), Alone(PACED), Beside(PACED), codes=["600000.SH", "920001.BJ"])
    assert both.minutes == found.minutes, "one that does not share adds nothing"


def test_codes_are_shared_out_whole() -> None:
    units = [Unit.code(f"{n:06}.SZ", DAYS[0], DAYS[0]) for n in range(30)]
    slow = RatePolicy(per_minute=5, per_second=None)
    found = plan_units(DAILY_KLINE, Router([Wide(PACED), Beside(slow)]), Grain.CODE, units, roster("920001.BJ"))
    assert found.minutes == pytest.approx(30 / (15 + 6)), "at each one's own pace"
