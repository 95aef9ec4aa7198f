"""Weeks, months and factors made of the warehouse's own daily bars, against plain references."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, MONTHLY_KLINE, STOCK_LIST, WEEKLY_KLINE
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sources import derived
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.derived import DerivedSource, aggregated
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.upsert import upsert

CODES = ("600000.SH", "000001.SZ")
MONDAY, FRIDAY = dt.date(2026, 11, 9), dt.date(2026, 11, 13)
WEDNESDAY = dt.date(2026, 11, 18)
"""Of the running week: the latest session."""
CALENDAR = xshg()
FORTNIGHT = CALENDAR.between(MONDAY, WEDNESDAY)
NO_FORMER = pl.DataFrame(schema={"ts_code": pl.String, "close": pl.Float64})

steps = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(-900, 900), st.sampled_from([1.0, 1.0, 1.0, 1.03, 1.1, 2.0]))),
    min_size=len(FORTNIGHT),
    max_size=len(FORTNIGHT),
)
"""Per session: the close's move in 0.01 %, and the ratio of an ex-date (1: none); None: halted."""


def bars_of(code: str, steps: Sequence[tuple[int, float] | None], days: Sequence[dt.date] = FORTNIGHT) -> pl.DataFrame:
    rows, close = [], 20.0
    for day, step in zip(days, steps, strict=True):
        if step is None:
            continue
        move, ratio = step
        pre_close = round(close / ratio, 2)
        close = max(round(pre_close * (1 + move / 10_000), 2), 0.05)
        low, high = min(pre_close, close), max(pre_close, close)
        rows.append(
            (code, day, pre_close, high, low, close, pre_close, 0.0, 0.0, 100.0 + day.day, (100.0 + day.day) * close / 10)
        )
    frame = pl.DataFrame(rows, schema={c.name: c.type.polars for c in DAILY_KLINE.columns}, orient="row")
    return frame.with_columns(
        change=(pl.col("close") - pl.col("pre_close")).round(2),
        pct_chg=((pl.col("close") / pl.col("pre_close") - 1) * 100).round(4),
    )


def plain(bars: pl.DataFrame, labels: dict[dt.date, dt.date]) -> list[dict[str, object]]:
    """The definition, row by row."""
    periods = []
    for code in sorted(set(bars["ts_code"])):
        for label in sorted(set(labels.values())):
            days = [
                row
                for row in bars.sort("trade_date").iter_rows(named=True)
                if row["ts_code"] == code and labels[row["trade_date"]] == label
            ]
            if not days:
                continue
            close = days[-1]["close"]
            pre_close = round(close / math.prod(day["close"] / day["pre_close"] for day in days), 2)
            periods.append(
                {
                    "ts_code": code,
                    "trade_date": label,
                    "open": days[0]["open"],
                    "high": max(day["high"] for day in days),
                    "low": min(day["low"] for day in days),
                    "close": close,
                    "pre_close": pytest.approx(pre_close, abs=0.0101),  # halves may round to either side
                    "vol": pytest.approx(sum(day["vol"] for day in days)),
                    "amount": pytest.approx(sum(day["amount"] for day in days)),
                }
            )
    return periods


@given(st.lists(steps, min_size=len(CODES), max_size=len(CODES)))
def test_periods_are_what_the_definition_says(histories: list[list[tuple[int, float] | None]]) -> None:
    bars = pl.concat([bars_of(code, each) for code, each in zip(CODES, histories, strict=True)])
    labels = {day: FRIDAY if day <= FRIDAY else WEDNESDAY for day in FORTNIGHT}
    made = aggregated(bars, labels, NO_FORMER).sort("ts_code", "trade_date")
    assert made.drop("change", "pct_chg").to_dicts() == plain(bars, labels)
    checked = validate(WEEKLY_KLINE, made, expected_session=None, sessions=set(labels.values()))
    broken = {reason for row in checked.bad["reason"] for reason in row.split(", ")} if checked.bad.height else set()
    assert broken <= {"unit_of_volume"}, "prices that move so far within a week are not the rule's world"


@given(st.lists(st.integers(-900, 900), min_size=3, max_size=3))
def test_without_an_ex_date_pre_close_is_the_close_before(moves: list[int]) -> None:
    bars = bars_of("600000.SH", [(0, 1.0)] * 5 + [(move, 1.0) for move in moves])
    week = aggregated(bars, dict.fromkeys(FORTNIGHT[5:], WEDNESDAY), NO_FORMER)
    assert week["pre_close"].to_list() == [bars["close"][4]]


