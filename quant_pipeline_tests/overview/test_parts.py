"""The parts of a day out of small frames: breadth, limits and their ladder, boards, turnover, ex-dates."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.xshg import xshg
from quant_pipeline.overview.boards import boards
from quant_pipeline.overview.breadth import breadth, changed
from quant_pipeline.overview.ex_dates import ex_dates
from quant_pipeline.overview.limits import limited, limits, with_limits
from quant_pipeline.overview.parts import Lacking, Quote, Turnover
from quant_pipeline.overview.turnover import turnover

DAY = dt.date(2026, 11, 20)
SESSIONS = xshg().window(DAY, 5)
NO_NAMES = pl.DataFrame(schema={"ts_code": pl.String, "name": pl.String, "start_date": pl.Date})


def bars(*rows: tuple[str, float, float | None], day: dt.date = DAY, high: float | None = None) -> pl.DataFrame:
    """(code, close, pre_close): the high is the close unless it is given."""
    frame = pl.DataFrame(rows, schema={"ts_code": pl.String, "close": pl.Float64, "pre_close": pl.Float64}, orient="row")
    pct = (pl.col("close") / pl.col("pre_close") - 1) * 100
    return frame.with_columns(trade_date=pl.lit(day), high=pl.lit(high) if high else pl.col("close"), pct_chg=pct, amount=1e5)


def quotes(frame: pl.DataFrame) -> dict[str, Quote]:
    return {code: Quote(code, code, amount=1e5) for code in frame["ts_code"]}


def test_breadth_counts_every_share_once_and_says_of_whom_nothing_is_known() -> None:
    found = breadth(bars(("A", 11.0, 10.0), ("B", 9.65, 10.0), ("C", 10.0, 10.0), ("D", 10.0, None), ("E", 10.2, 10.0)))
    assert (found.codes, found.up, found.down, found.flat, found.unknown) == (5, 2, 1, 1, 1)
    assert [each.count for each in found.bins] == [0, 0, 1, 0, 1, 1, 0, 0, 1]
    assert sum(each.count for each in found.bins) == found.codes - found.unknown
    assert found.median is not None
    assert round(found.median, 6) == 1.0


def test_a_change_on_the_edge_of_two_bars_stands_in_one() -> None:
    told = bars(*((code, 11.0, 10.0) for code in "ABCD")).with_columns(pct_chg=pl.Series([2.99, 3.0, 5.0, 7.0]))
    assert [each.count for each in breadth(told).bins[5:]] == [1, 1, 1, 1]


def test_a_change_that_is_not_told_follows_from_the_prices() -> None:
    rows = changed(bars(("A", 11.0, 10.0)).with_columns(pct_chg=pl.lit(None, pl.Float64)))
    assert round(rows["pct_chg"][0], 6) == 10.0
    told = changed(bars(("A", 11.0, None)).with_columns(pct_chg=pl.lit(-3.0)))
    assert told["move"][0] == -1


def stored(*rows: tuple[str, dt.date, float, float]) -> pl.DataFrame:
    names = {"ts_code": pl.String, "trade_date": pl.Date, "up_limit": pl.Float64, "down_limit": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


def lives(*codes: str) -> pl.DataFrame:
    return pl.DataFrame({"ts_code": list(codes), "list_date": [dt.date(2010, 1, 4)] * len(codes)})


def test_limits_are_the_exchanges_own_and_those_of_the_rules_where_they_are_not_stored() -> None:
    today = bars(("600000.SH", 11.0, 10.0), ("688001.SH", 12.0, 10.0), ("600004.SH", 9.0, 10.0), ("600005.SH", 11.0, 10.0))
    # The exchange said 11.5 of the first one, and of the fourth that there is no limit; the others' are 20 % and 10 %.
    own = stored(("600000.SH", DAY, 11.5, 9.5), ("600005.SH", DAY, 99_999.99, 0.01))
    rows = limited(with_limits(today, own, lives(*today["ts_code"]), NO_NAMES, xshg()))
    at = {row["ts_code"]: (row["at_up"], row["at_down"], row["limit_from"]) for row in rows.iter_rows(named=True)}
    assert at == {
        "600000.SH": (False, False, "stored"),
        "688001.SH": (True, False, "rules"),
        "600004.SH": (False, True, "rules"),
        "600005.SH": (False, False, "stored"),
    }


def test_where_the_name_of_the_day_decides_and_is_not_stored_the_limit_is_unknown() -> None:
    day = dt.date(2026, 6, 1)  # ST had 5 % then
    today = bars(("600000.SH", 10.5, 10.0), ("600004.SH", 10.5, 10.0), day=day)
    names = pl.DataFrame({"ts_code": ["600004.SH"], "name": ["*ST远洋"], "start_date": [dt.date(2025, 4, 30)]})
    rows = limited(with_limits(today, stored(), lives(*today["ts_code"]), names, xshg())).sort("ts_code")
    assert rows["limit_from"].to_list() == [None, "rules"]
    assert rows["at_up"].to_list() == [False, True]
    found = limits(rows, rows.with_columns(list_date=pl.lit(None, pl.Date)).head(0), quotes(today))
    assert (found.unknown, found.ruled) == (1, 1)


def test_the_ladder_counts_a_codes_own_last_sessions_and_a_touch_that_did_not_hold_is_broken() -> None:
    # A: three in a row · B: one, after a break · C: two, with a halt between them · D: touched it only · E: all that is known.
    closes = {"A": "UUU", "B": "UDU", "C": "U-U", "D": "--T", "E": "UUU"}
    frames = []
    for code, marks in closes.items():
        for day, mark in zip(SESSIONS[-3:], marks, strict=True):
            if mark != "-":
                close, high = {"U": (11.0, 11.0), "D": (10.5, 10.8), "T": (10.7, 11.0)}[mark]
                frames.append(bars((code, close, 10.0), day=day, high=high))
    first = bars(*((code, 10.0, 10.0) for code in "ABCD"), day=SESSIONS[-4])
    history = pl.concat([first, *frames])
    limit = history.select("ts_code", "trade_date", up_limit=11.0, down_limit=9.0)
    rows = limited(with_limits(history, limit, lives(*"ABCDE"), NO_NAMES, xshg()))
    rows = rows.join(lives(*"ABCDE"), on="ts_code", how="left")
    found = limits(rows.filter(pl.col("trade_date") == DAY), rows, quotes(history))
    heights = {quote.ts_code: (rung.height, rung.at_least) for rung in found.ladder for quote in rung.quotes}
    assert heights == {"A": (3, False), "B": (1, False), "C": (2, False), "E": (3, True)}
    assert [(rung.height, rung.at_least) for rung in found.ladder] == [(3, True), (3, False), (2, False), (1, False)]
    assert (found.up, found.broken, found.highest, found.kept) == (4, 1, 3, 80.0)


def test_a_board_is_the_mean_of_its_members_that_traded_and_is_led_by_the_strongest() -> None:
    traded = bars(("A", 11.0, 10.0), ("B", 10.1, 10.0), ("C", 9.8, 10.0), ("D", 9.0, 10.0), ("E", 9.9, 10.0), ("F", 9.95, 10.0))
    groups = {"up.TI": "ABC", "down.TI": "DEFX", "small.TI": "AB"}
    rows = [(board, board[:-3], "N", code) for board, members in groups.items() for code in members]
    members = pl.DataFrame(rows, schema=["ts_code", "name", "kind", "con_code"], orient="row")
    found = boards(members, traded, quotes(traded))
    assert found.count == 2, "two members say nothing of a board"
    (best,), (worst,) = found.strongest, found.weakest
    assert (best.ts_code, best.members, best.up, best.leader.ts_code) == ("up.TI", 3, 2, "A")
    assert round(best.pct_chg, 6) == 3.0
    assert (worst.ts_code, worst.members, worst.leader.ts_code) == ("down.TI", 3, "D"), "X did not trade"


def sums(*rows: tuple[dt.date, float | None, int, int]) -> pl.DataFrame:
    names = {"trade_date": pl.Date, "amount": pl.Float64, "codes": pl.Int64, "priced": pl.Int64}
    return pl.DataFrame(rows, schema=names, orient="row")


def test_turnover_is_compared_with_whole_sessions_only() -> None:
    a, b, c, d, e = SESSIONS
    found = turnover(sums((a, 100.0, 10, 10), (c, 5.0, 1, 1), (d, 200.0, 10, 10), (e, 300.0, 10, 10)), SESSIONS)
    assert isinstance(found, Turnover)
    assert [(each.session, each.amount, each.whole) for each in found.sessions] == [
        (a, 100.0, True), (b, None, False), (c, 5.0, False), (d, 200.0, True), (e, 300.0, True),
    ]  # fmt: skip
    assert (found.mean, found.compared) == (150.0, 2)
    assert found.against_mean is not None
    assert round(found.against_mean, 6) == 100.0


def test_a_day_without_any_turnover_told_has_none_rather_than_zero() -> None:
    assert isinstance(turnover(sums((DAY, None, 10, 0)), [DAY]), Lacking)


def test_an_ex_date_is_a_step_of_the_factor_and_not_its_last_digits() -> None:
    rows = [("A", 1.1, 1.0, 11.0, 10.0), ("B", 1.00005, 1.0, 10.0, 10.0), ("C", 2.0, 1.0, None, None)]
    names = ["ts_code", "adj_factor", "former_factor", "former_close", "pre_close"]
    found = ex_dates(pl.DataFrame(rows, schema=names, orient="row"), {}, {"C": "丙"})
    assert [(each.quote.ts_code, each.quote.name, round(each.step, 6)) for each in found.dates] == [
        ("C", "丙", 100.0),
        ("A", "", 10.0),
    ]
