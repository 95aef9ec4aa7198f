"""The exchange's numbers: determined by the seed alone, and lawful in every session."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_pipeline.sandbox.simulation.exchange import Exchange, Year
from quant_pipeline.sandbox.simulation.listing_boards import RATES, ListingBoard, Regime, limit_prices
from quant_pipeline.sandbox.simulation.securities import MOST_CODES, RiskWarning
from quant_pipeline.sandbox.simulation.sessions import LAST_YEAR, SandboxTimeError, all_sessions

YEARS = range(2019, 2028)


@pytest.fixture(scope="module")
def years(exchange: Exchange) -> list[Year]:
    return [exchange.year(number) for number in YEARS]


def the_same(a: Year, b: Year) -> bool:
    matrices = [(each.bars.open, each.bars.vol, each.walk.close, each.walk.after.factor) for each in (a, b)]
    return all(np.array_equal(one, other) for one, other in zip(*matrices, strict=True))


def test_a_year_does_not_depend_on_what_was_asked_before(tmp_path: Path) -> None:
    def build(cache: Path | None = None) -> Exchange:
        return Exchange(codes=40, first_year=2022, cache=cache)

    straight, backward, stored = build(), build(), build(tmp_path)
    for number in (2022, 2023, 2024):
        straight.year(number)
    backward.year(2026)
    stored.year(2026)
    expected = straight.year(2025)
    assert the_same(expected, backward.year(2025))
    assert the_same(expected, stored.year(2025))
    assert the_same(expected, build(tmp_path).year(2025))
    assert not the_same(expected, Exchange(seed=1, codes=40, first_year=2022).year(2025))


def test_a_snapshot_is_read_and_a_torn_one_is_not(tmp_path: Path) -> None:
    Exchange(codes=40, first_year=2024, cache=tmp_path).year(2025)
    (stored,) = tmp_path.glob("*/2025.npz")
    content = stored.read_bytes()
    stored.write_bytes(content[: len(content) // 2])
    torn = Exchange(codes=40, first_year=2024, cache=tmp_path).year(2025)
    assert the_same(torn, Exchange(codes=40, first_year=2024).year(2025))
    with np.load(stored) as repaired:
        state = {name: repaired[name] for name in repaired.files}
    state["close"] = state["close"] * 2
    np.savez(stored, **state)
    assert not the_same(torn, Exchange(codes=40, first_year=2024, cache=tmp_path).year(2025))


def test_the_whole_market_has_its_size_and_boards() -> None:
    register = Exchange().register
    today = all_sessions().ordinal(dt.date(2026, 11, 20))
    alive = (register.listed <= today) & (register.delisted > today)
    assert 5_300 <= alive.sum() <= 5_450
    assert 150 <= (register.delisted <= today).sum() <= 400
    prefixes = {code[:3] + code[6:] for code in register.ts_code[alive]}
    assert prefixes == {
        *("000.SZ", "001.SZ", "002.SZ", "300.SZ", "301.SZ"),
        *("600.SH", "601.SH", "603.SH", "605.SH", "688.SH", "920.BJ"),
    }
    assert len(set(register.ts_code)) == len(register)
    plain = register.name_rows.filter(pl.col("warning") == RiskWarning.NONE)
    owners = plain.group_by("name").agg(pl.col("code").n_unique())
    assert owners["code"].max() == 1


def test_impossible_markets_are_refused(exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="codes"):
        Exchange(codes=MOST_CODES + 1)
    with pytest.raises(SandboxTimeError, match="2019"):
        exchange.year(2018)
    with pytest.raises(SandboxTimeError, match=str(LAST_YEAR)):
        exchange.year(LAST_YEAR + 1)


def test_prices_are_in_order_and_within_the_limits(exchange: Exchange, years: list[Year]) -> None:
    for year in years:
        bars, walk, traded = year.bars, year.walk, year.trading
        is_bse = exchange.register.is_bse[year.events.codes]
        down, up = limit_prices(walk.pre_close.astype(float), year.events.regime, is_bse)
        assert np.all((bars.low <= np.minimum(bars.open, walk.close))[traded])
        assert np.all((bars.high >= np.maximum(bars.open, walk.close))[traded])
        assert np.all((bars.low >= down)[traded])
        assert np.all((bars.high <= up)[traded])
        assert np.all(bars.low[traded] > 0)
        assert np.all((bars.vol > 0) == traded)


def test_each_board_has_its_limits(exchange: Exchange, years: list[Year]) -> None:
    sessions, register = exchange.sessions, exchange.register
    seen = set()
    for year in years:
        board = register.board[year.events.codes]
        for row in (0, len(year.ordinals) - 1):
            day = sessions.days[year.ordinals[row]].astype(object)
            listed = year.events.listed[row]
            for each in ListingBoard:
                regimes = set(year.events.regime[row, listed & (board == each)].tolist())
                chinext = Regime.TWENTY if day >= dt.date(2020, 8, 24) else Regime.TEN
                usual = {ListingBoard.MAIN: Regime.TEN, ListingBoard.STAR: Regime.TWENTY, ListingBoard.BSE: Regime.THIRTY}
                assert regimes <= {usual.get(each, chinext), Regime.ST, Regime.FREE, Regime.FIRST_DAY}
                chinext_st = each is ListingBoard.CHINEXT and day < dt.date(2020, 8, 24)
                main_st = each is ListingBoard.MAIN and day < dt.date(2026, 7, 6)
                assert Regime.ST not in regimes or main_st or chinext_st
                seen |= regimes
    assert seen >= {Regime.TEN, Regime.ST, Regime.TWENTY, Regime.THIRTY}


def test_st_limits_follow_the_name(exchange: Exchange, years: list[Year]) -> None:
    register = exchange.register
    names = register.name_rows
    for year in years:
        row = len(year.ordinals) // 2
        today = year.ordinals[row]
        current = names.filter(pl.col("start") <= today).group_by("code").last()
        st = set(current.filter(pl.col("name").str.contains("ST"))["code"])
        of_main = register.board[year.events.codes] == ListingBoard.MAIN
        narrow = of_main | ((register.board[year.events.codes] == ListingBoard.CHINEXT) & (year.number < 2021))
        if exchange.sessions.days[today] >= np.datetime64("2026-07-06"):
            narrow[:] = False
        five = year.events.codes[(year.events.regime[row] == Regime.ST) & year.events.listed[row]]
        expected = {code for code in year.events.codes[narrow & year.events.listed[row]] if code in st}
        assert set(five) == expected


def test_listings_begin_as_their_board_and_time_demand(exchange: Exchange, years: list[Year]) -> None:
    register, sessions = exchange.register, exchange.sessions
    beginnings = set()
    for year in years:
        first = register.listed[year.events.codes] - year.ordinals.start
        for column in np.flatnonzero((first >= 0) & (first < len(year.ordinals) - 6)):
            row = int(first[column])
            day = sessions.days[register.listed[year.events.codes[column]]].astype(object)
            board = ListingBoard(register.board[year.events.codes[column]])
            free = int((year.events.regime[row : row + 7, column] == Regime.FREE).sum())
            leading = year.events.regime[row, column]
            assert year.walk.pre_close[row, column] == register.issue_price[year.events.codes[column]]
            assert not year.trading[:row, column].any()
            assert year.trading[row, column]
            if (
                board is ListingBoard.STAR
                or (board is ListingBoard.CHINEXT and day >= dt.date(2020, 8, 24))
                or (board is ListingBoard.MAIN and day >= dt.date(2023, 4, 10))
            ):
                assert free == 5
            elif board is ListingBoard.BSE:
                assert free == 1
            else:
                assert (free, leading) == (0, Regime.FIRST_DAY)
            beginnings.add((board, free))
    assert beginnings >= {
        (ListingBoard.MAIN, 0),
        (ListingBoard.MAIN, 5),
        (ListingBoard.CHINEXT, 5),
        (ListingBoard.STAR, 5),
        (ListingBoard.BSE, 1),
    }


def test_the_delisted_end_with_a_delisting_period(exchange: Exchange, years: list[Year]) -> None:
    register = exchange.register
    ended = 0
    for year in years:
        for code in np.flatnonzero(np.isin(register.delisted, np.array(year.ordinals))):
            row = int(register.delisted[code]) - year.ordinals.start
            column = int(np.flatnonzero(year.events.codes == code)[0])
            assert not year.events.listed[row:, column].any()
            assert year.trading[max(row - 30, 0) : row, column].all()
            last = register.name_rows.filter(pl.col("code") == code)["name"][-1]
            assert last.startswith("退市")
            ended += 1
    assert ended > 0


def test_ex_dates_and_the_chain_of_closes(years: list[Year]) -> None:
    """pre_close(t) = close(t-1) x factor(t-1) / factor(t), within 0.01 元; factors step on ex-dates only."""
    ex_dates = 0
    for year in years:
        walk, codes = year.walk, year.events.codes
        rows = np.arange(len(year.ordinals))[:, None]
        factor = np.where(rows >= walk.ex_session, walk.after.factor[codes], walk.before.factor[codes])
        expected = walk.close[:-1] * factor[:-1] / factor[1:]
        known = year.events.listed[1:] & year.events.listed[:-1]
        assert np.all(np.abs(expected - walk.pre_close[1:])[known] <= 1.0)
        assert np.all(factor[1:] >= factor[:-1])
        stepped = (factor[1:] > factor[:-1]) & known
        assert np.all(year.trading[1:][stepped])
        ex_dates += stepped.sum()
    assert ex_dates > 300
    for earlier, later in itertools.pairwise(years):
        _, here, there = np.intersect1d(earlier.events.codes, later.events.codes, return_indices=True)
        lived = earlier.events.listed[-1, here] & later.events.listed[0, there]
        assert lived.any()
        assert np.array_equal(earlier.walk.close[-1, here][lived], later.walk.pre_close[0, there][lived])


def test_halts_last_from_one_to_sixty_sessions_over_the_turn_of_the_year(exchange: Exchange, years: list[Year]) -> None:
    count = len(exchange.register)
    halted = np.zeros((sum(len(year.ordinals) for year in years), count), dtype=bool)
    row = 0
    for year in years:
        halted[row : row + len(year.ordinals), year.events.codes] = year.events.halted
        assert np.array_equal(
            (year.walk.close == year.walk.pre_close)[year.events.halted], np.ones(year.events.halted.sum(), dtype=bool)
        )
        row += len(year.ordinals)
    edges = np.diff(np.vstack([np.zeros((1, count)), halted, np.zeros((1, count))]).astype(int), axis=0)
    starts, stops = np.argwhere(edges.T == 1), np.argwhere(edges.T == -1)
    lengths = (stops - starts)[:, 1]
    assert lengths.min() == 1
    assert lengths.max() == 60
    turns = np.cumsum([len(year.ordinals) for year in years])[:-1]
    assert any(((starts[:, 1] < turn) & (stops[:, 1] > turn)).any() for turn in turns)


def test_there_are_runs_of_limit_ups(exchange: Exchange, years: list[Year]) -> None:
    longest = 0
    for year in years:
        is_bse = exchange.register.is_bse[year.events.codes]
        _, up = limit_prices(year.walk.pre_close.astype(float), year.events.regime, is_bse)
        sealed = (year.walk.close == up) & year.trading
        run = np.zeros(sealed.shape[1], dtype=int)
        for row in sealed:
            run = np.where(row, run + 1, 0)
            longest = max(longest, int(run.max()))
    assert longest >= 3


@settings(max_examples=200, deadline=None)
@given(st.integers(20, 200_000), st.sampled_from([Regime.TEN, Regime.ST, Regime.TWENTY, Regime.THIRTY, Regime.FIRST_DAY]))
def test_limits_are_rounded_as_the_exchanges_round(pre_close: int, regime: Regime) -> None:
    up_rate, down_rate = (int(rate) for rate in RATES[regime])
    for is_bse in (False, True):
        down, up = limit_prices(np.array([float(pre_close)]), np.array([regime], dtype=np.int8), np.array([is_bse]))
        above, below = pre_close * (1000 + up_rate), pre_close * (1000 - down_rate)
        if is_bse:
            assert (int(down[0]), int(up[0])) == (-(-below // 1000), above // 1000)
        else:
            assert (int(down[0]), int(up[0])) == ((below + 500) // 1000, (above + 500) // 1000)
