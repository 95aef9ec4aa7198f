"""What a repair asks for: what lacks, what was not whole and what a check names, and nothing else."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, SUSPENSIONS
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync import repair
from quant_pipeline.sync.ledger import Item, ItemStatus, Shortfall, item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CODES, NOW, execute, market, sessions, store

DAYS = sessions(5)
A, B = CODES[:2]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


@pytest.fixture
def sound(warehouse: Database) -> Database:
    """A sound market of five sessions, and two runs to record attempts in."""
    market(warehouse, DAYS)
    for run in ("first", "second"):
        execute(
            warehouse,
            "INSERT INTO sync_runs (id, trigger, parameters, status, process, presence)"
            " VALUES (%s, 't', '{}', 'success', 'p', 1)",
            run,
        )
    return warehouse


def write(database: Database, run: str, *items: Item, dataset: Dataset = DAILY_KLINE) -> None:
    with database.connect() as connection:
        record(connection, run, dataset, items)


def wrong(database: Database, dataset: Dataset = DAILY_KLINE, *, by_session: bool = True) -> list[str]:
    return [str(unit) for unit in repair.units(database, dataset, xshg(), DAYS, by_session=by_session)]


def test_nothing_is_wrong_with_a_sound_market(sound: Database) -> None:
    assert wrong(sound) == wrong(sound, by_session=False) == []
    assert repair.units(sound, DAILY_KLINE, xshg(), [], by_session=True) == []
    assert repair.restated(sound, []) == []


def test_a_session_that_lacks_a_row_is_named_or_the_code_over_the_sessions_it_lacks(sound: Database) -> None:
    execute(sound, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = ANY(%s)", A, [DAYS[1], DAYS[3]])
    execute(sound, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", B, DAYS[2])
    assert wrong(sound) == [str(day) for day in DAYS[1:4]]
    assert wrong(sound, by_session=False) == sorted([f"{A} {DAYS[1]}..{DAYS[3]}", f"{B} {DAYS[2]}..{DAYS[2]}"])


def test_where_no_row_is_owed_none_lacks(sound: Database) -> None:
    store(sound, SUSPENSIONS, [{"ts_code": A, "trade_date": DAYS[-1], "suspend_type": "S"}])
    execute(sound, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", A, DAYS[-1])
    assert wrong(sound) == []


@pytest.mark.parametrize(
    ("fields", "again"),
    [
        ({}, False),
        ({"rejected": 3}, False),
        ({"missing": 1}, True),
        ({"status": ItemStatus.PARTIAL, "error_class": Shortfall.REFUSED}, True),
        ({"status": ItemStatus.FAILED}, True),
    ],
)
def test_an_attempt_that_was_not_whole_is_made_again(sound: Database, fields: dict[str, object], again: bool) -> None:
    write(sound, "first", item_of(Unit.session(DAYS[2]), **fields))
    assert wrong(sound) == ([str(DAYS[2])] if again else [])


def test_the_last_attempt_decides_and_only_those_of_the_data_set_in_the_range(sound: Database) -> None:
    before, after = xshg().shift(DAYS[0], -1), xshg().shift(DAYS[-1], 1)
    write(
        sound, "first", *(item_of(Unit.session(day), status=ItemStatus.FAILED) for day in (before, *DAYS[:2], DAYS[4], after))
    )
    write(sound, "first", item_of(Unit.session(DAYS[3]), status=ItemStatus.FAILED), dataset=ADJ_FACTOR)
    write(sound, "second", item_of(Unit.session(DAYS[1])))
    assert wrong(sound) == [str(DAYS[0]), str(DAYS[4])]
    write(sound, "second", item_of(Unit.session(DAYS[0])), item_of(Unit.session(DAYS[4])))
    assert wrong(sound) == []


def test_a_code_s_attempt_is_made_again_by_code_and_is_no_session_s(sound: Database) -> None:
    unit = Unit.code(A, DAYS[0], DAYS[3])
    write(sound, "first", item_of(unit, status=ItemStatus.FAILED), item_of(Unit.session(DAYS[1]), missing=1))
    assert wrong(sound, by_session=False) == [str(unit)]
    assert wrong(sound) == [str(DAYS[1])]


def test_a_row_that_breaks_a_check_is_fetched_again(sound: Database) -> None:
    execute(sound, "UPDATE daily_kline SET high = low - 1 WHERE ts_code = %s AND trade_date = %s", A, DAYS[2])
    assert wrong(sound) == [str(DAYS[2])]
    assert wrong(sound, by_session=False) == [f"{A} {DAYS[2]}..{DAYS[2]}"]


def test_of_a_session_that_breaks_a_check_as_a_whole_every_code_is_fetched_again(sound: Database) -> None:
    execute(
        sound,
        "UPDATE daily_kline AS bar SET (open, high, low, close, pre_close, vol, amount, change, pct_chg) ="
        " (last.open, last.high, last.low, last.close, last.pre_close, last.vol, last.amount, last.change, last.pct_chg)"
        " FROM daily_kline AS last WHERE last.ts_code = bar.ts_code AND bar.trade_date = %s AND last.trade_date = %s",
        DAYS[2],
        DAYS[1],
    )
    assert str(DAYS[2]) in wrong(sound)
    named = repair.units(sound, DAILY_KLINE, xshg(), DAYS, by_session=False)
    assert {unit.ts_code for unit in named} == set(CODES)
    assert all(unit.start <= DAYS[2] <= unit.end for unit in named)


def test_of_factors_the_ends_of_the_range_are_looked_at_too(sound: Database) -> None:
    assert wrong(sound, ADJ_FACTOR) == [str(DAYS[0]), str(DAYS[-1])]
    execute(sound, "DELETE FROM adj_factor WHERE ts_code = %s AND trade_date = %s", A, DAYS[2])
    assert wrong(sound, ADJ_FACTOR) == [str(DAYS[0]), str(DAYS[2]), str(DAYS[-1])]


def factor(database: Database, code: str, day: dt.date, value: float) -> None:
    store(database, ADJ_FACTOR, pl.DataFrame({"ts_code": [code], "trade_date": [day], "adj_factor": [value]}))


def test_a_code_whose_factor_was_restated_of_late_is_fetched_over_the_whole_range(sound: Database) -> None:
    factor(sound, B, DAYS[-1], 2.0)
    factor(sound, A, DAYS[0], 3.0)
    factor(sound, CODES[2], DAYS[2], 1.0)
    assert repair.restated(sound, DAYS) == [Unit.code(code, DAYS[0], DAYS[-1]) for code in sorted([A, B])]
    assert repair.restated(sound, DAYS[1:]) == [Unit.code(B, DAYS[1], DAYS[-1])], "the other one lies before the range"
    execute(sound, "UPDATE row_revisions SET replaced_at = now() - interval '41 days' WHERE key ->> 'ts_code' = %s", A)
    execute(sound, "UPDATE row_revisions SET replaced_by = 'new code 601001.SH' WHERE key ->> 'ts_code' = %s", B)
    assert repair.restated(sound, DAYS) == [], "long ago, or under a new code only"


def test_what_was_replaced_in_another_data_set_is_no_factor_restated(sound: Database) -> None:
    rows = pl.DataFrame({"ts_code": [A], "trade_date": [DAYS[1]], "suspend_type": ["S"], "suspend_timing": ["09:30-10:00"]})
    store(sound, SUSPENSIONS, rows)
    store(sound, SUSPENSIONS, rows.with_columns(suspend_timing=pl.lit("09:30-11:00")))
    assert repair.restated(sound, DAYS) == []
