"""Tushare over its own client: https://tushare.pro. Column names and units are the platform's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, SecretStr

from quant_pipeline.language import marked
from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    AUCTION,
    BSE_MAPPING,
    CB_DAILY,
    CONVERTIBLE_BONDS,
    DAILY_BASIC,
    DAILY_KLINE,
    DIVIDENDS,
    ETF_ADJ,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    INDEX_WEIGHTS,
    MONTHLY_KLINE,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    THS_CONCEPTS,
    THS_HOT,
    THS_INDUSTRIES,
    THS_MEMBERS,
    TRADE_CALENDAR,
    WEEKLY_KLINE,
)
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words
from quant_pipeline.sources.frames import to_polars
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.paging import Pages
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.tushare_client import client_of
from quant_pipeline.sources.tushare_failures import SOURCE, classified
from quant_pipeline.sources.tushare_members import INDEX_SPELLINGS, latest_snapshot
from quant_pipeline.sources.tushare_periods import month_end, monthly, week_end, weekly
from quant_pipeline.sources.units import Grain, Unit, is_running

_NO_TOKEN = marked("no token: set TUSHARE_TOKEN (https://tushare.pro/user/token), or TUSHARE_PRIORITY=0")
_BULK = RatePolicy(per_minute=400, per_second=10, burst=60, concurrency=5)
"""Tushare counts by the minute: a quarter's sessions may start one after the other."""
_BULK_APIS = ("daily", "adj_factor", "daily_basic", "stk_limit", "suspend_d", "dividend", "index_weight")
_SNAPSHOT = (Grain.SNAPSHOT,)
_DAILY = (Grain.SESSION, Grain.CODE)
_LIST_STATES = ("L", "D", "P")
_INDEX_MARKETS = ("SSE", "SZSE", "CSI")
_BOARD_TYPES = ("N", "R", "S", "ST", "TH", "BB")
"""THS's boards that are no industries."""
_HOT_LIST = "热股"


class TushareSettings(SourceSettings):
    """The account, and a server of one's own."""

    address = "TUSHARE_URL"
    token: SecretStr | None = Field(None, alias="TUSHARE_TOKEN")
    url: str | None = Field(None, alias="TUSHARE_URL")


