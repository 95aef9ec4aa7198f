"""Units and their names in the ledger, and the week or month that is still running."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources.units import Grain, Unit, is_running

FRIDAY, THURSDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 19)
UNITS = [
    (Unit.session(FRIDAY), "2026-11-20", False),
    (Unit.snapshot(FRIDAY), "2026-11-20", True),
    (Unit.code("600000.SH", THURSDAY, FRIDAY), "600000.SH 2026-11-19..2026-11-20", False),
    (Unit.code("600000.SH", FRIDAY, FRIDAY), "600000.SH 2026-11-20..2026-11-20", False),
    (Unit.members("885001.TI", FRIDAY), "885001.TI 2026-11-20", True),
]


@pytest.mark.parametrize(("unit", "name", "snapshot"), UNITS, ids=[f"{unit.grain} {name}" for unit, name, _ in UNITS])
def test_a_unit_is_found_again_by_its_name(unit: Unit, name: str, snapshot: bool) -> None:
    assert str(unit) == name
    assert Unit.parse(name, snapshot=snapshot) == unit


def test_each_grain_has_its_days() -> None:
    unit = Unit.code("600000.SH", THURSDAY, FRIDAY)
    assert (unit.grain, unit.start, unit.end, unit.ts_code) == (Grain.CODE, THURSDAY, FRIDAY, "600000.SH")
    for one_day in (Unit.session(FRIDAY), Unit.snapshot(FRIDAY), Unit.members("885001.TI", FRIDAY)):
        assert one_day.start == one_day.end == FRIDAY


@pytest.mark.parametrize(
    ("last", "week", "month"),
    [
        (FRIDAY, False, True),
        (THURSDAY, True, True),
        (dt.date(2026, 11, 30), True, False),
        (dt.date(2026, 10, 30), False, False),
        (dt.date(2026, 9, 30), False, False),  # a Wednesday; then come the holidays
    ],
)
def test_a_week_or_month_runs_until_its_last_session(last: dt.date, week: bool, month: bool) -> None:
    assert (is_running(WEEKLY_KLINE, last, xshg()), is_running(MONTHLY_KLINE, last, xshg())) == (week, month)
    assert not is_running(DAILY_KLINE, last, xshg())
    assert not is_running(STOCK_LIST, last, xshg())
