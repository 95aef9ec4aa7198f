"""What compares the market's shares, against plain loops over its sessions: ranks, days of change, z-scores."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Callable, Mapping
from itertools import pairwise

import polars as pl
import pytest

from quant_pipeline.strategies.multi_factor import FACTORS, MultiFactor
from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline_tests.strategies.shared import market

PANEL = market()
KINDS = {strategy.name: strategy for strategy in BUILT_IN}
DAYS = PANEL["trade_date"].unique().sort().to_list()
OWN = {code: PANEL.filter(ts_code=code).to_dicts() for code in PANEL["ts_code"].unique().sort()}
PLACE = {(code, row["trade_date"]): place for code, rows in OWN.items() for place, row in enumerate(rows)}
Score = Callable[[str, int], float | None]
"""Of a code's bar, by its place."""


def _close(code: str, place: int) -> float | None:
    return OWN[code][place]["close"] if place >= 0 else None


def _rise(code: str, last: int, first: int) -> float | None:
    end, start = _close(code, last), _close(code, first)
    return None if end is None or start is None else end / start - 1


def _deviation(code: str, place: int, window: int) -> float | None:
    moves = [_rise(code, at, at - 1) for at in range(place - window + 1, place + 1)]
    return None if None in moves else statistics.pstdev(moves) * 100  # type: ignore[type-var]


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def _times(value: float | None, by: float) -> float | None:
    return None if value is None else value * by


SCORES: Mapping[str, Score] = {
    "small_cap": lambda code, place: -OWN[code][place]["total_mv"] / 1e4,
    "low_volatility": lambda code, place: _times(_deviation(code, place, 60), -1),
    "momentum": lambda code, place: _times(_rise(code, place - 21, place - 252), 100),
    "reversal": lambda code, place: _times(_rise(code, place, place - 20), -100),
}
EVERY = {"small_cap": "week", "low_volatility": "month", "momentum": "month", "reversal": "week"}


def _begins(day: dt.date, before: dt.date, every: str) -> bool:
    return day.isocalendar()[:2] != before.isocalendar()[:2] if every == "week" else day.month != before.month


@pytest.mark.parametrize("name", SCORES)
def test_the_first_of_the_market_are_bought_and_who_is_no_more_is_sold_when_they_are_changed(name: str) -> None:
    hold = 3
    judged = KINDS[name].with_parameters({"hold": hold}).judged(PANEL)
    assert KINDS[name]().parameters.every == EVERY[name]
    marks = {(code, day): rest for code, day, *rest in judged.select("ts_code", "trade_date", "score", "buy", "sell").rows()}
    held: set[str] = set()
    bought = sold = 0
    for before, day in pairwise(DAYS):
        scores = {code: SCORES[name](code, PLACE[code, day]) for code in OWN if (code, day) in PLACE}
        for code, score in scores.items():
            assert _same(marks[code, day][0], score), (code, day)
        known = {code: score for code, score in scores.items() if score is not None}
        first = set(sorted(known, key=lambda code: -known[code])[:hold])
        changing = _begins(day, before, EVERY[name])
        assert {code for code in scores if marks[code, day][1]} == (first if changing else set()), day
        assert {code for code in scores if marks[code, day][2]} == ((held & set(scores)) - first if changing else set()), day
        if changing:
            bought, sold = bought + len(first), sold + len((held & set(scores)) - first)
            held = first | (held - set(scores))  # who is halted stays held
    assert min(bought, sold) > 0


def test_rps_breaks_out_among_the_strongest_tenth_near_its_top() -> None:
    judged = KINDS["rps_breakout"]().judged(PANEL)
    marks = {(code, day): (rps, buy) for code, day, rps, buy in judged.select("ts_code", "trade_date", "rps", "buy").rows()}
    met = 0
    for day in DAYS[-60:]:
        places = {code: PLACE[code, day] for code in OWN if (code, day) in PLACE}
        rises = {code: rise for code, place in places.items() if (rise := _rise(code, place, place - 120)) is not None}
        for code, place in places.items():
            rank = None if code not in rises else 100 * sum(rise <= rises[code] for rise in rises.values()) / len(rises)
            top = max(row["high"] for row in OWN[code][max(place - 119, 0) : place + 1])
            expected = rank is not None and rank >= 90 and OWN[code][place]["close"] >= 0.9 * top
            assert _same(marks[code, day][0], rank), (code, day)
            assert marks[code, day][1] == expected, (code, day)
            met += expected
    assert met > 0


