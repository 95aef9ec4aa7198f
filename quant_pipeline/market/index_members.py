"""Who belongs to an index, month by month: the universes of the past, without survivors only."""

from __future__ import annotations

import datetime as dt
from typing import Final

from quant_pipeline.market import rules
from quant_pipeline.market.columns import date, number, text
from quant_pipeline.market.dataset import TRADE_DATE, Coverage, Dataset, Partition

INDEX_UNIVERSES: Final = {"sz50": "000016.SH", "hs300": "000300.SH", "zz500": "000905.SH", "zz1000": "000852.SH"}
"""The indexes whose members are kept, by the names that people type: 上证50 沪深300 中证500 中证1000."""

INDEX_WEIGHTS = Dataset(
    "index_weights",
    zh="指数成分权重",
    doc="Members of 上证50, 沪深300, 中证500 and 中证1000 by month, labelled with the month's last session (of the running "
    "month: the latest one); as_of says of which day they are. Members on a day: those of the last label up to it.",
    group="market",
    partition=Partition.MONTH,
    key=("trade_date", "index_code", "con_code"),
    columns=(
        text("index_code", "指数代码", "Index: 000300.SH, whatever the source calls it (399300.SZ).", required=True),
        text("con_code", "成分代码", "Code of the member: 600000.SH.", required=True),
        TRADE_DATE,
        number("weight", "权重", "Share in the index; BaoStock does not say it.", "%"),
        date("as_of", "成分日期", "The day of which these members are, at the latest trade_date.", required=True),
    ),
    rules=(
        rules.index_code_is_index,
        rules.member_is_tushare,
        rules.weight_is_percent,
        rules.members_known_then,
    ),
    coverage=Coverage.SOME,
    after=("trade_calendar",),
    first=dt.date(2004, 1, 2),  # 上证50, the first of the four
    whole=True,
)
