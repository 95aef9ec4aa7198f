"""AKShare's bars, factors and calendar, as its own functions give them: this module lives in the client's process only.

The functions of client_lists.py are found here as well: the process calls one module's functions by name.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

os.environ["TQDM_DISABLE"] = "1"

import akshare

from quant_pipeline.sources.akshare.client_lists import (
    convertible_bonds,
    etf_daily,
    etf_list,
    hot_rank,
    stock_list,
    ths_industries,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["convertible_bonds", "etf_daily", "etf_list", "hot_rank", "stock_list", "ths_industries"]

_SILENCE = 30.0
socket.setdefaulttimeout(_SILENCE)  # most of the client's requests have no time-out of their own


def eastmoney_bars(digits: str, period: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted bars (daily, weekly, monthly); no columns at all where eastmoney has none."""
    frame: pd.DataFrame = akshare.stock_zh_a_hist(
        symbol=digits, period=period, start_date=start, end_date=end, adjust="", timeout=_SILENCE
    )
    return frame


def tencent_bars(symbol: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted daily bars of a prefixed symbol (sz000001), `start` and `end` with hyphens."""
    frame: pd.DataFrame = akshare.stock_zh_a_hist_tx(symbol=symbol, start_date=start, end_date=end, adjust="", timeout=_SILENCE)
    return frame


def sina_bars(symbol: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted daily bars of a prefixed symbol."""
    frame: pd.DataFrame = akshare.stock_zh_a_daily(symbol=symbol, start_date=start, end_date=end, adjust="")
    return frame.rename_axis("date").reset_index() if "date" not in frame.columns else frame


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
