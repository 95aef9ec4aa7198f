"""同花顺 (THS): its boards, their members, its hot lists."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.market import rules
from quant_pipeline.market.columns import Column, date, integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

_BOARD: tuple[Column, ...] = (
    text("ts_code", "板块代码", "THS board code: 885001.TI.", required=True),
    text("name", "板块名称", "Name of the board.", required=True),
    integer("count", "成分个数", "Number of members."),
    text("exchange", "交易所", "A: boards of A-shares."),
    date("list_date", "上市日期", "First day of the board's index."),
    text("type", "板块类型", "N concept, I industry, R region, S special, ST style, TH theme, BB broad index.", required=True),
)

THS_CONCEPTS = Dataset(
    "ths_concepts",
    zh="同花顺概念板块",
    doc="Concept boards of THS, and its other boards that are no industries (type R region, S special, ST style, …).",
    group="ths",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=_BOARD,
    rules=(rules.code_is_ths,),
)

THS_INDUSTRIES = Dataset(
    "ths_industries",
    zh="同花顺行业板块",
    doc="Industry boards of THS (type I).",
    group="ths",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=_BOARD,
    rules=(rules.code_is_ths,),
)

THS_MEMBERS = Dataset(
    "ths_members",
    zh="同花顺板块成分",
    doc="Which stocks belong to which board, as of the last sync of the board: asked for board by board.",
    group="ths",
    partition=Partition.SNAPSHOT,
    key=("ts_code", "con_code"),
    columns=(
        text("ts_code", "板块代码", "THS board code: 885001.TI.", required=True),
        text("con_code", "股票代码", "Code of the member: 600000.SH.", required=True),
        text("con_name", "股票名称", "Short name of the member."),
        number("weight", "权重", "Weight of the member; Tushare has none so far (暂无)."),
        date("in_date", "纳入日期", "Day on which it came in; Tushare has none so far (暂无)."),
        date("out_date", "剔除日期", "Day on which it left; Tushare has none so far (暂无)."),
        text("is_new", "是否最新", "Y: a member now, N: no longer."),
    ),
    rules=(rules.code_is_ths, rules.member_is_tushare),
    after=("ths_concepts", "ths_industries", "stock_list"),
    universe=("ths_concepts", "ths_industries"),
)

THS_HOT = Dataset(
    "ths_hot",
    zh="热榜",
    doc="Hot lists of stocks, as often as they were asked for in the session: `data_type` says whose list it is.",
    group="ths",
    partition=Partition.SESSION,
    key=("trade_date", "data_type", "rank_time", "ts_code"),
    columns=(
        TRADE_DATE,
        text("data_type", "数据类型", "热股 (THS's list), or the name of another source's list.", required=True),
        text("rank_time", "排行榜获取时间", "When the list was made: 2026-11-20 10:30:00.", required=True),
        CODE,
        text("ts_name", "股票名称", "Short name."),
        integer("rank", "排行", "1 is the hottest.", required=True),
        number("pct_change", "涨跌幅", "Change at that moment.", "%"),
        number("current_price", "当前价", "Price at that moment.", "元"),
        number("hot", "热度值", "THS's figure of heat."),
        text("concept", "标签", "Concepts of the stock, as THS tags it."),
        text("rank_reason", "上榜解读", "Why it is hot, in THS's words."),
    ),
    rules=(rules.code_is_tushare, rules.rank_positive),
    coverage=Coverage.SOME,
    after=("trade_calendar", "stock_list"),
    first=dt.date(2020, 1, 1),  # hot lists are made of what an app's users look at: no source says that it has older ones
    ready=dt.time(9, 30),
)
