"""The simulated exchange as the Tushare APIs give it: columns, units, dates and order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import calendar, clock
from quant_pipeline.sandbox import names
from quant_pipeline.sandbox.boards import BLOCKS, BOARD_NAMES, limit_prices
from quant_pipeline.sandbox.exchange import Exchange, Year
from quant_pipeline.sandbox.fundamentals import Fundamentals
from quant_pipeline.sandbox.sessions import NEXT_YEAR_PUBLISHED
from quant_pipeline.sandbox.tushare_apis import ParameterError

Ints = npt.NDArray[np.int64]

READY = {
    "daily": dt.time(16, 0),
    "daily_basic": dt.time(16, 0),
    "adj_factor": dt.time(9, 20),
    "suspend_d": dt.time(9, 0),
    "stk_limit": dt.time(8, 40),
}
"""The time of a session's day at which its rows appear."""
_OWNERSHIP = ("民营企业", "地方国企", "中央国企", "外资企业")
_NO_UP_LIMIT = {"SSE": 99_999.999, "SZSE": 999_999.999, "BSE": 99_999.999}
"""What stands for the up limit in a session that has none; the down limit is 0.01."""
_OPENING_HALT = "09:30-09:40"


@dataclass(frozen=True)
class _Piece:
    """Cells of one year, newest session first: the row and the column of each."""

    year: Year
    row: Ints
    column: Ints

    @property
    def code(self) -> Ints:
        """The cells' codes as places in the register."""
        return self.year.events.codes[self.column]


