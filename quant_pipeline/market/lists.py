"""The reference lists: the calendar, and every stock, fund, bond and index that is or was listed."""

from __future__ import annotations

from quant_pipeline.market import rules
from quant_pipeline.market.columns import date, integer, number, text
from quant_pipeline.market.dataset import CODE, Coverage, Dataset, Partition
from quant_pipeline.market.merging import completed

TRADE_CALENDAR = Dataset(
    "trade_calendar",
    zh="交易日历",
    doc="The exchange's own calendar, as published by the source: it overrules the built-in XSHG calendar.",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("exchange", "cal_date"),
    columns=(
        text("exchange", "交易所", "SSE (SZSE and BSE keep the same sessions).", required=True),
        date("cal_date", "日期", "Calendar day.", required=True),
        integer("is_open", "是否交易", "1 on a session, 0 on a closed day.", required=True),
        date("pretrade_date", "上一交易日", "The session before."),
    ),
    rules=(rules.is_open_flag,),
    coverage=Coverage.DAYS,
)

STOCK_LIST = Dataset(
    "stock_list",
    zh="股票列表",
    doc="Every A-share ever listed: listed (L), delisted (D) and paused (P).",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=(
        CODE,
        text("symbol", "股票代码", "The six digits."),
        text("name", "股票名称", "Short name today."),
        text("area", "地域", "Province or city."),
        text("industry", "所属行业", "Tushare's industry."),
        text("fullname", "股票全称", "The company's whole name."),
        text("enname", "英文全称", "The company's whole name in English."),
        text("cnspell", "拼音缩写", "Initials of the name in pinyin."),
        text("market", "市场类型", "主板 / 创业板 / 科创板 / 北交所."),
        text("exchange", "交易所", "SSE, SZSE or BSE."),
        text("curr_type", "交易货币", "CNY, of B shares USD or HKD."),
        text("list_status", "上市状态", "L listed, D delisted, P paused.", required=True),
        date("list_date", "上市日期", "First session."),
        date("delist_date", "退市日期", "Day of delisting."),
        text("is_hs", "是否沪深港通标的", "H 沪股通, S 深股通, N neither."),
        text("act_name", "实控人名称", "Who controls the company."),
        text("act_ent_type", "实控人企业性质", "Private, central state, local state …"),
    ),
    rules=(rules.code_is_tushare,),
)

NAME_HISTORY = Dataset(
    "name_history",
    zh="股票曾用名",
    doc="Names by period: where ST and *ST come from.",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("ts_code", "start_date", "name"),
    columns=(
        CODE,
        text("name", "证券名称", "Name in the period.", required=True),
        date("start_date", "开始日期", "First day of the name.", required=True),
        date("end_date", "结束日期", "Last day of the name; null while it holds."),
        date("ann_date", "公告日期", "Day of the announcement."),
        text("change_reason", "变更原因", "改名, ST, *ST, 撤销ST …"),
    ),
    rules=(rules.code_is_tushare,),
    merge=completed(("ts_code", "start_date", "name"), earliest=("ann_date",)),
)

BSE_MAPPING = Dataset(
    "bse_mapping",
    zh="北交所新旧代码对照",
    doc="Old and new codes of the Beijing exchange: since 2025-10 all are 920xxx. An old code is read as the new one.",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("o_code",),
    columns=(
        text("name", "股票名称", "Short name."),
        text("o_code", "原代码", "The code before 2025-10: 430047.BJ.", required=True),
        text("n_code", "新代码", "The code since: 920047.BJ.", required=True),
        date("list_date", "上市日期", "First session."),
    ),
    coverage=Coverage.ANY,
)

