"""Whom a market's answer is made of, day by day, and whom to ask for one by one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    DAILY_KLINE,
    ETF_DAILY,
    INDEX_DAILY,
    INDEX_LIST,
    SPECIAL_TREATMENT,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_HOT,
    THS_INDUSTRIES,
    THS_MEMBERS,
    WEEKLY_KLINE,
)
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import ItemStatus, item_of, record
from quant_pipeline.sync.roster import Roster, groups
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import bars, store

JAN, MAR, MAY = dt.date(2026, 1, 5), dt.date(2026, 3, 2), dt.date(2026, 5, 6)
LISTED = pl.DataFrame(
    {
        "ts_code": ["000001.SZ", "600000.SH", "920001.BJ"],
        "list_date": [JAN, MAR, MAR],
        "delist_date": [None, None, MAY],
    }
)


def test_codes_count_from_their_first_day_to_the_one_before_their_last() -> None:
    roster = Roster(DAILY_KLINE, xshg(), LISTED)
    assert roster.rows_on([JAN, MAR, MAY]) == [1, 3, 2]
    assert roster.rows_of(["000001.SZ", "920001.BJ", "300999.SZ"], [JAN, MAR, MAY]) == [3, 1, 3]
    assert roster.listed_between(JAN, JAN) == ["000001.SZ"]
    assert roster.listed_between(MAY, MAY) == ["000001.SZ", "600000.SH"]


def test_it_is_what_the_lists_hold_without_paused_shares_and_unknown_days(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO stock_list (ts_code, list_status, list_date, source) VALUES ('600000.SH', 'L', '1999-11-10', 't'),"
            " ('600001.SH', 'P', '1998-01-22', 't'), ('600002.SH', 'L', NULL, 't'), ('600003.SH', 'D', '1999-08-10', 't');"
            "INSERT INTO index_list (ts_code, list_date, source) VALUES ('000300.SH', '2005-04-08', 't'),"
            " ('399998.SZ', '2015-01-01', 't')"
        )
        connection.execute("UPDATE stock_list SET delist_date = '2010-05-06' WHERE ts_code = '600003.SH'")
    shares = Roster.load(warehouse, DAILY_KLINE, xshg())
    assert shares.listed["ts_code"].to_list() == ["600000.SH", "600003.SH"]
    assert shares.codes(dt.date(2010, 5, 5)).to_list() == ["600000.SH", "600003.SH"]
    assert shares.codes(dt.date(2010, 5, 6)).to_list() == ["600000.SH"]
    assert Roster.load(warehouse, INDEX_DAILY, xshg()).listed["ts_code"].to_list() == ["000300.SH"], "the core indexes only"
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO stock_list (ts_code, list_status, list_date, source) VALUES ('920001.BJ', 'L', '2021-11-15', 't')"
        )
    assert Roster.load(warehouse, SPECIAL_TREATMENT, xshg()).listed["ts_code"].to_list() == ["600000.SH", "600003.SH"]
    assert Roster.load(warehouse, DAILY_KLINE, xshg()).listed["ts_code"].to_list()[-1] == "920001.BJ"


WEEK = tuple(dt.date(2026, 11, day) for day in range(16, 21))
MON, TUE, WED, THU, FRI = WEEK
OLD = dt.date(2020, 1, 2)
LIFE = {"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date}
KEYS = {"ts_code": pl.String, "trade_date": pl.Date}
A, B, C = "600000.SH", "600001.SH", "920001.BJ"


def roster(
    *lives: tuple[str, dt.date, dt.date | None],
    dataset: Dataset = DAILY_KLINE,
    halted: Sequence[tuple[str, dt.date]] = (),
    **known: Any,
) -> Roster:
    listed = pl.DataFrame(list(lives), schema=LIFE, orient="row")
    return Roster(dataset, xshg(), listed, pl.DataFrame(list(halted), schema=KEYS, orient="row"), **known)


def due(of: Roster, *labels: dt.date) -> list[tuple[dt.date, str]]:
    return list(of.due(labels).iter_rows())


def test_a_code_owes_from_its_first_day_to_the_one_before_it_left() -> None:
    of = roster((A, TUE, THU), (B, OLD, None))
    assert [len(of.codes(day)) for day in WEEK] == [1, 2, 2, 1, 1]
    assert due(of, WED, MON) == [(MON, B), (WED, A), (WED, B)], "in order"
    assert due(of) == []


def test_a_halt_takes_away_that_code_on_that_day_only() -> None:
    of = roster((A, OLD, None), (B, OLD, None), halted=[(A, TUE), (B, WED)])
    assert due(of, MON, TUE, WED) == [(MON, A), (MON, B), (TUE, B), (WED, A)]
    assert of.sessions(A, WEEK) == [MON, WED, THU, FRI]
    assert of.sessions(B, WEEK) == [MON, TUE, THU, FRI]
    assert of.sessions(C, WEEK) == [], "nobody knows it"
    assert of.sessions(A, []) == []


def test_a_week_is_owed_where_one_of_its_days_could_be_traded() -> None:
    lives = [(A, OLD, None), (B, FRI, None), (C, OLD, TUE), ("920002.BJ", OLD, MON)]
    halts = [(A, day) for day in WEEK[:4]]
    of = roster(*lives, dataset=WEEKLY_KLINE, halted=halts)
    assert due(of, FRI) == [(FRI, A), (FRI, B), (FRI, C)], "once each, and not what left on Monday"
    assert due(of, THU) == [(THU, C)], "a week that is still running ends with its label"
    all_week = roster(*lives, dataset=WEEKLY_KLINE, halted=[(A, day) for day in WEEK])
    assert A not in all_week.codes(FRI)


def test_listed_between_counts_both_ends_of_the_range_and_not_the_day_it_left() -> None:
    of = roster((A, FRI, None), (B, OLD, MON), (C, OLD, TUE))
    assert of.listed_between(MON, THU) == [C]
    assert of.listed_between(MON, FRI) == [A, C]


def test_what_lacks_is_what_is_due_and_did_not_come() -> None:
    of = roster((A, OLD, None), (B, OLD, None), (C, TUE, None))
    assert of.missing(MON, pl.Series([B, "000001.SZ"])) == [A]
    assert of.missing(TUE, pl.Series([B])) == [A, C]
    assert of.missing(TUE, pl.Series([], dtype=pl.String)) == [A, B, C]


def test_the_remembered_codes_are_those_of_the_day() -> None:
    of = roster((A, TUE, None))
    days = xshg().window(FRI, 70)
    for _ in range(2):
        assert sum(len(of.codes(day)) for day in days) == 4


def test_only_codes_that_some_list_names_are_known_and_none_is_unknown_while_there_is_no_list() -> None:
    assert roster(known=frozenset({A})).unknown([C, A, B]) == [B, C]
    assert roster().unknown([A]) == []
    core = INDEX_DAILY.codes[0]
    assert roster(dataset=INDEX_DAILY, known=frozenset({A})).unknown([core, B]) == [B]


@pytest.mark.parametrize(
    ("dataset", "known", "owed", "allowed"),
    [
        (DAILY_KLINE, True, 0, 0),
        (DAILY_KLINE, True, 1, 0),
        (DAILY_KLINE, True, 2, 1),
        (DAILY_KLINE, True, 3, 2),
        (DAILY_KLINE, True, 149, 2),
        (DAILY_KLINE, True, 150, 3),
        (DAILY_KLINE, True, 5000, 100),
        (DAILY_KLINE, False, 10, 6),
        (DAILY_KLINE, False, 1, 0),
        (INDEX_DAILY, False, 49, 0),
        (INDEX_DAILY, False, 50, 1),
        (ETF_DAILY, False, 3, 2),
        (ETF_DAILY, False, 10, 5),
        (ETF_DAILY, True, 1, 0),
    ],
)
def test_so_many_rows_may_lack(dataset: Dataset, known: bool, owed: int, allowed: int) -> None:
    of = roster(dataset=dataset, halts_known=frozenset({MON} if known else ()))
    assert of.may_lack([MON], owed) == allowed


def test_halts_are_known_when_they_are_of_every_session_behind_the_labels() -> None:
    of = roster(halts_known=frozenset({MON, TUE}), halts_known_of={A: [(WED, WED), (THU, FRI)], B: [(TUE, THU)]})
    assert of.knows_halts([MON, TUE])
    assert not of.knows_halts([MON, WED])
    assert of.knows_halts(WEEK, A), "its own, over one range or another"
    assert not of.knows_halts(WEEK, B)
    assert of.knows_halts([TUE, THU], B)
    assert not of.knows_halts(WEEK, C)
    assert not of.knows_halts(WEEK)
    assert of.may_lack(WEEK, 5, A) == 2
    assert of.may_lack(WEEK, 5, B) == 3
    weekly = roster(dataset=WEEKLY_KLINE, halts_known=frozenset({FRI}))
    assert not weekly.knows_halts([FRI]), "all days of the week"


class NoBeijing(Source):
    name = "nobeijing"
    default_priority = 1
    default_policies: ClassVar = {}

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        return dataset is DAILY_KLINE and ts_code.endswith(".BJ")

    def classify(self, api: str, error: Exception) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))


def test_a_source_has_a_session_whole_where_none_of_the_codes_that_it_lacks_was_listed() -> None:
    source = NoBeijing(xshg(), None, {})
    of = roster((A, OLD, None), (C, TUE, THU), ("920002.BJ", FRI, None))
    assert of.lacked_by(source).to_list() == [C, "920002.BJ"]
    assert of.whole_for(source, WEEK) == {MON, THU}


def test_the_halts_that_are_known_are_those_that_were_synced_well(warehouse: Database) -> None:
    store(warehouse, STOCK_LIST, [{"ts_code": A, "list_status": "L", "list_date": OLD}])
    halts = [(A, MON, "S", None), (A, TUE, "S", "09:30-10:00"), (A, WED, "R", None), (A, dt.date(2026, 11, 13), "S", None)]
    store(
        warehouse,
        SUSPENSIONS,
        [{"ts_code": a, "trade_date": b, "suspend_type": c, "suspend_timing": d} for a, b, c, d in halts],
    )
    before, after = dt.date(2026, 11, 13), dt.date(2026, 11, 23)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES ('r', 't', '{}', 'success', 'p', 1)"
        )
        items = [item_of(Unit.session(day)) for day in (before, MON, TUE, FRI, after)]
        items += [item_of(Unit.session(WED), status=ItemStatus.FAILED), item_of(Unit.code(A, OLD, WED))]
        record(connection, "r", SUSPENSIONS, [*items, item_of(Unit.code(B, OLD, before))])
        record(connection, "r", DAILY_KLINE, [item_of(Unit.session(THU))])
    of = Roster.load(warehouse, DAILY_KLINE, xshg(), MON, FRI)
    assert of.halts_known == {MON, TUE, FRI}
    assert of.halts_known_of == {A: [(OLD, WED)]}
    assert list(of.halted.iter_rows()) == [(A, MON)], "whole days only, and of the range"
    assert of.known == {A}
    assert of.codes(MON).to_list() == []
    for half in (Roster.load(warehouse, DAILY_KLINE, xshg(), MON), Roster.load(warehouse, DAILY_KLINE, xshg(), None, FRI)):
        assert (half.halts_known, half.halts_known_of, half.halted.height) == (frozenset(), {}, 0)
    assert Roster.load(warehouse, WEEKLY_KLINE, xshg(), FRI, FRI).halted.height == 1, "the whole week of the label"


def test_an_index_owes_since_it_is_published_until_it_expired_and_is_asked_since_its_base(warehouse: Database) -> None:
    first, second, third, fourth = INDEX_DAILY.codes[:4]
    store(
        warehouse,
        INDEX_LIST,
        [
            {"ts_code": first, "base_date": MON, "list_date": FRI},
            {"ts_code": second, "list_date": TUE},
            {"ts_code": third, "base_date": OLD, "exp_date": THU},
            {"ts_code": fourth, "base_date": FRI, "list_date": FRI},
        ],
    )
    of = Roster.load(warehouse, INDEX_DAILY, xshg())
    assert [set(of.codes(day)) for day in WEEK] == [
        {third},
        {second, third},
        {second, third},
        {second, third},
        {first, second, fourth},
    ]
    assert of.listed_between(MON, MON) == [third], "an index is counted from the day after its base on"
    assert of.listed_between(TUE, TUE) == sorted([first, second, third])


def test_before_its_first_day_a_data_set_owes_nothing_and_nobody_is_asked() -> None:
    of = roster((A, TUE, THU), (B, WED, None))
    assert [of.too_early(day) for day in WEEK] == [True, False, False, False, False]
    assert not roster().too_early(MON), "without the list nobody knows"
    back = roster((A, THU, None), dataset=INDEX_DAILY, back_to={A: TUE})
    assert [back.too_early(day) for day in WEEK] == [True, False, False, False, False]
    hot = roster(dataset=THS_HOT)
    assert (hot.too_early(dt.date(2012, 6, 15)), hot.too_early(MON)) == (True, False)


def test_what_is_stored_is_held_against_what_is_due_chunk_by_chunk(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quant_pipeline.sync.roster.CHUNK", 2)
    store(warehouse, DAILY_KLINE, bars([A], WEEK).filter(pl.col("trade_date") != THU))
    of = roster((A, OLD, None), (B, FRI, None))
    parts = list(of.stored(warehouse, WEEK))
    assert [part["trade_date"].unique().to_list() for part in parts] == [[MON, TUE], [WED, THU], [FRI]]
    lacking = pl.concat(parts).filter("missing").select("trade_date", "ts_code")
    assert list(lacking.iter_rows()) == [(THU, A), (FRI, B)]


def test_a_week_is_owed_by_codes_with_a_bar_in_it_and_by_all_where_there_are_no_bars(warehouse: Database) -> None:
    former = dt.date(2026, 11, 13)
    store(warehouse, DAILY_KLINE, bars([A], [MON]))
    of = roster((A, OLD, None), (B, OLD, None), dataset=WEEKLY_KLINE)
    (part,) = of.stored(warehouse, [former, FRI])
    assert list(part.select("trade_date", "ts_code").iter_rows()) == [(former, A), (former, B), (FRI, A)]
    assert part["missing"].to_list() == [True, True, True]


def test_the_boards_whose_members_are_asked_for_are_those_of_both_lists(warehouse: Database) -> None:
    store(warehouse, THS_INDUSTRIES, [{"ts_code": "881001.TI", "name": "b", "type": "N"}])
    store(
        warehouse,
        THS_CONCEPTS,
        [{"ts_code": "885002.TI", "name": "c", "type": "N"}, {"ts_code": "885001.TI", "name": "a", "type": "N"}],
    )
    assert groups(warehouse, THS_MEMBERS) == ["881001.TI", "885001.TI", "885002.TI"]
