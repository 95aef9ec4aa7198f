"""dividend: what the simulated companies pay on the ex-dates of the walk, from the plan to the payment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import parameters
from quant_pipeline.sandbox.simulation.exchange import Year
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.session_grid import Ints, SessionGrid

_ASKED = ("ts_code", "ann_date", "record_date", "ex_date", "imp_ann_date")
_DAYS = _ASKED[1:]
_PLAN, _MEETING, _NOTICE = 60, 25, 6
"""Sessions before the ex-date on which the plan, the shareholders' approval and the carrying out are announced."""
_MOST_BONUS = 3
"""Up to so many new shares for 10 are bonus shares (送股); more are transferred (转增)."""
_NET = 0.9
"""Of the cash, what was left after the tax that was withheld until 2012."""
_LAST_WITHHELD = 2012


class Dividends:
    """dividend: a row per stage (预案, 股东大会通过, 实施); only what is carried out has record, ex and payment days.

    Its cash and shares are those that moved pre_close and the factor.
    """

    apis = frozenset({"dividend"})
    hours: frozenset[dt.time] = frozenset()

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._exchange = grid.exchange

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del api, rows
        if not any(params.get(name) for name in _ASKED):
            raise ParameterError(f"参数校验失败，{','.join(_ASKED)}至少输入一个参数")
        days = {name: parameters.day(params, name) for name in _DAYS if params.get(name)}
        parts = [self._of_year(self._exchange.year(number)) for number in self._years(params, days)]
        if not parts:
            parts = [self._of_year(self._exchange.year(self._exchange.first_year)).clear()]
        answer = pl.concat(parts).sort("ann_date", "ts_code", "stage", descending=[True, False, True]).drop("stage")
        for name in days:
            answer = answer.filter(pl.col(name) == params[name])
        return parameters.matching(answer, params, "ts_code")

    def _years(self, params: Mapping[str, str], days: Mapping[str, dt.date]) -> range:
        """The years whose ex-dates the answer can be about."""
        this_year, first = clock.today().year, self._exchange.first_year
        if days:
            years = [day.year for day in days.values()]
            # what is planned late in a year is carried out in the next one
            return range(max(min(years), first), min(max(years) + ("ann_date" in days), this_year) + 1)
        wanted = self._grid.places(params)
        if wanted is None or not len(wanted):
            return range(0)
        listed = self._exchange.sessions.days[int(self._exchange.register.listed[wanted].min())]
        return range(max(first, int(str(listed)[:4])), this_year + 1)

    def _of_year(self, year: Year) -> pl.DataFrame:
        """The rows of all whose ex-date lies in the year, as far as they are announced."""
        days, walk = len(year.ordinals), year.walk
        column = np.flatnonzero(walk.ex_session < days)
        ex = year.ordinals.start + walk.ex_session[column]
        today = self._exchange.sessions.through(clock.now(), dt.time.min)
        plan, meeting, notice = (np.maximum(ex - before, 0) for before in (_PLAN, _MEETING, _NOTICE))
        stages = (("预案", plan), ("股东大会通过", meeting), ("实施", notice))
        return pl.concat(
            self._stage(year, column, ex, plan, told < today, proc, place) for place, (proc, told) in enumerate(stages)
        )

    def _stage(
        self, year: Year, column: Ints, ex: Ints, plan: Ints, told: np.typing.NDArray[np.bool_], proc: str, place: int
    ) -> pl.DataFrame:
        column, ex, plan = column[told], ex[told], plan[told]
        new = year.events.bonus[column]
        cash = year.walk.cash[column] / 100
        bonus = np.where(new <= _MOST_BONUS, new, 0)
        net = np.round(cash * (_NET if year.number <= _LAST_WITHHELD else 1.0), 6)
        done = proc == "实施"
        dates = self._grid.dates

        def day(ordinal: Ints) -> pl.Series:
            known = dates.gather(ordinal)
            return known if done else pl.Series([None] * len(ordinal), dtype=pl.String)

        return pl.DataFrame(
            {
                "ts_code": self._grid.ts_code.gather(year.events.codes[column]),
                "end_date": pl.Series([f"{year.number - 1}1231"] * len(column), dtype=pl.String),
                "ann_date": dates.gather(plan),
                "div_proc": pl.Series([proc] * len(column), dtype=pl.String),
                "stk_div": new / 10,
                "stk_bo_rate": bonus / 10,
                "stk_co_rate": (new - bonus) / 10,
                "cash_div": net,
                "cash_div_tax": cash,
                "record_date": day(ex - 1),
                "ex_date": day(ex),
                "pay_date": day(ex),
                "div_listdate": day(ex).set(pl.Series(new == 0), None),
                "imp_ann_date": day(np.maximum(ex - _NOTICE, 0)),
                "base_date": day(ex - 1),
                "base_share": year.walk.before.shares[year.events.codes[column]],
                "stage": pl.Series([place] * len(column), dtype=pl.Int64),
            }
        )
