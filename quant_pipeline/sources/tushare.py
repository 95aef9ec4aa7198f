"""Tushare over its own client: https://tushare.pro. Column names and units are the platform's own."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import FIRST_SESSION
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    NAME_HISTORY,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
    TRADE_CALENDAR,
)
from quant_pipeline.sources.base import Source, Tally, serves
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.frames import to_polars
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, policy_for
from quant_pipeline.sources.units import Grain, Unit

TIMEOUT = 30
_DAILY = (Grain.SESSION, Grain.CODE)
_LIST_STATES = ("L", "D", "P")


class TushareSource(Source):
    """Tushare, or any server that speaks its protocol, under `url` (None: the client's own)."""

    name = "tushare"

    def __init__(
        self,
        token: str | None,
        url: str | None,
        limiter: Limiter,
        policies: Policies,
        *,
        timeout: float = TIMEOUT,
        patience: float = 120.0,
    ) -> None:
        super().__init__(limiter, policies, patience=patience)
        self._token = token
        self._url = url.rstrip("/") if url else None
        self._timeout = timeout
        self._client: Any = None

    def unavailable(self) -> str | None:
        return None if self._token else "no token: set TUSHARE_TOKEN (https://tushare.pro/user/token), or TUSHARE_PRIORITY=0"

    @serves(TRADE_CALENDAR, by=(Grain.SNAPSHOT,), api="trade_cal", page=2000)
    def trade_calendar(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        end = dt.date(unit.end.year + 1, 12, 31)
        return self._query(TRADE_CALENDAR, tally, exchange="SSE", start_date=_compact(FIRST_SESSION), end_date=_compact(end))

    @serves(STOCK_LIST, by=(Grain.SNAPSHOT,), api="stock_basic", page=6000)
    def stock_list(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        lists = [self._query(STOCK_LIST, tally, exchange="", list_status=state) for state in _LIST_STATES]
        return pl.concat([each for each in lists if not each.is_empty()], how="vertical_relaxed")

    @serves(NAME_HISTORY, by=(Grain.SNAPSHOT,), api="namechange", page=10_000)
    def name_history(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        del unit
        return self._query(NAME_HISTORY, tally)

    @serves(SUSPENSIONS, by=_DAILY, api="suspend_d", page=5000)
    def suspensions(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(SUSPENSIONS, tally, **_asked(unit))

    @serves(DAILY_KLINE, by=_DAILY, api="daily", page=6000)
    def daily_kline(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(DAILY_KLINE, tally, **_asked(unit))

    @serves(ADJ_FACTOR, by=_DAILY, api="adj_factor", page=6000)
    def adj_factor(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(ADJ_FACTOR, tally, **_asked(unit))

    @serves(DAILY_BASIC, by=_DAILY, api="daily_basic", page=6000)
    def daily_basic(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(DAILY_BASIC, tally, **_asked(unit))

    @serves(PRICE_LIMITS, by=_DAILY, api="stk_limit", page=5800)
    def price_limits(self, unit: Unit, tally: Tally) -> pl.DataFrame:
        return self._query(PRICE_LIMITS, tally, **_asked(unit))

    def _query(self, dataset: Dataset, tally: Tally, **params: str) -> pl.DataFrame:
        """All pages: the server cuts at its cap without a word, so a full page always asks for one more."""
        serving = self.servings[dataset.name]
        fields = ",".join(dataset.column_names)
        pages: list[pl.DataFrame] = []
        while not pages or pages[-1].height >= serving.page:
            asked = {**params, "offset": len(pages) * serving.page, "limit": serving.page}
            pages.append(self.call(serving.api, lambda asked=asked: self._ask(serving.api, fields, asked), tally))  # type: ignore[misc]
        filled = [page for page in pages if not page.is_empty()]
        return pl.concat(filled, how="vertical_relaxed") if filled else pages[0]

    def _ask(self, api: str, fields: str, params: dict[str, Any]) -> pl.DataFrame:
        frame = self._connect().query(api, fields=fields, **params)
        if len(frame.columns) == 0:
            # The client turns every HTTP status from 400 up into a frame without columns.
            raise SourceError(FailureClass.RETRYABLE, self.name, api, "the server answered with an HTTP error, not with data")
        return to_polars(frame)

    def _connect(self) -> Any:
        if self._client is None:
            import tushare

            reason = self.unavailable()
            if reason:
                raise SourceError(FailureClass.PERMANENT_SOURCE, self.name, "*", reason)
            client = tushare.pro_api(self._token, timeout=self._timeout)
            if self._url:
                client._DataApi__http_url = self._url
            self._client = client
        return self._client

    def classify(self, api: str, error: Exception) -> SourceError:
        text = " ".join(str(error).split())
        if self._token:
            text = text.replace(self._token, "***")
        return _classified(api, error, text, policy_for(self._policies, self.name, api).minute)


def _classified(api: str, error: Exception, text: str, minute: float) -> SourceError:
    """By text and type: the client drops the server's numeric code. 最多访问 stands before 权限, which rate texts contain."""
    import requests

    def failed(failure: FailureClass, words: str, wait: float = 0.0, per_minute: int | None = None) -> SourceError:
        return SourceError(failure, TushareSource.name, api, words, wait=wait, per_minute=per_minute)

    if isinstance(error, requests.exceptions.JSONDecodeError | json.JSONDecodeError):
        return failed(FailureClass.RETRYABLE, "the answer is not JSON (a gateway's or a block page)")
    if isinstance(error, requests.exceptions.Timeout):
        return failed(FailureClass.RETRYABLE, "no answer in time")
    if isinstance(error, requests.exceptions.RequestException):
        return failed(FailureClass.RETRYABLE, f"the connection failed ({type(error).__name__})")
    if isinstance(error, KeyError | TypeError | AttributeError | ValueError):
        return failed(FailureClass.RETRYABLE, f"the answer has not the protocol's form ({type(error).__name__})")
    if "最多访问" in text:
        named = re.search(r"每分钟最多访问该接口(\d+)次", text)
        return failed(FailureClass.RATE_LIMITED, text, _wait_of(text, minute), int(named[1]) if named else None)
    if "权限" in text or "积分" in text:
        return failed(FailureClass.PERMANENT_API, text)
    if "token" in text.lower() or "IP数量超限" in text or "api init error" in text:
        return failed(FailureClass.PERMANENT_SOURCE, text)
    if "参数" in text or "接口名" in text:
        return failed(FailureClass.PERMANENT_API, text)
    return failed(FailureClass.RETRYABLE, text)


def _wait_of(text: str, minute: float) -> float:
    """Seconds to the next minute (at most `minute`), hour or day, whichever quota the text names."""
    now = clock.now()
    if "每天" in text:
        following = (now + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    elif "每小时" in text:
        following = (now + dt.timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    else:
        return min(minute, 60.0 - now.second)
    return (following - now).total_seconds()


def _asked(unit: Unit) -> dict[str, str]:
    if unit.grain is Grain.CODE:
        return {"ts_code": unit.ts_code or "", "start_date": _compact(unit.start), "end_date": _compact(unit.end)}
    return {"trade_date": _compact(unit.start)}


def _compact(day: dt.date) -> str:
    return day.strftime("%Y%m%d")