def test_an_ex_date_within_the_week_lowers_the_former_close() -> None:
    bars = bars_of("600000.SH", [(0, 1.0), (0, 1.0), (0, 2.0), (0, 1.0), (1000, 1.0)], FORTNIGHT[:5])
    (week,) = aggregated(bars, dict.fromkeys(FORTNIGHT[:5], FRIDAY), NO_FORMER).to_dicts()
    assert (week["open"], week["close"], week["pre_close"], week["change"], week["pct_chg"]) == (20.0, 11.0, 10.0, 1.0, 10.0)
    assert week["high"] == 20.0


def test_unknown_former_closes_and_turnovers_stay_unknown() -> None:
    bars = bars_of("600000.SH", [(100, 1.0)] * 5, FORTNIGHT[:5])
    day = pl.col("trade_date")
    silent = bars.with_columns(pre_close=None, amount=pl.when(day != FORTNIGHT[2]).then("amount")).cast(
        {"pre_close": pl.Float64}
    )
    labels = dict.fromkeys(FORTNIGHT[:5], FRIDAY)
    (week,) = aggregated(silent, labels, NO_FORMER).to_dicts()
    assert [week[name] for name in ("pre_close", "change", "pct_chg", "amount")] == [None] * 4
    (week,) = aggregated(silent, labels, pl.DataFrame({"ts_code": ["600000.SH"], "close": [20.0]})).to_dicts()
    assert week["pre_close"] == 20.0


@pytest.fixture
def limiter(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limiter]:
    monkeypatch.setenv("QUANT_NOW", f"{WEDNESDAY}T18:00")
    presence = Presence(warehouse.connect())
    yield Limiter(warehouse.pool, presence)
    presence.close()


@pytest.fixture
def source(warehouse: Database, limiter: Limiter) -> DerivedSource:
    return DerivedSource(warehouse, CALENDAR, limiter, {DerivedSource.name: DerivedSource.default_policies})


def store(database: Database, dataset: Dataset, frame: pl.DataFrame) -> None:
    with database.connect() as connection:
        upsert(connection, dataset, frame, source="tushare")


def quiet(code: str, days: Sequence[dt.date] = FORTNIGHT) -> pl.DataFrame:
    return bars_of(code, [(100, 1.0)] * len(days), days)


def test_the_week_and_the_running_one_are_labelled_for_all_codes(warehouse: Database, source: DerivedSource) -> None:
    store(warehouse, DAILY_KLINE, pl.concat([quiet("600000.SH"), quiet("000001.SZ", FORTNIGHT[:4] + FORTNIGHT[5:7])]))
    tally = Tally()
    for label, sessions in ((FRIDAY, (5, 4)), (WEDNESDAY, (3, 2))):
        week = source.fetch(WEEKLY_KLINE, Unit.session(label), tally).sort("ts_code", descending=True)
        assert week["ts_code"].to_list() == ["600000.SH", "000001.SZ"]
        assert week["trade_date"].unique().to_list() == [label]
        assert (week["pct_chg"] > 1.5).all()
        assert tuple(week["vol"]) == tuple(_volume(label, count) for count in sessions)
    assert tally.calls == 2
    calls = read_sql(warehouse, "SELECT source, api, outcome, rows FROM source_calls").rows()
    assert calls == [("derived", "daily_kline", "ok", 2)] * 2


def _volume(label: dt.date, count: int) -> float:
    days = [day for day in FORTNIGHT if (day <= FRIDAY) == (label == FRIDAY)][:count]
    return sum(100.0 + day.day for day in days)


def test_one_code_has_each_period_that_ends_in_the_range(warehouse: Database, source: DerivedSource) -> None:
    store(warehouse, DAILY_KLINE, quiet("600000.SH", CALENDAR.between(dt.date(2026, 10, 8), WEDNESDAY)))

    def labels(dataset: Dataset, start: dt.date, end: dt.date) -> list[dt.date]:
        made = source.fetch(dataset, Unit.code("600000.SH", start, end), Tally())
        assert made["ts_code"].unique().to_list() in ([], ["600000.SH"])
        return made["trade_date"].sort().to_list()

    assert labels(WEEKLY_KLINE, dt.date(2026, 11, 5), WEDNESDAY) == [dt.date(2026, 11, 6), FRIDAY, WEDNESDAY]
    assert labels(WEEKLY_KLINE, dt.date(2026, 11, 5), dt.date(2026, 11, 12)) == [dt.date(2026, 11, 6)]
    assert labels(MONTHLY_KLINE, dt.date(2026, 10, 8), WEDNESDAY) == [dt.date(2026, 10, 30), WEDNESDAY]
    assert labels(MONTHLY_KLINE, dt.date(2026, 11, 2), FRIDAY) == [], "neither month ends there"
    whole = source.fetch(MONTHLY_KLINE, Unit.session(dt.date(2026, 10, 30)), Tally())
    by_code = source.fetch(MONTHLY_KLINE, Unit.code("600000.SH", dt.date(2026, 10, 30), dt.date(2026, 10, 30)), Tally())
    assert by_code.equals(whole)


