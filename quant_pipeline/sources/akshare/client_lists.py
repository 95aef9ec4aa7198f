"""AKShare's lists, as its own functions give them: this module lives in the client's process, and only there.

The client keeps some lists for as long as its process lives (`lru_cache`): they are forgotten before each call. It sets no
time-out on most requests either: the caller kills a process that hangs.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import akshare
import pandas as pd
import py_mini_racer
import requests
from akshare.datasets import get_ths_js
from akshare.stock import stock_info
from akshare.stock_feature import stock_board_concept_ths, stock_board_industry_ths
from bs4 import BeautifulSoup

from quant_pipeline.language import told

_CONCEPT_PAGE = "https://q.10jqka.com.cn/gn/detail/code/{}/"
_BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/89.0.4389.90 Safari/537.36"


def stock_list() -> pd.DataFrame:
    """Every listed A-share of the three exchanges: code, name."""
    _forget(stock_info)
    frame: pd.DataFrame = akshare.stock_info_a_code_name()
    return frame


def ths_concepts() -> pd.DataFrame:
    """THS's concept boards: name, code (the number of the concept's page, 30xxxx)."""
    _forget(stock_board_concept_ths)
    frame: pd.DataFrame = akshare.stock_board_concept_name_ths()
    return frame


def ths_concept_code(number: str) -> pd.DataFrame:
    """The code (885xxx) of the concept that the page is about, one row: code; empty where a page of boards names none.

    The client reads it for a concept's index bars, in the same way, and keeps it to itself.
    """
    script = py_mini_racer.MiniRacer()
    script.eval(get_ths_js("ths.js").read_text(encoding="utf-8"))
    headers = {"User-Agent": _BROWSER, "Cookie": f"v={script.call('v')}"}
    page = BeautifulSoup(requests.get(_CONCEPT_PAGE.format(number), headers=headers).text, features="lxml")
    if page.find(name="div", attrs={"class": "cate_inner"}) is None:
        raise KeyError(told("the page of {number} is none of boards", number=number))
    hidden: Any = page.find(name="input", attrs={"id": "clid"})
    code = str(hidden.get("value")) if hidden else ""
    return pd.DataFrame({"code": [code if code.startswith("88") and code.isdecimal() else ""]})


def ths_industries() -> pd.DataFrame:
    """THS's industry boards: name, code (881xxx)."""
    _forget(stock_board_industry_ths)
    frame: pd.DataFrame = akshare.stock_board_industry_name_ths()
    return frame


def etf_list() -> pd.DataFrame:
    """Every listed ETF with its quotation, of which only 代码 and 名称 are passed on."""
    frame: pd.DataFrame = akshare.fund_etf_spot_em()[["代码", "名称"]]
    return frame


def etf_daily(digits: str, start: str, end: str) -> pd.DataFrame:
    """Unadjusted daily bars of an ETF (159915), oldest first; no columns at all where eastmoney has none."""
    frame: pd.DataFrame = akshare.fund_etf_hist_em(symbol=digits, period="daily", start_date=start, end_date=end, adjust="")
    return frame


def convertible_bonds() -> pd.DataFrame:
    """Every convertible bond that was ever announced."""
    frame: pd.DataFrame = akshare.bond_zh_cov()
    return frame


def hot_rank() -> pd.DataFrame:
    """Eastmoney's 100 most popular stocks of this moment: 当前排名, 代码 (SZ000001).

    The client puts names and prices beside them by position, so that they slip when one quotation is missing: dropped.
    """
    frame: pd.DataFrame = akshare.stock_hot_rank_em()[["当前排名", "代码"]]
    return frame


def _forget(module: ModuleType) -> None:
    """Empties every cache of the module's functions."""
    members: list[Any] = list(vars(module).values())
    for member in members:
        if hasattr(member, "cache_clear"):
            member.cache_clear()
