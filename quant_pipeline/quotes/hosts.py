"""Where quotes are asked for, and what has to be shown there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hosts:
    """`tencent` and `sina` give quotes by code, `ranks` Tencent's list of the whole market; `tushare` its rt_k (None: not
    asked, for the account need have it)."""

    tencent: str = "https://qt.gtimg.cn"
    ranks: str = "https://proxy.finance.qq.com"
    sina: str = "https://hq.sinajs.cn"
    tushare: str | None = None
    token: str = field(default="", repr=False)
