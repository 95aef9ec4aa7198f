"""What Tushare's failures mean. The client drops the server's numeric code: they are recognised by text and type."""

from __future__ import annotations

import json

from quant_pipeline.language import told
from quant_pipeline.sources.failures import FailureClass, SourceError, causes_of, unreached
from quant_pipeline.sources.refusals import Refusal, Window, refused

SOURCE = "tushare"
TEXTS = (
    # before 权限, which the texts about quotas contain
    Refusal(r"每(?P<window>分钟|小时|天|日)最多访问该接口(?P<quota>\d+)次", FailureClass.RATE_LIMITED),
    Refusal(r"频率超限[(（](?P<quota>\d+)次/(?P<window>分钟|小时|天|日)[)）]", FailureClass.RATE_LIMITED),
    Refusal(r"最多访问|频率超限|访问频繁|过于频繁", FailureClass.RATE_LIMITED, Window.MINUTE),
    Refusal(r"IP数量超限", FailureClass.PERMANENT_SOURCE),
    Refusal(r"权限|积分", FailureClass.PERMANENT_API),
    Refusal(r"(?i)token|api init error", FailureClass.PERMANENT_SOURCE),
    Refusal(r"参数|接口名", FailureClass.PERMANENT_API),
    Refusal(r"系统内部错误|系统繁忙|服务器繁忙|服务异常|稍后再试|稍后重试", FailureClass.RETRYABLE),
)
"""What Tushare says where it gives no rows, the more special first."""


def classified(api: str, error: Exception, text: str, minute: float) -> SourceError:
    """The error of an API by its type and `text` (without secrets); `minute` is the length of the quota's minute in seconds."""
    import requests

    from quant_pipeline.sources import bounded_http

    def failed(words: str) -> SourceError:
        return SourceError(FailureClass.RETRYABLE, SOURCE, api, words)

    if isinstance(error, json.JSONDecodeError) and not isinstance(error, requests.RequestException):
        error = requests.exceptions.JSONDecodeError(error.msg, error.doc, error.pos)
    if isinstance(error, requests.RequestException):
        words = bounded_http.fault_in_words(error)
        return SourceError(FailureClass.UNREACHABLE, SOURCE, api, words) if unreached(causes_of(error)) else failed(words)
    if type(error) is not Exception:  # which is what the client raises for a refusal, and nothing else
        return failed(told("the answer has not the protocol's form: {error}", error=text))
    return refused(TEXTS, SOURCE, api, text, minute=minute)