def test_a_missing_pre_close_is_the_close_before_the_window(warehouse: Database, source: DerivedSource) -> None:
    bars = quiet("600000.SH").with_columns(pre_close=pl.lit(None, pl.Float64))
    store(warehouse, DAILY_KLINE, bars)
    week = source.fetch(WEEKLY_KLINE, Unit.session(WEDNESDAY), Tally())
    assert week["pre_close"].to_list() == bars.filter(pl.col("trade_date") == FRIDAY)["close"].to_list()


@pytest.mark.parametrize("unit", [Unit.session(FRIDAY), Unit.code("600000.SH", MONDAY, FRIDAY)])
def test_a_week_with_an_unsynced_session_is_not_made(warehouse: Database, source: DerivedSource, unit: Unit) -> None:
    store(warehouse, DAILY_KLINE, quiet("600000.SH").filter(pl.col("trade_date") != FORTNIGHT[2]))
    with pytest.raises(SourceError, match=r"not all synced: sync daily_kline first.*2026-11-11") as refused:
        source.fetch(WEEKLY_KLINE, unit, Tally())
    assert refused.value.failure is FailureClass.EMPTY


def test_of_one_codes_range_each_week_is_given_that_can_be_and_the_others_are_named(
    warehouse: Database, source: DerivedSource
) -> None:
    store(warehouse, DAILY_KLINE, quiet("600000.SH").filter(pl.col("trade_date") != FORTNIGHT[2]))
    unit = Unit.code("600000.SH", FORTNIGHT[0], FORTNIGHT[-1])
    labels = source.fetch(WEEKLY_KLINE, unit, Tally())["trade_date"].to_list()
    lost = source.gives_not(WEEKLY_KLINE, unit)
    assert len(labels) == len(lost) == 1
    assert FORTNIGHT[2] <= min(lost) < labels[0]


LISTED = {
    "600000.SH": "an ordinary day",
    "600001.SH": "an ex-date",
    "600002.SH": "suspended",
    "600003.SH": "back from a halt, an ex-date within it that the source's factor shows already",
    "600004.SH": "first session",
    "600005.SH": "delisted",
    "600006.SH": "listed long ago, but without a factor",
    "600007.SH": "without a pre_close",
}
BEFORE, TODAY = FORTNIGHT[-2:]


@pytest.fixture
def chained(warehouse: Database, source: DerivedSource) -> DerivedSource:
    """The codes of LISTED before the session TODAY, of which daily bars are stored and factors are not."""
    codes = list(LISTED)
    days = dict.fromkeys(codes, FORTNIGHT)
    days |= {
        "600002.SH": FORTNIGHT[:-1],
        "600003.SH": (*FORTNIGHT[:5], TODAY),
        "600004.SH": (TODAY,),
        "600005.SH": FORTNIGHT[:-1],
    }
    ex = {"600001.SH": 2.0, "600003.SH": 1.25}
    bars = [bars_of(c, [(0, ex.get(c, 1.0) if day == TODAY else 1.0) for day in days[c]], days[c]) for c in codes]
    silent = pl.when(pl.col("ts_code") != "600007.SH").then("pre_close").alias("pre_close")
    store(warehouse, DAILY_KLINE, pl.concat(bars).with_columns(silent))
    factors = [(c, day, 3.0) for c in codes if c not in ("600004.SH", "600006.SH") for day in FORTNIGHT[:-1]]
    frame = pl.DataFrame(factors, schema={c.name: c.type.polars for c in ADJ_FACTOR.columns}, orient="row")
    jumped = pl.when((pl.col("ts_code") == "600003.SH") & (pl.col("trade_date") > FRIDAY)).then(3.75).otherwise("adj_factor")
    store(warehouse, ADJ_FACTOR, frame.with_columns(jumped.alias("adj_factor")))
    stocks = {column.name: pl.Series(column.name, [None] * len(codes), column.type.polars) for column in STOCK_LIST.columns}
    listed = pl.DataFrame(stocks).with_columns(
        ts_code=pl.Series(codes),
        list_status=pl.lit("L"),
        list_date=pl.Series([TODAY if code == "600004.SH" else dt.date(2000, 1, 4) for code in codes]),
        delist_date=pl.Series([TODAY if code == "600005.SH" else None for code in codes], dtype=pl.Date),
    )
    store(warehouse, STOCK_LIST, listed)
    return source


def test_factors_follow_the_chain_of_closes(chained: DerivedSource) -> None:
    made = chained.fetch(ADJ_FACTOR, Unit.session(TODAY), Tally())
    assert made["trade_date"].unique().to_list() == [TODAY]
    expected = {"600000.SH": 3.0, "600001.SH": 6.0, "600002.SH": 3.0, "600003.SH": 3.75, "600004.SH": 1.0}
    assert dict(made.select("ts_code", "adj_factor").iter_rows()) == expected


