"""同花顺's boards: every kind, members that are listed, the same for everyone who asks."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**6


def members_of(market: SimulatedMarket, board: str) -> pl.DataFrame:
    return market.frame("ths_member", {"ts_code": board}, A_LOT)


def test_there_are_boards_of_every_kind(market: SimulatedMarket) -> None:
    boards = market.frame("ths_index", {"exchange": "A"}, A_LOT)
    assert set(boards["type"]) == {"N", "I", "R", "S", "ST", "TH", "BB"}
    assert boards["ts_code"].is_unique().all()
    concepts = market.frame("ths_index", {"type": "N"}, A_LOT)
    assert concepts["name"].is_unique().all()
    assert len(concepts) >= 8
    assert concepts["ts_code"].str.contains(r"^88[56]\d{3}\.TI$").all()
    industries = market.frame("ths_index", {"type": "I"}, A_LOT)
    assert industries["ts_code"].str.contains(r"^881\d{3}\.TI$").all()
    assert len(industries) >= market.frame("stock_basic", {}, A_LOT)["industry"].n_unique()
    assert len(market.frame("ths_index", {"exchange": "HK"}, A_LOT)) == 0


def test_a_board_counts_its_members_and_they_are_listed(market: SimulatedMarket) -> None:
    listed = market.frame("stock_basic", {}, A_LOT).select("ts_code", "name", "industry", "area")
    boards = market.frame("ths_index", {}, A_LOT)
    everyone = pl.concat([members_of(market, board) for board in boards["ts_code"]])
    counted = everyone.group_by("ts_code").agg(pl.len().cast(pl.Int64).alias("count"))
    assert counted.sort("ts_code").equals(boards.select("ts_code", "count").cast({"count": pl.Int64}).sort("ts_code"))
    assert not everyone.select("ts_code", "con_code").is_duplicated().any()
    named = everyone.join(listed, left_on="con_code", right_on="ts_code", how="left")
    assert (named["con_name"] == named["name"]).all()
    kinds = named.join(boards.select("ts_code", "type", board="name"), on="ts_code")
    assert kinds.filter(pl.col("type") == "R").select((pl.col("area") == pl.col("board")).all()).item()
    # an industry's boards, and the regions, share out the whole market
    for kind, column in (("I", "industry"), ("R", "area")):
        of_kind = kinds.filter(pl.col("type") == kind)
        assert sorted(of_kind["con_code"]) == listed["ts_code"].to_list()
        assert (of_kind.group_by("ts_code").agg(pl.col(column).n_unique())[column] == 1).all()
    special = kinds.filter(pl.col("board") == "ST板块")
    assert set(special["con_code"]) == set(listed.filter(pl.col("name").str.contains("^[*]?ST"))["ts_code"])


def test_a_stock_tells_its_boards(market: SimulatedMarket) -> None:
    code = members_of(market, "881101.TI")["con_code"][0]
    boards = market.frame("ths_member", {"con_code": code}, A_LOT)["ts_code"]
    assert {"881101.TI", "883957.TI"} <= set(boards)
    assert all(code in members_of(market, board)["con_code"] for board in boards)


def test_boards_and_members_follow_the_clock(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = market.frame("ths_index", {}, A_LOT)
    monkeypatch.setenv(clock.NOW_VARIABLE, "2021-06-15T18:00")
    then = market.frame("ths_index", {}, A_LOT)
    assert then["list_date"].max() <= "20210615" < now["list_date"].max()
    listed = set(market.frame("stock_basic", {}, A_LOT)["ts_code"])
    assert set(members_of(market, "883957.TI")["con_code"]) == listed
    new = members_of(market, "883301.TI")["con_code"]
    dates = market.frame("stock_basic", {"ts_code": ",".join(new)}, A_LOT)["list_date"]
    assert "20200601" < dates.min() <= dates.max() <= "20210615"


def test_boards_are_determined_by_the_seed(market: SimulatedMarket) -> None:
    again = SimulatedMarket(Exchange(codes=300, first_year=2025))
    assert again.frame("ths_index", {}, A_LOT).equals(market.frame("ths_index", {}, A_LOT))
    board = market.frame("ths_index", {"type": "N"}, A_LOT)["ts_code"][0]
    assert members_of(again, board).equals(members_of(market, board))


def test_a_whole_market_has_a_third_of_the_concepts_that_ths_has() -> None:
    market = SimulatedMarket(Exchange(first_year=2026))
    boards = market.frame("ths_index", {}, A_LOT)
    count = dict(boards.group_by("type").len().iter_rows())
    assert 110 <= count["N"] <= 130
    assert count["I"] == 84
    concepts = boards.filter(pl.col("type") == "N")
    assert 30 < concepts["count"].median() < 150
    assert set(concepts["ts_code"].str.head(3)) == {"885", "886"}
    assert len(members_of(market, "883957.TI")) > 5_000


def test_members_of_nothing_cannot_be_asked_for(market: SimulatedMarket) -> None:
    with pytest.raises(ParameterError, match="ts_code"):
        market.frame("ths_member", {}, A_LOT)
    assert len(members_of(market, "885001.TI")) == 0
