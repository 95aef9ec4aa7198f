"""A market that answers wrongly in itself: every server that asks it tells the same lie."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from quant_pipeline.sandbox.control.faults import Fault, Kind
from quant_pipeline.sandbox.simulation.interface import Market

_EVERY_ROW = 10**9
_DAYS = ("trade_date", "start_date", "end_date")


@dataclass(frozen=True)
class LyingMarket:
    """The answers of `market` as the fault wants them; those that it does not concern are true."""

    market: Market
    fault: Fault

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """As `Market.frame`."""
        match self.fault.kind:
            case Kind.STALE if (day := _only_day(params)) and api != "trade_cal":
                return self._stale(api, params, rows, day)
            case Kind.SHORT_HISTORY if params.get("ts_code") and not params.get("trade_date"):
                frame = self.market.frame(api, params, rows)
                return frame.head(self.fault.rows) if "trade_date" in frame.columns else frame
            case Kind.UNKNOWN_CODES:
                return self._with_unknown_codes(self.market.frame(api, params, rows))
            case Kind.HALTED_BARS if api == "daily":
                return self._with_halted_bars(params, rows)
            case Kind.NEW_PREFIX:
                return self._with_twin(api, params, rows)
            case Kind.CHANGED_CODE:
                return self._with_changed_code(api, params, rows)
            case Kind.WITHDRAWN_CODE if api == "stock_basic":
                return self._with_withdrawn_code(params, rows)
            case Kind.NAMES_TWICE if api == "namechange":
                frame = self.market.frame(api, params, rows)
                ended = frame.filter(pl.col("end_date").is_not_null()).head(self.fault.count)
                return pl.concat([frame, ended.with_columns(end_date=pl.lit(None, pl.String))])
            case Kind.HALTS_TWICE if api == "suspend_d":
                frame = self.market.frame(api, params, rows)
                whole = frame.filter((pl.col("suspend_type") == "S") & pl.col("suspend_timing").is_null())
                return pl.concat([frame, whole.head(self.fault.count).with_columns(suspend_timing=pl.lit("09:30-10:30"))])
            case Kind.BARS_BEFORE_LISTING if api == "stock_basic":
                return self._listed_later(self.market.frame(api, params, rows))
            case Kind.ALL_CLOSED | Kind.HOLIDAY_OPEN | Kind.SESSION_CLOSED if api == "trade_cal":
                return self._calendar(params, rows)
        return self.market.frame(api, params, rows)

    def edition(self) -> str:
        return self.market.edition()

    def _stale(self, api: str, params: Mapping[str, str], rows: int, day: str) -> pl.DataFrame:
        calendar = self.market.frame("trade_cal", {"end_date": day, "start_date": day}, 1)
        before = calendar["pretrade_date"][0] if len(calendar) else day
        asked = {name: value for name, value in params.items() if name not in _DAYS}
        frame = self.market.frame(api, {**asked, "trade_date": before}, rows)
        return frame.with_columns(trade_date=pl.lit(day)) if "trade_date" in frame.columns else frame

    def _with_unknown_codes(self, frame: pl.DataFrame) -> pl.DataFrame:
        if "ts_code" not in frame.columns or frame.is_empty():
            return frame
        known = set(self._stocks()["ts_code"])
        unknown = (code for number in range(999, -1, -1) if (code := f"603{number:03d}.SH") not in known)
        models = frame.head(self.fault.count)
        codes = list(itertools.islice(unknown, len(models)))
        return pl.concat([frame, models.with_columns(ts_code=pl.Series(codes, dtype=pl.String))])

    def _with_halted_bars(self, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        bars = self.market.frame("daily", params, rows)
        asked = {name: params[name] for name in ("ts_code", *_DAYS) if params.get(name)}
        keys = ["ts_code", "trade_date"]
        halts = self.market.frame("suspend_d", {**asked, "suspend_type": "S"}, _EVERY_ROW)
        last = self.market.frame("stk_limit", asked, _EVERY_ROW).select(*keys, "pre_close")
        halts = halts.filter(pl.col("suspend_timing").is_null()).join(last, on=keys).join(bars, on=keys, how="anti")
        price, volume = pl.col("pre_close"), self.fault.volume
        made = halts.select(
            *keys,
            **dict.fromkeys(("open", "high", "low", "close", "pre_close"), price),
            **dict.fromkeys(("change", "pct_chg"), pl.lit(0.0)),
            vol=pl.lit(volume),
            amount=(price * volume / 10).round(3),
        )
        return pl.concat([bars, made.select(bars.columns)])

    def _with_twin(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """A share of the new code beside the one whose rows it bears."""
        new, model = self.fault.new_code, self._model()
        asked = [code.strip() for code in str(params.get("ts_code") or "").split(",") if code.strip()]
        if asked and new not in asked:
            return self.market.frame(api, params, rows)
        alone = self.market.frame(api, {**params, "ts_code": model}, rows) if asked else None
        frame = self.market.frame(api, params, rows)
        if "ts_code" not in frame.columns or api.startswith(("index_", "fund_", "cb_", "ths_")):
            return frame
        twin = (frame if alone is None else alone).filter(pl.col("ts_code") == model)
        twin = _renamed(twin, {model: new})
        if "name" in twin.columns:
            twin = twin.with_columns(name=pl.lit("新板股份"))
        return pl.concat([frame, twin])

    def _with_changed_code(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """As Tushare does it: the old code is gone from the list, and its history stands under the new one."""
        new, old = self.fault.new_code, self._model()
        if params.get("ts_code"):
            asked = [code.strip() for code in str(params["ts_code"]).split(",")]
            params = {**params, "ts_code": ",".join(old if code == new else "" if code == old else code for code in asked)}
            if not params["ts_code"].strip(","):
                return self.market.frame(api, {**params, "ts_code": "none"}, rows)
        return _renamed(self.market.frame(api, params, rows), {old: new})

    def _with_withdrawn_code(self, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        frame = self.market.frame("stock_basic", params, rows)
        status = str(params.get("list_status") or "L").split(",")
        if "D" not in status or params.get("ts_code") or params.get("exchange") not in (None, "", "SSE"):
            return frame
        stands = {
            "ts_code": "T00018.SH",
            "symbol": "T00018",
            "name": "上港集箱(退)",
            "market": "主板",
            "exchange": "SSE",
            "list_status": "D",
            "list_date": "20000719",
            "delist_date": "20061020",
            "is_hs": "N",
        }
        row = {name: stands.get(name) for name in frame.columns}
        return pl.concat([frame, pl.DataFrame([row], schema=frame.schema)])

    def _listed_later(self, frame: pl.DataFrame) -> pl.DataFrame:
        calendar = self.market.frame("trade_cal", {"is_open": "1"}, _EVERY_ROW)["cal_date"].sort()
        places = calendar.search_sorted(frame["list_date"]) + self.fault.count
        later = calendar.gather(places.clip(0, len(calendar) - 1))
        of_bse = pl.col("ts_code").str.ends_with(".BJ")
        return frame.with_columns(list_date=pl.when(of_bse).then(later).otherwise(pl.col("list_date")))

    def _model(self) -> str:
        """The first share of the ChiNext that is listed, or of any board where there is none."""
        listed = self.market.frame("stock_basic", {"list_status": "L"}, _EVERY_ROW)["ts_code"]
        chinext = listed.filter(listed.str.starts_with("300"))
        return str((chinext if len(chinext) else listed)[0])

    def _calendar(self, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        frame = self.market.frame("trade_cal", {**params, "is_open": ""}, rows)
        fault, open_day = self.fault, pl.col("is_open") == 1
        if fault.kind is Kind.ALL_CLOSED:
            frame = frame.with_columns(is_open=pl.lit(0, pl.Int64))
        else:
            to_open = fault.kind is Kind.HOLIDAY_OPEN
            day = fault.day or self._day_of_the_lie(to_open)
            frame = frame.with_columns(
                is_open=pl.when(pl.col("cal_date") == day).then(int(to_open)).otherwise(pl.col("is_open")).cast(pl.Int64)
            )
        return frame.filter(open_day == (str(params["is_open"]) == "1")) if params.get("is_open") else frame

    def _day_of_the_lie(self, to_open: bool) -> str:
        """The latest past holiday on a weekday, or the latest past session but one."""
        today = self.market.edition()[:10].replace("-", "")
        past = self.market.frame("trade_cal", {"end_date": today}, _EVERY_ROW).filter(pl.col("cal_date") < today)
        weekday = pl.col("cal_date").str.to_date("%Y%m%d").dt.weekday() <= 5
        chosen = past.filter((pl.col("is_open") == 0) & weekday) if to_open else past.filter(pl.col("is_open") == 1)
        return str(chosen["cal_date"][0 if to_open else 1])

    def _stocks(self) -> pl.DataFrame:
        return self.market.frame("stock_basic", {"list_status": "L,D,P"}, _EVERY_ROW)


def _only_day(params: Mapping[str, str]) -> str:
    """The one day that a call asks for; "" when it asks for more."""
    start, end = params.get("start_date"), params.get("end_date")
    return str(params.get("trade_date") or (start if start == end else "") or "")


def _renamed(frame: pl.DataFrame, codes: Mapping[str, str]) -> pl.DataFrame:
    """The rows under other codes, wherever a code or its digits stand."""
    digits = {old[:6]: new[:6] for old, new in codes.items()}
    changes = [pl.col(name).replace(codes) for name in ("ts_code", "con_code", "stk_code") if name in frame.columns]
    changes += [pl.col("symbol").replace(digits)] if "symbol" in frame.columns else []
    return frame.with_columns(changes)