class SimulatedMarket:
    """A `Market` (tushare_apis.py) over an Exchange. It never gives a session that the clock has not reached."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._fundamentals = Fundamentals(exchange.seed, exchange.register)
        register = exchange.register
        self._ts_code = pl.Series("ts_code", register.ts_code.tolist(), dtype=pl.String)
        self._place = {code: place for place, code in enumerate(register.ts_code)}
        self._dates = pl.Series("trade_date", exchange.sessions.dates.tolist(), dtype=pl.String)
        self._no_up_limit = np.array([_NO_UP_LIMIT[block.exchange] for block in BLOCKS])[register.block]

    def edition(self) -> str:
        now = clock.now()
        return f"{now.date()} {sum(now.time() >= ready for ready in sorted(set(READY.values())))}"

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        answers = {
            "stock_basic": self._stock_basic,
            "trade_cal": self._trade_cal,
            "namechange": self._namechange,
        }
        if api in answers:
            return answers[api](params)
        pieces = self._pieces(api, params, rows)
        build = {
            "daily": self._daily,
            "adj_factor": self._adj_factor,
            "daily_basic": self._daily_basic,
            "suspend_d": self._suspend_d,
            "stk_limit": self._stk_limit,
        }[api]
        frames = [build(piece) for piece in pieces]
        if not frames:
            year = self.exchange.year(self.exchange.first_year)
            none = np.empty(0, dtype=np.int64)
            frames = [build(_Piece(year, none, none))]
        answer = pl.concat(frames, rechunk=True) if len(frames) > 1 else frames[0]
        if api == "suspend_d" and params.get("suspend_type"):
            answer = answer.filter(pl.col("suspend_type") == params["suspend_type"])
        return answer

    # --- which cells -------------------------------------------------------------------------------------------------

    def _pieces(self, api: str, params: Mapping[str, str], rows: int) -> Iterator[_Piece]:
        """The cells that the parameters ask for, newest first, until `rows` are reached."""
        sessions = self.exchange.sessions
        lowest = sessions.of_year(self.exchange.first_year).start
        stop = sessions.through(clock.now(), READY[api])
        start = lowest
        if params.get("trade_date"):
            day = _day(params, "trade_date")
            start, stop = max(start, sessions.ordinal(day)), min(stop, sessions.ordinal(day + dt.timedelta(days=1)))
        if params.get("start_date"):
            start = max(start, sessions.ordinal(_day(params, "start_date")))
        if params.get("end_date"):
            stop = min(stop, sessions.ordinal(_day(params, "end_date") + dt.timedelta(days=1)))
        wanted = None
        if params.get("ts_code"):
            asked = (self._place.get(code.strip()) for code in params["ts_code"].split(","))
            wanted = np.array(sorted({place for place in asked if place is not None}), dtype=np.int64)
            if len(wanted):
                # no need to simulate the years in which none of them was listed
                register = self.exchange.register
                start = max(start, int(register.listed[wanted].min()))
                stop = min(stop, int(register.delisted[wanted].max()))
        left = rows
        while stop > start and left > 0:
            year = self.exchange.year(_year_of(sessions.days[stop - 1]))
            first, end = max(start, year.ordinals.start) - year.ordinals.start, stop - year.ordinals.start
            piece = self._cells(api, year, first, end, wanted, left)
            left -= len(piece.row)
            if len(piece.row):
                yield piece
            stop = year.ordinals.start

    def _cells(self, api: str, year: Year, first: int, end: int, wanted: Ints | None, left: int) -> _Piece:
        match api:
            case "daily" | "daily_basic":
                present = year.trading[first:end]
            case "suspend_d":
                rows = slice(first, end)
                present = year.events.halted[rows] | year.resumed[rows] | year.interrupted[rows]
            case _:
                present = year.events.listed[first:end]
        columns = None
        if wanted is not None:
            columns = np.flatnonzero(np.isin(year.events.codes, wanted))
            present = present[:, columns]
        newest_first = present[::-1]
        enough = int(np.searchsorted(np.cumsum(newest_first.sum(axis=1)), left)) + 1
        row, column = np.nonzero(newest_first[:enough])
        return _Piece(year, end - 1 - row, column if columns is None else columns[column])

    # --- what stands in them -----------------------------------------------------------------------------------------

    def _keys(self, piece: _Piece) -> dict[str, pl.Series]:
        return {
            "ts_code": self._ts_code.gather(piece.code),
            "trade_date": self._dates.gather(piece.row + piece.year.ordinals.start),
        }

    def _daily(self, piece: _Piece) -> pl.DataFrame:
        bars, walk, at = piece.year.bars, piece.year.walk, (piece.row, piece.column)
        opened, high, low, close, pre = (
            matrix[at].astype(np.int64) for matrix in (bars.open, bars.high, bars.low, walk.close, walk.pre_close)
        )
        vol = bars.vol[at].astype(np.int64)
        # the mean price lies between low and high; 手 x 分 are 元
        amount = (vol * (opened + high + low + close) + 2) // 4
        return pl.DataFrame(
            {
                **self._keys(piece),
                "open": opened / 100,
                "high": high / 100,
                "low": low / 100,
                "close": close / 100,
                "pre_close": pre / 100,
                "change": (close - pre) / 100,
                "pct_chg": np.round((close - pre) * 100 / pre, 4),
                "vol": vol.astype(np.float64),
                "amount": amount / 1000,
            }
        )

    def _adj_factor(self, piece: _Piece) -> pl.DataFrame:
        walk = piece.year.walk
        held = piece.row >= walk.ex_session[piece.column]
        factor = np.where(held, walk.after.factor[piece.code], walk.before.factor[piece.code])
        return pl.DataFrame({**self._keys(piece), "adj_factor": factor})

    def _daily_basic(self, piece: _Piece) -> pl.DataFrame:
        year, walk, code, row = piece.year, piece.year.walk, piece.code, piece.row
        at = (row, piece.column)
        close, vol = walk.close[at].astype(np.float64), year.bars.vol[at].astype(np.float64)
        held = row >= walk.ex_session[piece.column]
        total = np.where(held, walk.after.shares[code], walk.before.shares[code])
        cash = np.where(held, walk.after.cash[code], walk.before.cash[code])
        floating = np.round(total * year.float_share[piece.column], 4)
        free = np.round(floating * self.exchange.register.free_share[code], 4)
        annual = self._fundamentals.annual(year.number, row, code)
        trailing = self._fundamentals.trailing(year.number, row, code)
        book, sales = self._fundamentals.book[code], self._fundamentals.sales[code]
        figures = {
            "close": close / 100,
            "turnover_rate": np.round(vol / floating, 4),
            "turnover_rate_f": np.round(vol / free, 4),
            "volume_ratio": np.round(vol / self._usual_volume(piece), 2),
            "pe": np.round(np.where(annual > 0, close / annual, np.nan), 4),
            "pe_ttm": np.round(np.where(trailing > 0, close / trailing, np.nan), 4),
            "pb": np.round(close / book, 4),
            "ps": np.round(close / sales, 4),
            "ps_ttm": np.round(close / (sales * 1.02), 4),
            "dv_ratio": np.round(cash / close * 100, 4),
            "dv_ttm": np.round(np.where(cash > 0, cash / close * 100, np.nan), 4),
            "total_share": total,
            "float_share": floating,
            "free_share": free,
            "total_mv": np.round(total * close / 100, 4),
            "circ_mv": np.round(floating * close / 100, 4),
        }
        return pl.DataFrame({**self._keys(piece), **figures}).with_columns(pl.col(pl.Float64).fill_nan(None))

    def _usual_volume(self, piece: _Piece) -> npt.NDArray[np.float64]:
        """Mean volume of the five sessions before (of those that traded), NaN when none did."""
        year = piece.year
        volumes = year.bars.vol
        rows = piece.row
        if len(rows) and rows.min() < 5:
            last_week = np.zeros((5, volumes.shape[1]), dtype=volumes.dtype)
            if year.number > self.exchange.first_year:
                last = self.exchange.year(year.number - 1)
                _, here, there = np.intersect1d(year.events.codes, last.events.codes, return_indices=True)
                last_week[:, here] = last.bars.vol[-5:, there]
            volumes, rows = np.vstack([last_week, volumes]), rows + 5
        total, traded = np.zeros(len(rows)), np.zeros(len(rows))
        for back in range(1, 6):
            volume = volumes[rows - back, piece.column]
            total += volume
            traded += volume > 0
        usual = np.full(len(rows), np.nan)
        np.divide(total, traded, out=usual, where=traded > 0)
        return usual

    def _suspend_d(self, piece: _Piece) -> pl.DataFrame:
        at = (piece.row, piece.column)
        resumed, interrupted = piece.year.resumed[at], piece.year.interrupted[at]
        whole = pl.Series(resumed | ~interrupted)
        return pl.DataFrame(
            {
                **self._keys(piece),
                "suspend_timing": pl.Series([_OPENING_HALT] * len(whole), dtype=pl.String).set(whole, None),
                "suspend_type": _text(np.where(resumed, "R", "S")),
            }
        )

    def _stk_limit(self, piece: _Piece) -> pl.DataFrame:
        at = (piece.row, piece.column)
        pre = piece.year.walk.pre_close[at].astype(np.float64)
        down, up = limit_prices(pre, piece.year.events.regime[at], self.exchange.register.is_bse[piece.code])
        keys = self._keys(piece)
        return pl.DataFrame(
            {
                "trade_date": keys["trade_date"],
                "ts_code": keys["ts_code"],
                "up_limit": np.where(np.isinf(up), self._no_up_limit[piece.code], up / 100),
                "down_limit": down / 100,
                "pre_close": pre / 100,
            }
        )

    # --- lists -------------------------------------------------------------------------------------------------------

    def _names_today(self) -> pl.DataFrame:
        """The name periods that have begun, with their ends as far as they are known."""
        today = self.exchange.sessions.through(clock.now(), dt.time.min)
        begun = self.exchange.register.name_rows.filter(pl.col("start") < today)
        following = pl.when(pl.col("code") == pl.col("code").shift(-1)).then(pl.col("start").shift(-1))
        return begun.with_columns(following=following)

    def _stock_basic(self, params: Mapping[str, str]) -> pl.DataFrame:
        register = self.exchange.register
        today = self.exchange.sessions.through(clock.now(), dt.time.min)
        current = self._names_today().filter(pl.col("following").is_null())
        code = current["code"].to_numpy()
        gone = register.delisted[code] < today
        delisted = self._dates.gather(np.where(gone, register.delisted[code], 0))
        block = register.block[code]
        ts_code = self._ts_code.gather(code)
        of_shanghai, of_shenzhen = (np.array([each.exchange == name for each in BLOCKS])[block] for name in ("SSE", "SZSE"))
        answer = pl.DataFrame(
            {
                "ts_code": ts_code,
                "symbol": ts_code.str.slice(0, 6),
                "name": current["name"],
                "area": _chosen(names.AREAS, register.area[code]),
                "industry": _chosen([industry for industry, _ in names.INDUSTRIES], register.industry[code]),
                "cnspell": current["cnspell"],
                "market": _chosen(BOARD_NAMES, register.board[code]),
                "list_date": self._dates.gather(register.listed[code]),
                "act_name": pl.Series([None] * len(code), dtype=pl.String),
                "act_ent_type": _chosen(_OWNERSHIP, register.ownership[code]),
                "exchange": _chosen([each.exchange for each in BLOCKS], block),
                "list_status": _text(np.where(gone, "D", "L")),
                "delist_date": delisted.set(pl.Series(~gone), None),
                "is_hs": _chosen(["N", "H", "S"], of_shanghai + 2 * of_shenzhen),
            }
        ).sort("ts_code")
        answer = _among(answer, "list_status", params.get("list_status") or "L")
        for column in ("ts_code", "exchange", "market", "name", "is_hs"):
            if params.get(column):
                answer = _among(answer, column, params[column])
        return answer

    def _trade_cal(self, params: Mapping[str, str]) -> pl.DataFrame:
        now = clock.now()
        published = now.year + ((now.month, now.day) >= NEXT_YEAR_PUBLISHED)
        first, last = calendar.FIRST_SESSION, dt.date(published, 12, 31)
        if params.get("start_date"):
            first = max(first, _day(params, "start_date"))
        if params.get("end_date"):
            last = min(last, _day(params, "end_date"))
        days = np.arange(np.datetime64(first), np.datetime64(last) + 1)[::-1]
        every = self.exchange.sessions.days
        before = np.searchsorted(every, days) - 1
        answer = pl.DataFrame(
            {
                "exchange": pl.Series([params.get("exchange") or "SSE"] * len(days), dtype=pl.String),
                "cal_date": pl.Series(days).dt.strftime("%Y%m%d"),
                "is_open": np.isin(days, every).astype(np.int64),
                "pretrade_date": self._dates.gather(before.clip(0)).set(pl.Series(before < 0), None),
            }
        )
        if params.get("is_open"):
            answer = answer.filter(pl.col("is_open").cast(pl.String) == str(params["is_open"]))
        return answer

    def _namechange(self, params: Mapping[str, str]) -> pl.DataFrame:
        rows = self._names_today()
        days = self.exchange.sessions.days
        start, following = rows["start"].to_numpy(), rows["following"]
        ends = days[following.fill_null(0).to_numpy()] - np.timedelta64(1, "D")
        first = rows["change_reason"].is_null()
        answer = pl.DataFrame(
            {
                "ts_code": self._ts_code.gather(rows["code"]),
                "name": rows["name"],
                "start_date": self._dates.gather(start),
                "end_date": pl.Series(ends).dt.strftime("%Y%m%d").set(following.is_null(), None),
                "ann_date": self._dates.gather(start - 1).set(first, None),
                "change_reason": rows["change_reason"],
            }
        ).sort("start_date", "ts_code", descending=[True, False])
        if params.get("ts_code"):
            answer = _among(answer, "ts_code", params["ts_code"])
        if params.get("start_date"):
            answer = answer.filter(pl.col("ann_date") >= params["start_date"])
        if params.get("end_date"):
            answer = answer.filter(pl.col("ann_date") <= params["end_date"])
        return answer


def _year_of(day: np.datetime64) -> int:
    return int(day.astype("datetime64[Y]").astype(np.int64)) + 1970


def _day(params: Mapping[str, str], name: str) -> dt.date:
    try:
        return dt.datetime.strptime(str(params[name]), "%Y%m%d").date()  # noqa: DTZ007  (a calendar day has no zone)
    except ValueError:
        raise ParameterError(f"参数校验失败，{name}={params[name]} 不是YYYYMMDD格式的日期") from None


def _text(values: npt.NDArray[Any]) -> pl.Series:
    return pl.Series(values.tolist(), dtype=pl.String)


def _chosen(texts: Sequence[str], which: Ints) -> pl.Series:
    return pl.Series(texts, dtype=pl.String).gather(which)


def _among(frame: pl.DataFrame, column: str, values: str) -> pl.DataFrame:
    return frame.filter(pl.col(column).is_in([value.strip() for value in values.split(",")]))
