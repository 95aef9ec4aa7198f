"""Which answers are taken: by what is due and what is stored, to the row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    BSE_MAPPING,
    DAILY_KLINE,
    ETF_DAILY,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_HOT,
    THS_MEMBERS,
    WEEKLY_KLINE,
)
from quant_pipeline.market.validation import Checked
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, Implausible, Incomplete, SourceError
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.acceptance import ListAcceptance, RowsAcceptance, labels_of_unit
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import bars, store

MON, TUE, WED, THU, FRI = (dt.date(2026, 11, day) for day in range(16, 21))
WEEK = (MON, TUE, WED, THU, FRI)
OLD = dt.date(2020, 1, 2)
CODES = [f"60000{n}.SH" for n in range(8)] + ["920001.BJ", "920002.BJ"]
"""Ten codes: two of them may lack in a session."""
KEYS = {"ts_code": pl.String, "trade_date": pl.Date}


class Whole(Source):
    """Judged beside its answers, never asked."""

    name = "whole"
    default_priority = 1
    default_policies: ClassVar = {}

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))

    @serves(THS_CONCEPTS, by=(Grain.SNAPSHOT,), api="concepts", page=100)
    def concepts(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(THS_MEMBERS, by=(Grain.MEMBERS,), api="members", page=100)
    def members(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="stocks", page=100)
    def stocks(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError

    @serves(BSE_MAPPING, by=(Grain.SNAPSHOT,), api="mapping", page=100)
    def mapping(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError


class Part(Whole):
    """It has no Beijing, no industry of the list, and gives nothing of a Friday."""

    name = "part"

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        return dataset is DAILY_KLINE and ts_code.endswith(".BJ")

    def gives_not(self, dataset: Dataset, unit: Unit) -> frozenset[dt.date]:
        return frozenset({FRI}) if dataset is DAILY_KLINE and unit.grain is Grain.CODE else frozenset()

    @serves(THS_CONCEPTS, by=(Grain.SNAPSHOT,), api="concepts", page=100, only=lambda: pl.col("type") == "N")
    def concepts(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        raise NotImplementedError


def source(kind: type[Source] = Whole) -> Source:
    return kind(xshg(), None, {})


def rows_acceptance(
    database: Database,
    *units: Unit,
    dataset: Dataset = DAILY_KLINE,
    codes: Sequence[str] = CODES,
    halted: Sequence[tuple[str, dt.date]] = (),
) -> RowsAcceptance:
    lives = pl.DataFrame(
        {"ts_code": codes, "list_date": [OLD] * len(codes)}, schema={"ts_code": pl.String, "list_date": pl.Date}
    )
    listed = lives.with_columns(delist_date=pl.lit(None, pl.Date)).sort("ts_code")
    halts = pl.DataFrame(list(halted), schema=KEYS, orient="row")
    roster = Roster(dataset, xshg(), listed, halts, frozenset(WEEK), known=frozenset(codes))
    return RowsAcceptance(database, dataset, xshg(), roster, units)


def test_a_session_may_lack_two_of_ten_codes_and_not_three(warehouse: Database) -> None:
    unit = Unit.session(MON)
    accept = rows_acceptance(warehouse, unit)
    assert accept(unit, bars(CODES[2:], [MON]), source()).good.height == 8
    with pytest.raises(Incomplete) as short:
        accept(unit, bars(CODES[3:], [MON]), source())
    text = "3 of 10 codes that should have traded are missing: 600000.SH, 600001.SH, 600002.SH"
    assert str(short.value) == text
    with pytest.raises(Incomplete, match=r"6 of 10 .*600004\.SH, …$"):
        accept(unit, bars(CODES[6:], [MON]), source())
    with pytest.raises(Incomplete, match=r"5 of 10 .*600004\.SH$"):
        accept(unit, bars(CODES[5:], [MON]), source())


def test_a_refused_row_lacks_and_the_reason_is_said(warehouse: Database) -> None:
    unit = Unit.session(MON)
    accept = rows_acceptance(warehouse, unit)
    spoilt = pl.when(pl.col("ts_code").is_in(CODES[:3])).then(None).otherwise(pl.col("close"))
    with pytest.raises(Incomplete, match=r"3 of 10 .*\(3 rows were refused: close is missing"):
        accept(unit, bars(CODES, [MON]).with_columns(close=spoilt), source())
    two = pl.when(pl.col("ts_code").is_in(CODES[:2])).then(None).otherwise(pl.col("close"))
    checked = accept(unit, bars(CODES, [MON]).with_columns(close=two), source())
    assert (checked.good.height, checked.bad.height) == (8, 2)


def test_of_two_reasons_the_one_of_most_rows_is_said(warehouse: Database) -> None:
    unit = Unit.session(MON)
    few, many = (pl.col("ts_code").is_in(codes) for codes in (CODES[:1], CODES[1:4]))
    rows = bars(CODES, [MON]).with_columns(
        close=pl.when(few).then(None).otherwise(pl.col("close")), vol=pl.when(many).then(None).otherwise(pl.col("vol"))
    )
    with pytest.raises(Incomplete, match=r"4 of 10 .*\(4 rows were refused: vol is missing\)$"):
        rows_acceptance(warehouse, unit)(unit, rows, source())


def test_rows_of_another_session_are_no_rows_of_this_one(warehouse: Database) -> None:
    unit = Unit.session(TUE)
    with pytest.raises(Incomplete, match=r"no good row came, though 2026-11-17 is a session \(10 rows were refused"):
        rows_acceptance(warehouse, unit)(unit, bars(CODES, [MON]), source())


def test_halted_codes_and_those_that_the_source_does_not_have_are_not_held_against_it(warehouse: Database) -> None:
    unit = Unit.session(MON)
    accept = rows_acceptance(warehouse, unit, halted=[(CODES[0], MON), (CODES[1], MON)])
    assert accept(unit, bars(CODES[4:], [MON]), source()).good.height == 6
    with pytest.raises(Incomplete, match="3 of 8"):
        accept(unit, bars(CODES[5:], [MON]), source())
    accept = rows_acceptance(warehouse, unit)
    assert accept(unit, bars(CODES[2:8], [MON]), source(Part)).good.height == 6, "no Beijing, and two lack"
    with pytest.raises(Incomplete, match="3 of 8"):
        accept(unit, bars(CODES[3:8], [MON]), source(Part))


def test_nothing_at_all_is_no_answer_unless_nothing_may_be_right(warehouse: Database) -> None:
    unit = Unit.session(MON)
    with pytest.raises(Incomplete, match=r"no good row came, though 2026-11-16 is a session$"):
        rows_acceptance(warehouse, unit, codes=[])(unit, bars([], [MON]), source())
    none = pl.DataFrame(schema={column.name: column.type.polars for column in SUSPENSIONS.columns})
    assert rows_acceptance(warehouse, unit, dataset=SUSPENSIONS)(unit, none, source()).good.is_empty()
    hot = {"trade_date": MON, "data_type": "热股", "rank_time": "22:30", "ts_code": CODES[0], "rank": 1}
    nulls = dict.fromkeys(set(THS_HOT.column_names) - set(hot))
    accept = rows_acceptance(warehouse, unit, dataset=THS_HOT, codes=[])
    assert accept(unit, pl.DataFrame([hot | nulls]), source()).good.height == 1, "where nobody owes rows one is enough"
    with pytest.raises(Incomplete, match="no good row"):
        accept(unit, pl.DataFrame([hot | nulls]).clear(), source())


def test_a_thin_market_may_lack_half(warehouse: Database) -> None:
    funds = [f"51000{n}.SH" for n in range(10)]
    unit = Unit.session(MON)
    accept = rows_acceptance(warehouse, unit, dataset=ETF_DAILY, codes=funds)
    assert accept(unit, bars(funds[5:], [MON]), source()).good.height == 5
    with pytest.raises(Incomplete, match="6 of 10"):
        accept(unit, bars(funds[6:], [MON]), source())


def test_a_code_owes_the_sessions_of_its_range_but_for_halts_and_days_that_cannot_be_given(warehouse: Database) -> None:
    unit = Unit.code(CODES[0], MON, FRI)
    accept = rows_acceptance(warehouse, unit)
    assert accept(unit, bars(CODES[:1], WEEK[2:]), source()).good.height == 3
    with pytest.raises(Incomplete) as short:
        accept(unit, bars(CODES[:1], WEEK[3:]), source())
    assert str(short.value) == "3 of 5 sessions are missing: 2026-11-16, 2026-11-17, 2026-11-18"
    assert accept(unit, bars(CODES[:1], [MON, TUE]), source(Part)).good.height == 2, "the Friday is not held against it"
    with pytest.raises(Incomplete, match="3 of 4 sessions"):
        accept(unit, bars(CODES[:1], [MON]), source(Part))
    with pytest.raises(Incomplete, match="3 of 3"):
        rows_acceptance(warehouse, unit, halted=[(CODES[0], MON), (CODES[0], TUE)])(unit, bars(CODES[:1], []), source())


def test_a_code_that_owes_nothing_in_the_range_may_come_with_nothing(warehouse: Database) -> None:
    unit = Unit.code(CODES[0], MON, TUE)
    accept = rows_acceptance(warehouse, unit, halted=[(CODES[0], MON), (CODES[0], TUE)])
    assert accept(unit, bars(CODES[:1], []), source()).good.is_empty()


def test_a_session_that_repeats_the_one_before_is_doubted_and_a_short_one_is_short_first(warehouse: Database) -> None:
    codes = [f"{600000 + n}.SH" for n in range(40)]
    first, second = Unit.session(MON), Unit.session(TUE)
    accept = rows_acceptance(warehouse, first, second, codes=codes)
    monday = bars(codes, [MON])
    repeated = monday.with_columns(trade_date=pl.lit(TUE))
    accept(first, monday, source())
    accept.settled(first)
    with pytest.raises(Implausible, match="the bars of 40 of 40 codes are those of 2026-11-16") as doubt:
        accept(second, repeated, source())
    assert isinstance(doubt.value.answer, Checked)
    assert doubt.value.answer.good.height == 40, "what is taken if all say the same"
    with pytest.raises(Incomplete, match="3 of 40") as short:
        accept(second, repeated.filter(~pl.col("ts_code").is_in(codes[:3])), source())
    assert not isinstance(short.value, Implausible)


def test_a_session_that_came_before_the_one_that_it_repeats_is_asked_again(warehouse: Database) -> None:
    codes = [f"{600000 + n}.SH" for n in range(40)]
    units = [Unit.session(MON), Unit.session(TUE)]
    accept = rows_acceptance(warehouse, *units, codes=codes)
    monday = bars(codes, [MON])
    accept(units[1], monday.with_columns(trade_date=pl.lit(TUE)), source())
    accept.settled(units[1])
    accept(units[0], monday, source())
    accept.settled(units[0])
    assert accept.contradicted() == units[1:]
    assert accept.contradicted() == [], "once"


def concepts(count: int, kind: str = "N") -> pl.DataFrame:
    codes = [f"{885000 + n if kind == 'N' else 881000 + n}.TI" for n in range(count)]
    return pl.DataFrame({"ts_code": codes}, schema={"ts_code": pl.String}).with_columns(name=pl.lit("a"), type=pl.lit(kind))


def test_a_list_may_shrink_by_a_fiftieth_and_a_few(warehouse: Database) -> None:
    store(warehouse, THS_CONCEPTS, concepts(100))
    accept = ListAcceptance(warehouse, THS_CONCEPTS, xshg())
    unit = Unit.snapshot(FRI)
    assert accept(unit, concepts(96), source()).good.height == 96
    with pytest.raises(Incomplete, match="the list came with 95 rows, the stored one has 100: a cut answer"):
        accept(unit, concepts(95), source())
    assert accept(unit, concepts(101), source()).good.height == 101
    assert (accept.contradicted(), accept.settled(unit)) == ([], None)


def test_a_list_is_compared_with_the_rows_that_the_source_can_have(warehouse: Database) -> None:
    store(warehouse, THS_CONCEPTS, pl.concat([concepts(50), concepts(50, "I")]))
    accept = ListAcceptance(warehouse, THS_CONCEPTS, xshg())
    assert accept(Unit.snapshot(FRI), concepts(47), source(Part)).good.height == 47
    with pytest.raises(Incomplete, match="the stored one has 50"):
        accept(Unit.snapshot(FRI), concepts(46), source(Part))
    with pytest.raises(Incomplete, match="the stored one has 100"):
        accept(Unit.snapshot(FRI), concepts(50), source())


def test_an_empty_list_is_no_answer_unless_nothing_may_be_right(warehouse: Database) -> None:
    with pytest.raises(Incomplete, match="the list came empty"):
        ListAcceptance(warehouse, THS_CONCEPTS, xshg())(Unit.snapshot(FRI), concepts(0), source())
    none = pl.DataFrame(schema={"o_code": pl.String, "n_code": pl.String})
    assert ListAcceptance(warehouse, BSE_MAPPING, xshg())(Unit.snapshot(FRI), none, source()).good.is_empty()


def test_the_members_of_a_board_are_compared_with_its_own(warehouse: Database) -> None:
    def members(board: str, count: int) -> pl.DataFrame:
        return pl.DataFrame({"ts_code": [board] * count, "con_code": [f"{600000 + n}.SH" for n in range(count)]})

    store(warehouse, THS_MEMBERS, pl.concat([members("885001.TI", 10), members("885002.TI", 30)]))
    accept = ListAcceptance(warehouse, THS_MEMBERS, xshg())
    unit = Unit.members("885001.TI", FRI)
    assert accept(unit, members("885001.TI", 8), source()).good.height == 8
    with pytest.raises(Incomplete, match="the stored one has 10"):
        accept(unit, members("885001.TI", 7), source())


def test_the_labels_of_a_unit_lie_in_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    unit = Unit.code(CODES[0], dt.date(2026, 11, 9), WED)
    assert labels_of_unit(WEEKLY_KLINE, xshg(), unit) == [dt.date(2026, 11, 13), WED]
    assert labels_of_unit(WEEKLY_KLINE, xshg(), Unit.code(CODES[0], MON, TUE)) == [], "that week ends later"
    assert labels_of_unit(DAILY_KLINE, xshg(), Unit.code(CODES[0], MON, WED)) == [MON, TUE, WED]


def test_what_comes_under_a_former_code_is_taken_under_the_one_of_now(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO code_changes (old_code, new_code, known_from) VALUES ('600099.SH', '600000.SH', 'stock_list')"
        )
    unit = Unit.session(MON)
    former = pl.col("ts_code").replace({"600000.SH": "600099.SH"})
    accept = rows_acceptance(warehouse, unit)
    rows = accept(unit, bars(CODES, [MON]).with_columns(former), source()).good
    assert set(rows["ts_code"]) == set(CODES)
    lists = ListAcceptance(warehouse, STOCK_LIST, xshg())
    listed = pl.DataFrame({"ts_code": ["600099.SH"], "list_status": ["L"]})
    assert lists(Unit.snapshot(MON), listed, source()).good["ts_code"].to_list() == ["600000.SH"]


def test_factors_are_scaled_to_the_stored_ones_and_pre_closes_completed_of_one_code_only(warehouse: Database) -> None:
    """A whole session comes in its source's own terms; one code's history is joined on to what is stored."""
    code, both = CODES[0], [MON, TUE]
    store(warehouse, ADJ_FACTOR, [{"ts_code": code, "trade_date": MON, "adj_factor": 10.0}])
    factors = pl.DataFrame({"ts_code": [code] * 2, "trade_date": both, "adj_factor": [1.0, 2.0]})
    by_code = rows_acceptance(warehouse, dataset=ADJ_FACTOR, codes=[code])(Unit.code(code, MON, TUE), factors, source())
    assert by_code.good["adj_factor"].to_list() == [10.0, 20.0]
    of_session = factors.filter(pl.col("trade_date") == TUE)
    by_session = rows_acceptance(warehouse, dataset=ADJ_FACTOR, codes=[code])(Unit.session(TUE), of_session, source())
    assert by_session.good["adj_factor"].to_list() == [2.0]

    store(warehouse, ADJ_FACTOR, [{"ts_code": code, "trade_date": day, "adj_factor": 10.0} for day in both])
    store(warehouse, DAILY_KLINE, bars([code], [MON]))
    silent = bars([code], both).filter(pl.col("trade_date") == TUE).with_columns(pre_close=pl.lit(None, pl.Float64))
    by_code = rows_acceptance(warehouse, codes=[code])(Unit.code(code, TUE, TUE), silent, source())
    assert by_code.good["pre_close"].to_list() == [bars([code], [MON])["close"][0]]
    by_session = rows_acceptance(warehouse, codes=[code])(Unit.session(TUE), silent, source())
    assert by_session.good["pre_close"].to_list() == [None]
