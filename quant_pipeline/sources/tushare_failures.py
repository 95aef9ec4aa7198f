"""What Tushare's failures mean. The client drops the server's numeric code: they are recognised by text and type."""

from __future__ import annotations

import datetime as dt
import json
import re

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sources import bounded_http
from quant_pipeline.sources.failures import FailureClass, SourceError

SOURCE = "tushare"


def classified(api: str, error: Exception, text: str, minute: float) -> SourceError:
    """The error of an API by its type and `text` (without secrets); `minute` is the length of the quota's minute in seconds."""
    import requests

    def failed(failure: FailureClass, words: str, wait: float = 0.0, per_minute: int | None = None) -> SourceError:
        return SourceError(failure, SOURCE, api, words, wait=wait, per_minute=per_minute)

    if isinstance(error, requests.exceptions.JSONDecodeError | json.JSONDecodeError):
        return failed(FailureClass.RETRYABLE, "the answer is not JSON (a gateway's or a block page)")
    if isinstance(error, requests.exceptions.Timeout):
        return failed(FailureClass.RETRYABLE, "no answer in time")
    if isinstance(error, bounded_http.TooLarge | bounded_http.Redirected):
        return failed(FailureClass.RETRYABLE, text)
    if isinstance(error, requests.exceptions.RequestException):
        return failed(FailureClass.RETRYABLE, f"the connection failed ({type(error).__name__})")
    if isinstance(error, KeyError | TypeError | AttributeError | ValueError | pl.exceptions.PolarsError):
        return failed(FailureClass.RETRYABLE, f"the answer has not the protocol's form: {text}")
    if "最多访问" in text:  # before 权限, which these texts contain
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