ETF_LIST = Dataset(
    "etf_list",
    zh="ETF 列表",
    doc="Every exchange-traded fund ever listed: in issue (I), listed (L), delisted (D).",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=(
        CODE,
        text("name", "简称", "Short name."),
        text("management", "管理人", "Fund company."),
        text("custodian", "托管人", "Bank that holds the fund's assets."),
        text("fund_type", "投资类型", "股票型, 债券型, 货币市场型 …"),
        text("invest_type", "投资风格", "被动指数型 …"),
        text("benchmark", "业绩比较基准", "What it follows."),
        text("status", "存续状态", "I in issue, L listed, D delisted.", required=True),
        number("m_fee", "管理费", "Management fee.", "%"),
        number("c_fee", "托管费", "Custody fee.", "%"),
        date("found_date", "成立日期", "Day of foundation."),
        date("due_date", "到期日期", "Day on which the fund ends, where it does."),
        date("list_date", "上市日期", "First session."),
        date("issue_date", "发行日期", "Day on which it was offered."),
        date("delist_date", "退市日期", "Day of delisting."),
        number("issue_amount", "发行份额", "Units issued.", "亿份"),
        number("duration_year", "存续期", "Life, where it ends.", "年"),
        number("p_value", "面值", "Par value of a unit.", "元"),
        number("min_amount", "起点金额", "Least amount of a subscription.", "万元"),
        text("type", "基金类型", "契约型开放式 …"),
        text("market", "基金市场", "E exchange-traded."),
    ),
    rules=(rules.code_is_tushare,),
)

CONVERTIBLE_BONDS = Dataset(
    "convertible_bonds",
    zh="可转债列表",
    doc="Every convertible bond: its share, terms and conversion price.",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=(
        CODE,
        text("bond_full_name", "转债名称", "Whole name."),
        text("bond_short_name", "转债简称", "Short name."),
        text("cb_code", "转股申报代码", "Code under which a conversion is ordered."),
        text("stk_code", "正股代码", "Code of the share it converts into."),
        text("stk_short_name", "正股简称", "Short name of the share."),
        number("maturity", "发行期限", "Life.", "年"),
        number("par", "面值", "Par value.", "元"),
        number("issue_price", "发行价格", "Issue price.", "元"),
        number("issue_size", "发行总额", "Size at the issue.", "元"),
        number("remain_size", "债券余额", "Size today.", "元"),
        text("rate_type", "利率类型", "How the coupon goes on: 累进利率 …"),
        number("coupon_rate", "票面利率", "Coupon of the first year.", "%"),
        date("value_date", "起息日", "First day of interest."),
        date("maturity_date", "到期日", "Day of redemption."),
        date("list_date", "上市日期", "First session."),
        date("delist_date", "摘牌日", "Day of delisting."),
        text("exchange", "上市地点", "SH or SZ."),
        date("conv_start_date", "转股起始日", "First day of conversion."),
        date("conv_end_date", "转股截止日", "Last day of conversion."),
        number("first_conv_price", "初始转股价", "Conversion price at the issue.", "元"),
        number("conv_price", "最新转股价", "Conversion price today.", "元"),
    ),
    rules=(rules.code_is_tushare, rules.bond_terms_positive),
    after=("stock_list",),
)

INDEX_LIST = Dataset(
    "index_list",
    zh="指数列表",
    doc="The indexes of the exchanges (SSE, SZSE) and of 中证 (CSI).",
    group="reference",
    partition=Partition.SNAPSHOT,
    key=("ts_code",),
    columns=(
        text("ts_code", "代码", "Index code: 000300.SH, 399006.SZ, H30269.CSI.", required=True),
        text("name", "简称", "Short name."),
        text("fullname", "指数全称", "Full name."),
        text("market", "市场", "SSE, SZSE or CSI."),
        text("publisher", "发布方", "Who publishes it."),
        text("index_type", "指数风格", "Style of the index."),
        text("category", "指数类别", "规模指数, 行业指数 …"),
        date("base_date", "基期", "Base day."),
        number("base_point", "基点", "Points on the base day.", "点"),
        date("list_date", "发布日期", "First day of publication."),
        text("weight_rule", "加权方式", "How its members are weighted."),
        text("desc", "描述", "What the index is."),
        date("exp_date", "终止日期", "Last day."),
    ),
    rules=(rules.code_is_index,),
)