def test_a_halt_over_an_unsynced_session_leaves_no_guess(warehouse: Database, chained: DerivedSource) -> None:
    with warehouse.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE trade_date = %s", (FORTNIGHT[5],))
    made = chained.fetch(ADJ_FACTOR, Unit.session(TODAY), Tally())
    assert set(made["ts_code"]) == {"600000.SH", "600001.SH", "600002.SH", "600004.SH"}


@pytest.mark.parametrize(("table", "day"), [("adj_factor", BEFORE), ("daily_kline", BEFORE), ("daily_kline", TODAY)])
def test_factors_need_the_session_before(warehouse: Database, chained: DerivedSource, table: str, day: dt.date) -> None:
    with warehouse.connect() as connection:
        connection.execute(f"DELETE FROM {table} WHERE trade_date = %s", (day,))
    with pytest.raises(SourceError, match=f"sync {table} first.*{day}") as refused:
        chained.fetch(ADJ_FACTOR, Unit.session(TODAY), Tally())
    assert refused.value.failure is FailureClass.EMPTY


def test_a_database_that_fails_is_tried_again(warehouse: Database, source: DerivedSource) -> None:
    with warehouse.connect() as connection:
        connection.execute("DROP TABLE daily_kline CASCADE")
    with pytest.raises(SourceError) as refused:
        source.fetch(WEEKLY_KLINE, Unit.session(WEDNESDAY), Tally())
    assert refused.value.failure is FailureClass.RETRYABLE


@pytest.mark.parametrize(
    ("dataset", "unit", "locked"),
    [
        (WEEKLY_KLINE, Unit.session(FRIDAY), "daily_kline"),
        (ADJ_FACTOR, Unit.session(WEDNESDAY), "adj_factor"),
    ],
)
def test_a_statement_ends_when_the_policys_time_is_over(
    warehouse: Database, limiter: Limiter, dataset: Dataset, unit: Unit, locked: str
) -> None:
    for code in CODES:
        store(warehouse, DAILY_KLINE, quiet(code))
    store(
        warehouse, ADJ_FACTOR, pl.DataFrame({"ts_code": CODES[:1], "trade_date": [dt.date(2026, 11, 17)], "adj_factor": [1.0]})
    )
    quick = DerivedSource.default_policies["*"].model_copy(update={"timeout": 0.2})
    source = DerivedSource(warehouse, CALENDAR, limiter, {"derived": {"*": quick}})
    with warehouse.connect() as connection:
        connection.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceError, match="statement timeout") as failed:
            source.fetch(dataset, unit, Tally())
        connection.rollback()
    assert failed.value.failure is FailureClass.RETRYABLE
    unhurried = DerivedSource(warehouse, CALENDAR, limiter, {"derived": DerivedSource.default_policies})
    assert unhurried.fetch(dataset, unit, Tally()).height > 0


def test_a_dividend_of_one_fen_is_an_ex_date_and_half_a_fen_is_rounding() -> None:
    """Of two codes whose last close was 10 元: the factor of the one moves by the least that a factor can."""
    chain = pl.DataFrame(
        {
            "ts_code": ["600000.SH", "600001.SH", "600002.SH"],
            "traded": [True] * 3,
            "pre_close": [9.99, 10.0, 9.995],
            "former_session": [BEFORE] * 3,
            "former_close": [10.0] * 3,
            "former_factor": [2.0] * 3,
            "adj_factor": [2.0] * 3,
            "list_date": [dt.date(2000, 1, 4)] * 3,
        }
    )
    made = derived.chained(chain, TODAY, [])
    assert made["adj_factor"].to_list() == [pytest.approx(2.002, abs=1e-4), 2.0, 2.0]
    assert derived.chained(chain, TODAY, [FORTNIGHT[0], BEFORE]).is_empty(), "a lost session, whichever of two it is"
    assert derived.chained(chain, TODAY, [FORTNIGHT[0], FORTNIGHT[1]]).height == 3


def test_a_month_begins_with_its_first_session_on_the_first_and_not_with_the_last_of_the_month_before(
    warehouse: Database, source: DerivedSource
) -> None:
    days = CALENDAR.between(dt.date(2026, 8, 31), dt.date(2026, 9, 30))
    store(warehouse, DAILY_KLINE, bars_of("600000.SH", [(10, 1.0)] * len(days), days))
    (month,) = source.fetch(MONTHLY_KLINE, Unit.session(days[-1]), Tally()).iter_rows(named=True)
    bars = read_sql(warehouse, "SELECT trade_date, open, vol FROM daily_kline ORDER BY trade_date")
    assert days[1] == dt.date(2026, 9, 1)
    assert month["open"] == bars["open"][1]
    assert month["vol"] == bars["vol"][1:].sum()