def _factors(code: str, place: int) -> dict[str, float | None]:
    row = OWN[code][place]
    rates = [each["turnover_rate"] for each in OWN[code][max(place - 19, 0) : place + 1]]
    return {
        "earnings": 0.0 if row["pe_ttm"] is None else 1 / row["pe_ttm"],
        "book": 1 / row["pb"],
        "dividend": row["dv_ttm"],
        "size": -math.log(row["total_mv"]),
        "momentum": _rise(code, place - 21, place - 252),
        "reversal": _times(_rise(code, place, place - 20), -1),
        "volatility": _times(_deviation(code, place, 60), -1),
        "turnover": None if len(rates) < 20 else -statistics.fmean(rates),
    }


@pytest.mark.parametrize("neutral", [True, False])
def test_the_score_of_several_factors_is_the_weighted_mean_of_their_z_scores(neutral: bool) -> None:
    """Within its industry, if so wanted; at most three deviations; what is not known counts as the mean."""
    weights = {name: getattr(MultiFactor().parameters, name) for name in FACTORS}
    judged = MultiFactor.with_parameters({"neutral": neutral}).judged(PANEL)
    found = {(code, day): score for code, day, score in judged.select("ts_code", "trade_date", "score").rows()}
    for day in (DAYS[300], DAYS[-90], DAYS[-1]):
        codes = [code for code in OWN if (code, day) in PLACE]
        total, known = dict.fromkeys(codes, 0.0), dict.fromkeys(codes, 0.0)
        for name, weight in weights.items():
            values = {code: _factors(code, PLACE[code, day])[name] for code in codes}
            told = {code: value for code, value in values.items() if value is not None}
            if neutral:
                industries: dict[str, list[float]] = {}
                for code, value in told.items():
                    industries.setdefault(OWN[code][-1]["industry"] or "", []).append(value)
                told = {
                    code: value - statistics.fmean(industries[OWN[code][-1]["industry"] or ""]) for code, value in told.items()
                }
            mean, deviation = statistics.fmean(told.values()), statistics.stdev(told.values())
            for code, value in told.items():
                total[code] += weight * max(min((value - mean) / deviation, 3.0), -3.0)
                known[code] += weight
        whole = sum(weights.values())
        for code in codes:
            expected = total[code] / whole if known[code] >= whole / 2 else None
            assert _same(found[code, day], expected), (code, day)


def test_a_weight_of_none_leaves_its_factor_out_and_who_is_known_by_less_than_half_has_no_score() -> None:
    only = MultiFactor.with_parameters({**dict.fromkeys(FACTORS, 0), "book": 2.0, "neutral": False, "every": "day", "hold": 1})
    day = DAYS[-1]
    bought = only.judged(PANEL).filter(pl.col("trade_date") == day, pl.col("buy"))["ts_code"].to_list()
    cheapest = min((code for code in OWN if (code, day) in PLACE), key=lambda code: OWN[code][PLACE[code, day]]["pb"])
    assert bought == [cheapest]
    young = MultiFactor.with_parameters({**dict.fromkeys(FACTORS, 0), "book": 1.0, "momentum": 1.5, "neutral": False})
    scored = young.judged(PANEL).filter(pl.col("trade_date") == day)
    assert {code for code, score in scored.select("ts_code", "score").rows() if score is None} == {
        code for code in OWN if (code, day) in PLACE and PLACE[code, day] < 252
    }, "fewer than half of the weights are known of them"
    with pytest.raises(ValueError, match="at least one weight must not be 0"):
        MultiFactor.with_parameters(dict.fromkeys(FACTORS, 0))
