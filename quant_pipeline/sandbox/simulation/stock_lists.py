"""The lists behind the stocks: who is listed, under which names and codes, and on which days the exchange is open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from quant_pipeline.market import calendar, clock
from quant_pipeline.sandbox.simulation import company_names, name_periods, parameters
from quant_pipeline.sandbox.simulation.listing_boards import BLOCKS, BOARD_NAMES
from quant_pipeline.sandbox.simulation.session_grid import Ints, SessionGrid
from quant_pipeline.sandbox.simulation.sessions import NEXT_YEAR_PUBLISHED

BSE_RENUMBERED = dt.date(2025, 10, 9)
"""On this day the codes of the Beijing exchange became 920xxx."""
_OWNERSHIP = ("民营企业", "地方国企", "中央国企", "外资企业")
_OLD_BSE_PREFIXES = np.array(
    ["430", "830", "831", "832", "833", "834", "835", "836", "837", "838", "839", "870", "871", "872", "873"]
)


class StockLists:
    """stock_basic, trade_cal, namechange and bse_mapping: each is as of the clock's day."""

    hours: frozenset[dt.time] = frozenset()

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._exchange = grid.exchange
        self._register = grid.exchange.register
        self._lists = {
            "stock_basic": self._stock_basic,
            "trade_cal": self._trade_cal,
            "namechange": self._namechange,
            "bse_mapping": self._bse_mapping,
        }
        self.apis = frozenset(self._lists)

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        del rows  # lists come whole
        return self._lists[api](params)

    def _today(self) -> int:
        """The sessions that have begun by the clock's day."""
        return self._exchange.sessions.through(clock.now(), dt.time.min)

    def _stock_basic(self, params: Mapping[str, str]) -> pl.DataFrame:
        register, today = self._register, self._today()
        current = name_periods.periods(register, today).filter(pl.col("following").is_null())
        code = current["code"].to_numpy()
        gone = register.delisted[code] < today
        delisted = self._grid.dates.gather(np.where(gone, register.delisted[code], 0))
        block = register.block[code]
        ts_code = self._grid.ts_code.gather(code)
        of_shanghai, of_shenzhen = (np.array([each.exchange == name for each in BLOCKS])[block] for name in ("SSE", "SZSE"))
        answer = pl.DataFrame(
            {
                "ts_code": ts_code,
                "symbol": ts_code.str.slice(0, 6),
                "name": current["name"],
                "area": _chosen(company_names.AREAS, register.area[code]),
                "industry": _chosen([industry for industry, _ in company_names.INDUSTRIES], register.industry[code]),
                "cnspell": current["cnspell"],
                "market": _chosen(BOARD_NAMES, register.board[code]),
                "list_date": self._grid.dates.gather(register.listed[code]),
                "act_name": pl.Series([None] * len(code), dtype=pl.String),
                "act_ent_type": _chosen(_OWNERSHIP, register.ownership[code]),
                "fullname": current["name"] + "股份有限公司（模拟）",
                "enname": pl.select(pl.format("{} Co., Ltd. (simulated)", current["cnspell"].str.to_uppercase())).to_series(),
                "curr_type": pl.Series(["CNY"] * len(code), dtype=pl.String),
                "exchange": _chosen([each.exchange for each in BLOCKS], block),
                "list_status": _chosen(("L", "D"), gone.astype(np.int64)),
                "delist_date": delisted.set(pl.Series(~gone), None),
                "is_hs": _chosen(["N", "H", "S"], of_shanghai + 2 * of_shenzhen),
            }
        ).sort("ts_code")
        answer = parameters.among(answer, "list_status", params.get("list_status") or "L")
        return parameters.matching(answer, params, "ts_code", "exchange", "market", "name", "is_hs")

    def _trade_cal(self, params: Mapping[str, str]) -> pl.DataFrame:
        now = clock.now()
        published = now.year + ((now.month, now.day) >= NEXT_YEAR_PUBLISHED)
        first, last = calendar.FIRST_SESSION, dt.date(published, 12, 31)
        if params.get("start_date"):
            first = max(first, parameters.day(params, "start_date"))
        if params.get("end_date"):
            last = min(last, parameters.day(params, "end_date"))
        days = np.arange(np.datetime64(first), np.datetime64(last) + 1)[::-1]
        every = self._exchange.sessions.days
        before = np.searchsorted(every, days) - 1
        answer = pl.DataFrame(
            {
                "exchange": pl.Series([params.get("exchange") or "SSE"] * len(days), dtype=pl.String),
                "cal_date": pl.Series(days).dt.strftime("%Y%m%d"),
                "is_open": np.isin(days, every).astype(np.int64),
                "pretrade_date": self._grid.dates.gather(before.clip(0)).set(pl.Series(before < 0), None),
            }
        )
        if params.get("is_open"):
            answer = answer.filter(pl.col("is_open").cast(pl.String) == str(params["is_open"]))
        return answer

    def _namechange(self, params: Mapping[str, str]) -> pl.DataFrame:
        rows = name_periods.periods(self._register, self._today())
        days = self._exchange.sessions.days
        start, following = rows["start"].to_numpy(), rows["following"]
        ends = days[following.fill_null(0).to_numpy()] - np.timedelta64(1, "D")
        first = rows["change_reason"].is_null()
        answer = pl.DataFrame(
            {
                "ts_code": self._grid.ts_code.gather(rows["code"]),
                "name": rows["name"],
                "start_date": self._grid.dates.gather(start),
                "end_date": pl.Series(ends).dt.strftime("%Y%m%d").set(following.is_null(), None),
                "ann_date": self._grid.dates.gather(start - 1).set(first, None),
                "change_reason": rows["change_reason"],
            }
        ).sort("start_date", "ts_code", descending=[True, False])
        answer = parameters.matching(answer, params, "ts_code")
        if params.get("start_date"):
            answer = answer.filter(pl.col("ann_date") >= params["start_date"])
        if params.get("end_date"):
            answer = answer.filter(pl.col("ann_date") <= params["end_date"])
        return answer

    def _bse_mapping(self, params: Mapping[str, str]) -> pl.DataFrame:
        """The old codes keep the last three digits in the new ones."""
        register, today = self._register, self._today()
        renumbered = self._exchange.sessions.ordinal(BSE_RENUMBERED)
        of_then = register.is_bse & (register.listed < renumbered) & (register.delisted > renumbered)
        code = np.flatnonzero(of_then & (today > renumbered))
        new = self._grid.ts_code.gather(code)
        digits = new.str.slice(3, 3)
        prefix = pl.Series(
            _OLD_BSE_PREFIXES[digits.cast(pl.Int64).to_numpy() % len(_OLD_BSE_PREFIXES)].tolist(), dtype=pl.String
        )
        answer = pl.DataFrame(
            {
                "name": name_periods.at(register, today).gather(code),
                "o_code": prefix + digits + ".BJ",
                "n_code": new,
                "list_date": self._grid.dates.gather(register.listed[code]),
            }
        )
        return parameters.matching(answer, params, "o_code", "n_code")


def _chosen(texts: Sequence[str], which: Ints) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).gather(which)
