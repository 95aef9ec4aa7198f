"""The answers: Tushare's shapes, true to each other, and never ahead of the clock."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.servers.tushare_apis import APIS
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

SESSION = "20261120"
BY_SESSION = ("daily", "adj_factor", "daily_basic", "suspend_d", "stk_limit", "stk_auction_o", "weekly", "ths_hot")
"""Those with rows in SESSION, the last session of a week."""
ASKED = {
    "ths_member": {"ts_code": "883957.TI"},
    "index_daily": {"ts_code": "000300.SH"},
    "dividend": {"ex_date": "20260618"},
    "index_weight": {"index_code": "399300.SZ"},
}
REALDATA = Path(__file__).parents[3] / "shared" / "realdata"
A_LOT = 10**6


@pytest.mark.parametrize("api", APIS)
def test_every_api_gives_all_its_columns(market: SimulatedMarket, api: str) -> None:
    params = {"trade_date": SESSION} if api in BY_SESSION else ASKED.get(api, {})
    frame = market.frame(api, params, A_LOT)
    assert set(frame.columns) == {*APIS[api].columns, *APIS[api].optional}
    assert len(frame) > 0


@pytest.mark.parametrize("api", BY_SESSION)
def test_a_closed_day_is_empty_with_columns(market: SimulatedMarket, api: str) -> None:
    frame = market.frame(api, {"trade_date": "20261121"}, A_LOT)
    assert len(frame) == 0
    assert set(frame.columns) >= set(APIS[api].columns)


@pytest.mark.parametrize(
    ("api", "before", "after"),
    [
        ("daily", "15:59", "16:00"),
        ("daily_basic", "15:59", "16:00"),
        ("adj_factor", "09:19", "09:20"),
        ("suspend_d", "08:39", "08:40"),
        ("stk_limit", "08:39", "08:40"),
        ("stk_auction_o", "09:25", "09:26"),
        ("ths_hot", "09:29", "09:30"),
    ],
)
def test_a_session_appears_at_its_time(
    market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch, api: str, before: str, after: str
) -> None:
    def newest(time: str) -> str:
        monkeypatch.setenv(clock.NOW_VARIABLE, f"2026-11-19T{time}")
        return str(market.frame(api, {}, 10_000)["trade_date"].max())

    assert newest(before) == "20261118"
    first = market.edition()
    assert newest(after) == "20261119"
    assert market.edition() != first


def test_nothing_lies_in_the_future_and_the_past_stays(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    apis = {api: {"trade_date": "20240612"} for api in BY_SESSION}
    late = {api: market.frame(api, params, A_LOT) for api, params in apis.items()}
    delisted_later = market.frame("stock_basic", {"list_status": "D"}, A_LOT).filter(pl.col("delist_date") > "20240612")
    assert len(delisted_later) > 0
    monkeypatch.setenv(clock.NOW_VARIABLE, "2024-06-12T23:00")
    for api, params in apis.items():
        assert market.frame(api, params, A_LOT).equals(late[api])
        assert len(market.frame(api, {"start_date": "20240613"}, A_LOT)) == 0
    listed = market.frame("stock_basic", {}, A_LOT)
    assert listed["list_date"].max() <= "20240612"
    assert set(delisted_later["ts_code"]) <= set(listed["ts_code"])
    names = market.frame("namechange", {}, A_LOT)
    assert names["start_date"].max() <= "20240612"
    assert names["end_date"].drop_nulls().max() < "20240612"
    assert market.frame("trade_cal", {}, A_LOT)["cal_date"].max() == "20241231"


def test_the_sandbox_goes_on_after_the_known_calendar(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2029-03-05T18:00")
    assert len(market.frame("daily", {"trade_date": "20290305"}, A_LOT)) > 250
    calendar = market.frame("trade_cal", {"start_date": "20291001", "end_date": "20291008"}, A_LOT)
    assert calendar.filter(pl.col("is_open") == 1)["cal_date"].to_list() == ["20291008"]


def test_bars_are_true_to_units_limits_and_changes(market: SimulatedMarket) -> None:
    bars = market.frame("daily", {"start_date": "20260601"}, A_LOT)
    limits = market.frame("stk_limit", {"start_date": "20260601"}, A_LOT)
    joined = bars.join(limits, on=("ts_code", "trade_date"), how="left", suffix="_limit")
    assert joined["up_limit"].null_count() == 0
    mean = pl.col("amount") * 1000 / (pl.col("vol") * 100)
    held = joined.select(
        within=pl.col("close").is_between("down_limit", "up_limit"),
        range=pl.col("low").ge(pl.col("down_limit")) & pl.col("high").le(pl.col("up_limit")),
        money=mean.is_between(pl.col("low") - 1e-9, pl.col("high") + 1e-9),
        change=(pl.col("change") - (pl.col("close") - pl.col("pre_close"))).abs() < 1e-6,
        percent=(pl.col("pct_chg") - (pl.col("close") / pl.col("pre_close") - 1) * 100).abs() < 1e-4,
        same_pre_close=pl.col("pre_close") == pl.col("pre_close_limit"),
    )
    assert held.select(pl.all().all()).row(0) == (True,) * held.width
    assert bars.equals(bars.sort("trade_date", "ts_code", descending=[True, False]))


def test_who_does_not_trade_is_suspended(market: SimulatedMarket) -> None:
    params = {"start_date": "20260101"}
    bars = market.frame("daily", params, A_LOT).select("ts_code", "trade_date")
    factors = market.frame("adj_factor", params, A_LOT).select("ts_code", "trade_date")
    marks = market.frame("suspend_d", params, A_LOT)
    whole = marks.filter((pl.col("suspend_type") == "S") & pl.col("suspend_timing").is_null())
    missing = factors.join(bars, on=("ts_code", "trade_date"), how="anti").sort("trade_date", "ts_code")
    assert len(missing) > 0
    assert missing.equals(whole.select("ts_code", "trade_date").sort("trade_date", "ts_code"))
    resumed = marks.filter(pl.col("suspend_type") == "R").select("ts_code", "trade_date")
    days = bars["trade_date"].unique().sort()
    following = pl.DataFrame({"trade_date": days[:-1], "next": days[1:]})
    back = (
        whole.join(following, on="trade_date")
        .join(bars, left_on=("ts_code", "next"), right_on=("ts_code", "trade_date"))
        .select("ts_code", trade_date="next")
    )
    new_year = resumed.filter(pl.col("trade_date") > days[0])
    assert new_year.sort("trade_date", "ts_code").equals(back.sort("trade_date", "ts_code"))
    assert len(market.frame("suspend_d", {**params, "suspend_type": "R"}, A_LOT)) == len(resumed)
    interrupted = marks.filter(pl.col("suspend_timing").is_not_null())
    assert len(interrupted.join(bars, on=("ts_code", "trade_date"), how="anti")) == 0


def test_valuations_fit_bars_and_capital(market: SimulatedMarket) -> None:
    params = {"start_date": "20251220", "end_date": "20260710"}
    bars = market.frame("daily", params, A_LOT)
    basic = market.frame("daily_basic", params, A_LOT)
    both = basic.join(bars, on=("ts_code", "trade_date"), suffix="_bar")
    assert len(both) == len(bars) == len(basic)
    worst = both.select(
        close=(pl.col("close") - pl.col("close_bar")).abs().max(),
        value=(pl.col("total_mv") / (pl.col("total_share") * pl.col("close")) - 1).abs().max(),
        float_value=(pl.col("circ_mv") / (pl.col("float_share") * pl.col("close")) - 1).abs().max(),
        turnover=(pl.col("turnover_rate") - pl.col("vol") / pl.col("float_share")).abs().max(),
    )
    assert max(worst.row(0)) < 1e-4
    assert both.select((pl.col("free_share") <= pl.col("float_share")).all()).item()
    assert both.select((pl.col("float_share") <= pl.col("total_share")).all()).item()
    # bonus shares enlarge the capital on the ex-date
    capital = both.sort("ts_code", "trade_date").select(pl.col("total_share").pct_change().over("ts_code").alias("grown"))
    assert capital["grown"].drop_nulls().max() >= 0.19


def test_the_volume_ratio_is_against_the_five_sessions_before(market: SimulatedMarket) -> None:
    """Over the turn of the year too."""
    code = market.frame("daily", {"trade_date": "20260106"}, A_LOT)["ts_code"][0]
    bars = market.frame("daily", {"ts_code": code, "start_date": "20251201", "end_date": "20260120"}, A_LOT)
    basic = market.frame("daily_basic", {"ts_code": code, "start_date": "20260101", "end_date": "20260120"}, A_LOT)
    usual = pl.col("vol").rolling_mean(5).shift(1)
    expected = bars.sort("trade_date").select("trade_date", ratio=pl.col("vol") / usual)
    both = basic.join(expected, on="trade_date")
    assert len(both) > 8
    assert both.select((pl.col("volume_ratio") - pl.col("ratio")).abs().max()).item() < 0.0051


def test_names_lists_and_delistings_agree(market: SimulatedMarket) -> None:
    listed = market.frame("stock_basic", {}, A_LOT)
    gone = market.frame("stock_basic", {"list_status": "D"}, A_LOT)
    everyone = market.frame("stock_basic", {"list_status": "L,D,P"}, A_LOT)
    names = market.frame("namechange", {}, A_LOT)
    assert len(everyone) == len(listed) + len(gone)
    assert listed["delist_date"].null_count() == len(listed)
    assert gone["delist_date"].null_count() == 0
    assert len(market.frame("stock_basic", {"list_status": "P"}, A_LOT)) == 0
    current = names.filter(pl.col("end_date").is_null()).join(everyone, on="ts_code", suffix="_today")
    assert len(current) == len(everyone)
    assert (current["name"] == current["name_today"]).all()
    assert {"ST", "*ST", "改名"} <= set(names["change_reason"].drop_nulls())
    periods = names.sort("ts_code", "start_date").filter(pl.col("end_date").is_not_null())
    assert periods.select((pl.col("start_date") <= pl.col("end_date")).all()).item()
    bse = market.frame("stock_basic", {"exchange": "BSE"}, A_LOT)
    assert set(bse["ts_code"].str.slice(0, 3)) == {"920"}
    traded = market.frame("daily", {"trade_date": SESSION}, A_LOT)
    assert set(traded["ts_code"]) <= set(listed["ts_code"])


def test_codes_and_ranges_choose_cells(market: SimulatedMarket) -> None:
    whole = market.frame("daily", {"start_date": "20251222", "end_date": "20260115"}, A_LOT)
    first, second = whole["ts_code"].unique().sort()[:2]
    params = {"ts_code": f"{second},{first},999999.SZ", "start_date": "20251222", "end_date": "20260115"}
    assert market.frame("daily", params, A_LOT).equals(whole.filter(pl.col("ts_code").is_in([first, second])))
    assert len(market.frame("daily", {"ts_code": "999999.SZ"}, A_LOT)) == 0
    few = market.frame("daily", {}, 1_000)
    assert len(few) >= 1_000
    assert few.equals(market.frame("daily", {}, 30_000).head(len(few)))


def test_a_date_that_is_none_is_named(market: SimulatedMarket) -> None:
    with pytest.raises(ParameterError, match="trade_date=2026-11-20"):
        market.frame("daily", {"trade_date": "2026-11-20"}, 1)


@pytest.mark.skipif(not REALDATA.is_dir(), reason="the recorded session is not there")
@pytest.mark.parametrize("api", ["daily", "daily_basic", "adj_factor", "stk_limit", "stock_basic"])
def test_shapes_are_those_of_a_recorded_session(api: str) -> None:
    texts = {"trade_date": pl.String, "list_date": pl.String, "delist_date": pl.String, "symbol": pl.String}
    recorded = pl.read_csv(REALDATA / f"{api}.csv.gz", infer_schema_length=None, schema_overrides=texts)
    params = {} if api == "stock_basic" else {"trade_date": SESSION}
    simulated = SimulatedMarket(Exchange(first_year=2025)).frame(api, params, A_LOT)
    for name, dtype in recorded.schema.items():
        assert simulated.schema[name] == dtype, name
    if api == "stk_limit":  # the recorded one holds funds and B shares too
        recorded = recorded.filter(pl.col("ts_code").str.contains(r"^(0|3|6|9200)"))
    assert 0.9 < len(simulated) / len(recorded) < 1.1
    for name in set(recorded.columns) & {"vol", "amount", "close", "turnover_rate", "total_mv", "float_share"}:
        assert 0.3 < simulated[name].median() / recorded[name].median() < 3, name