class TushareSource(Source):
    """Tushare, or any server that speaks its protocol, under `url` (None: the client's own)."""

    name = SOURCE
    default_priority = 1
    default_policies: ClassVar = {
        "*": RatePolicy(),
        **dict.fromkeys(_BULK_APIS, _BULK),
        "stock_basic": RatePolicy(per_minute=50, per_second=2, burst=5, concurrency=1),
    }
    settings = TushareSettings

    def __init__(
        self,
        token: str | None,
        url: str | None,
        calendar: Calendar,
        limiter: Limiter,
        policies: Policies,
        *,
        patience: float = 120.0,
    ) -> None:
        super().__init__(calendar, limiter, policies, patience=patience)
        self._token = token
        self._url = _base(url)
        self._clients: dict[float, Any] = {}

    @classmethod
    def build(cls, settings: TushareSettings, context: Context) -> TushareSource:
        token = settings.token.get_secret_value() if settings.token else None
        given = (context.calendar, context.limiter, context.policies)
        return cls(token, settings.url, *given, patience=context.patience)

    def move(self, settings: TushareSettings) -> None:
        self._url, self._clients = _base(settings.url), {}

    @classmethod
    def lacking(cls, settings: TushareSettings) -> str | None:
        return None if settings.token and settings.token.get_secret_value() else _NO_TOKEN

    def unavailable(self) -> str | None:
        return None if self._token else _NO_TOKEN

    def secrets(self) -> tuple[str, ...]:
        return (self._token or "",)

    def classify(self, api: str, error: Exception) -> SourceError:
        text = self.without_secrets(in_words(error))
        return classified(api, error, text, policy_for(self._policies, self.name, api).minute)

    # --- reference ---------------------------------------------------------------------------------------------------

    @serves(TRADE_CALENDAR, by=_SNAPSHOT, api="trade_cal", page=2000)
    def trade_calendar(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        end = dt.date(unit.end.year + 1, 12, 31)
        return self._query(TRADE_CALENDAR, tally, exchange="SSE", start_date=_compact(FIRST_SESSION), end_date=_compact(end))

    @serves(STOCK_LIST, by=_SNAPSHOT, api="stock_basic", page=6000, asks=len(_LIST_STATES))
    def stock_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return _together([self._query(STOCK_LIST, tally, exchange="", list_status=state) for state in _LIST_STATES])

    @serves(NAME_HISTORY, by=_SNAPSHOT, api="namechange", page=10_000, most=100_000)
    def name_history(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._query(NAME_HISTORY, tally)

    @serves(BSE_MAPPING, by=_SNAPSHOT, api="bse_mapping", page=1000)
    def bse_mapping(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._query(BSE_MAPPING, tally)

    @serves(ETF_LIST, by=_SNAPSHOT, api="fund_basic", page=15_000)
    def etf_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The exchange's funds are not all ETFs: LOFs and closed-end funds are left out. A prefix does not tell where nobody
        knows it yet; then the name does."""
        del unit
        funds = self._query(ETF_LIST, tally, market="E")
        board, name = board_of(pl.col("ts_code").cast(pl.String)), pl.col("name").cast(pl.String)
        by_name = name.str.contains("ETF") & ~name.str.contains("LOF")
        return funds.filter((board == Board.ETF.value) | ((board == Board.UNKNOWN.value) & by_name))

    @serves(CONVERTIBLE_BONDS, by=_SNAPSHOT, api="cb_basic", page=2000)
    def convertible_bonds(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._query(CONVERTIBLE_BONDS, tally)

    @serves(INDEX_LIST, by=_SNAPSHOT, api="index_basic", page=8000, asks=len(_INDEX_MARKETS), most=50_000)
    def index_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return _together([self._query(INDEX_LIST, tally, market=market) for market in _INDEX_MARKETS])

    @serves(SUSPENSIONS, by=_DAILY, api="suspend_d", page=5000)
    def suspensions(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(SUSPENSIONS, tally, **_asked(unit))

    # --- stocks ------------------------------------------------------------------------------------------------------

    @serves(DAILY_KLINE, by=_DAILY, api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(DAILY_KLINE, tally, **_asked(unit))

    @serves(WEEKLY_KLINE, by=_DAILY, api="weekly", page=6000)
    def weekly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._periods(WEEKLY_KLINE, unit, tally, week_end(unit.end))

    @serves(MONTHLY_KLINE, by=_DAILY, api="monthly", page=4500)
    def monthly_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._periods(MONTHLY_KLINE, unit, tally, month_end(unit.end))

    def _periods(self, dataset: Dataset, unit: Unit, tally: Tally, last_day: dt.date) -> pl.DataFrame:
        """Periods are asked for by their last session and by their last day: Tushare's samples show both as labels."""
        asked = _asked(unit)
        if unit.grain is Grain.CODE:
            bars = self._query(dataset, tally, **{**asked, "end_date": _compact(last_day)})
            return bars.filter(pl.col("trade_date") <= asked["end_date"])
        bars = self._query(dataset, tally, **asked)
        if bars.is_empty() and last_day != unit.end:
            bars = self._query(dataset, tally, trade_date=_compact(last_day))
        return bars

    @serves(ADJ_FACTOR, by=_DAILY, api="adj_factor", page=6000)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(ADJ_FACTOR, tally, **_asked(unit))

    @serves(DIVIDENDS, by=_DAILY, api="dividend", page=2000)
    def dividends(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """What was carried out (实施), by ex-date: the rows of what was planned or approved have none."""
        asked = {"ts_code": unit.ts_code} if unit.ts_code else {"ex_date": _compact(unit.start)}
        rows = self._query(DIVIDENDS, tally, **asked)
        ex_date = pl.col("ex_date").cast(pl.String)
        of_unit = ex_date.is_between(pl.lit(_compact(unit.start)), pl.lit(_compact(unit.end)))
        done = rows.filter((pl.col("div_proc").cast(pl.String) == "实施") & of_unit)
        return done.with_columns(trade_date=ex_date).select(DIVIDENDS.column_names)

    @serves(DAILY_BASIC, by=_DAILY, api="daily_basic", page=6000)
    def daily_basic(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(DAILY_BASIC, tally, **_asked(unit))

    @serves(PRICE_LIMITS, by=_DAILY, api="stk_limit", page=5800)
    def price_limits(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(PRICE_LIMITS, tally, **_asked(unit))

    @serves(AUCTION, by=_DAILY, api="stk_auction_o", page=10_000)
    def auction(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(AUCTION, tally, **_asked(unit))

    # --- funds, bonds, indexes ---------------------------------------------------------------------------------------

    @serves(INDEX_DAILY, by=(Grain.CODE,), api="index_daily", page=8000)
    def index_daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(INDEX_DAILY, tally, **_asked(unit))

    @serves(
        INDEX_WEIGHTS, by=(Grain.SESSION,), api="index_weight", page=5000, asks=len(INDEX_SPELLINGS), running=True
    )  # fmt: skip
    def index_weights(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The month's latest members of each index; of the running month, before it has any, those of the one before."""
        month = unit.start.replace(day=1)
        first = month - dt.timedelta(days=45) if is_running(INDEX_WEIGHTS, unit.start, self._calendar) else month
        days = {"start_date": _compact(first), "end_date": _compact(unit.start)}
        parts = []
        for index, spellings in INDEX_SPELLINGS.items():
            for spelling in spellings:
                rows = self._query(INDEX_WEIGHTS, tally, index_code=spelling, **days)
                if not rows.is_empty():
                    break
            parts.append(latest_snapshot(rows, index, unit.start))
        return _together(parts)

    @serves(ETF_DAILY, by=_DAILY, api="fund_daily", page=2000)
    def etf_daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(ETF_DAILY, tally, **_asked(unit))

    @serves(ETF_ADJ, by=_DAILY, api="fund_adj", page=2000)
    def etf_adj(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(ETF_ADJ, tally, **_asked(unit))

    @serves(CB_DAILY, by=_DAILY, api="cb_daily", page=2000)
    def cb_daily(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(CB_DAILY, tally, **_asked(unit))

    # --- 同花顺 ------------------------------------------------------------------------------------------------------

    @serves(THS_CONCEPTS, by=_SNAPSHOT, api="ths_index", page=5000, asks=len(_BOARD_TYPES))
    def ths_concepts(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return _together([self._query(THS_CONCEPTS, tally, exchange="A", type=kind) for kind in _BOARD_TYPES])

    @serves(THS_INDUSTRIES, by=_SNAPSHOT, api="ths_index", page=5000)
    def ths_industries(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._query(THS_INDUSTRIES, tally, exchange="A", type="I")

    @serves(THS_MEMBERS, by=(Grain.MEMBERS,), api="ths_member", page=5000)
    def ths_members(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(THS_MEMBERS, tally, ts_code=unit.ts_code or "")

    @serves(THS_HOT, by=(Grain.SESSION,), api="ths_hot", page=2000)
    def ths_hot(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        """Every list of the session so far: hourly, and the evening's."""
        return self._query(THS_HOT, tally, market=_HOT_LIST, is_new="N", **_asked(unit))

    # --- the client --------------------------------------------------------------------------------------------------

    def _query(self, dataset: Dataset, tally: Tally, **params: str) -> pl.DataFrame:
        """All pages: the server cuts at its cap without a word, so a full page always asks for one more."""
        serving = self.servings[dataset.name]
        pages = Pages(serving.most)
        while pages.last is None or pages.last.height >= serving.page:
            asked: dict[str, str | int] = {**params, "offset": pages.rows, "limit": serving.page}
            pages.add(self.call(serving.api, partial(self._ask, dataset, serving.api, asked), tally))
        return _together(pages.parts)

    def _ask(self, dataset: Dataset, api: str, params: Mapping[str, str | int]) -> pl.DataFrame:
        frame = self._connect(api).query(api, fields=",".join(dataset.column_names), **params)
        if len(frame.columns) == 0:
            # The client turns every HTTP status from 400 up into a frame without columns.
            raise SourceError(
                FailureClass.RETRYABLE, self.name, api, marked("the server answered with an HTTP error, not with data")
            )
        rows = to_polars(frame)
        if dataset is WEEKLY_KLINE:
            return weekly(rows, self._calendar)
        return monthly(rows, self._calendar) if dataset is MONTHLY_KLINE else rows

    def _connect(self, api: str) -> Any:
        """The client that gives each answer as long as the API's policy does."""
        if not self._token:
            raise SourceError(FailureClass.PERMANENT_SOURCE, self.name, "*", _NO_TOKEN)
        timeout = policy_for(self._policies, self.name, api).timeout
        if timeout not in self._clients:
            self._clients[timeout] = client_of(self._token, self._url, timeout)
        return self._clients[timeout]


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all parts; an empty part has columns without a type, and is left out."""
    filled = [part for part in parts if not part.is_empty()]
    return pl.concat(filled, how="vertical_relaxed") if filled else parts[0]


def _asked(unit: Unit) -> dict[str, str]:
    if unit.grain is Grain.CODE:
        return {"ts_code": unit.ts_code or "", "start_date": _compact(unit.start), "end_date": _compact(unit.end)}
    return {"trade_date": _compact(unit.start)}


def _compact(day: dt.date) -> str:
    return day.strftime("%Y%m%d")


def _base(url: str | None) -> str | None:
    return url.rstrip("/") if url else None
