"""AKShare's bars, factors and calendar, as its own functions give them: this module lives in the client's process only.

The functions of client_lists.py are found here as well: the process calls one module's functions by name.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING, Any

os.environ["TQDM_DISABLE"] = "1"

import akshare
import pandas as pd
import requests.sessions
from requests.adapters import HTTPAdapter

from quant_pipeline.language import marked
from quant_pipeline.sources.akshare.client_lists import (
    convertible_bonds,
    etf_daily,
    etf_list,
    hot_rank,
    stock_list,
    ths_concept_code,
    ths_concepts,
    ths_industries,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

__all__ = [
    "convertible_bonds",
    "etf_daily",
    "etf_list",
    "hot_rank",
    "stock_list",
    "ths_concept_code",
    "ths_concepts",
    "ths_industries",
]

_SILENCE = 30.0


class _Impatient(HTTPAdapter):
    """Gives the requests that name no time-out one: most of AKShare's do not, and would wait for ever."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        return super().send(request, stream, timeout or _SILENCE, verify, cert, proxies)


requests.sessions.HTTPAdapter = _Impatient  # every session mounts it


class RemoteCode(ValueError):
    """A web site answered with code where data should be; it was not run."""


def _read_as_data(text: str, *_: Any) -> Any:
    """What stands in the place of `eval` and `exec`: numbers, texts, lists and dictionaries are read, nothing is run."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise RemoteCode(marked("the site's answer is no data; it was not run")) from None


def never_run_remote_text() -> None:
    """Takes `eval` and `exec` from every module of AKShare, which runs web sites' answers with them (sina's factors)."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "akshare":
            vars(module).update(eval=_read_as_data, exec=_read_as_data)


never_run_remote_text()


def eastmoney_bars(digits: str, period: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted bars (daily, weekly, monthly); no columns at all where eastmoney has none."""
    frame: pd.DataFrame = akshare.stock_zh_a_hist(symbol=digits, period=period, start_date=start, end_date=end, adjust="")
    return frame


def tencent_bars(symbol: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted daily bars of a prefixed symbol (sz000001), `start` and `end` with hyphens."""
    frame: pd.DataFrame = akshare.stock_zh_a_hist_tx(symbol=symbol, start_date=start, end_date=end, adjust="")
    return frame


def sina_bars(symbol: str) -> pd.DataFrame:
    """All unadjusted daily bars of a prefixed symbol.

    Not a range of them: the client puts the last bar once more on every day on which the share capital was announced, and only
    drops it where it sees the original.
    """
    frame: pd.DataFrame = akshare.stock_zh_a_daily(symbol=symbol, adjust="")
    return frame


def sina_factors(symbol: str) -> pd.DataFrame:
    """The steps of a symbol's hfq factor: date, hfq_factor (text), newest first."""
    frame: pd.DataFrame = akshare.stock_zh_a_daily(symbol=symbol, adjust="hfq-factor")
    return frame


def sessions() -> pd.DataFrame:
    """Every session that sina knows: trade_date."""
    frame: pd.DataFrame = akshare.tool_trade_date_hist_sina()
    return frame


def spot() -> pd.DataFrame:
    """The whole market's quotations of the latest session."""
    frame: pd.DataFrame = akshare.stock_zh_a_spot_em()
    return frame
