"""The data sets of the platform: what each one is, once. Names and units are Tushare's."""

from __future__ import annotations

from quant_pipeline.market import rules
from quant_pipeline.market.columns import date, integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

PRE_CLOSE = number("pre_close", "昨收价", "Previous close, adjusted on ex-dates (除权价).", "元")

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
        text("market", "市场类型", "主板 / 创业板 / 科创板 / 北交所."),
        text("exchange", "交易所", "SSE, SZSE or BSE."),
        text("list_status", "上市状态", "L listed, D delisted, P paused.", required=True),
        date("list_date", "上市日期", "First session."),
        date("delist_date", "退市日期", "Day of delisting."),
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
)

SUSPENSIONS = Dataset(
    "suspensions",
    zh="每日停复牌",
    doc="Who was suspended (S) or resumed (R) in a session; without suspend_timing the halt lasted the whole session.",
    group="reference",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date", "suspend_type"),
    columns=(
        CODE,
        TRADE_DATE,
        text("suspend_timing", "日内停牌时间段", "Time span of an intraday halt, null for the whole session."),
        text("suspend_type", "停复牌类型", "S suspended, R resumed.", required=True),
    ),
    rules=(rules.code_is_tushare,),
    coverage=Coverage.ANY,
    after=("trade_calendar",),
)

DAILY_KLINE = Dataset(
    "daily_kline",
    zh="日线行情",
    doc="Unadjusted daily bars. A suspended code has no bar. Adjust when reading (qfq, hfq) with adj_factor.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        CODE,
        TRADE_DATE,
        number("open", "开盘价", "First price.", "元", required=True),
        number("high", "最高价", "Highest price.", "元", required=True),
        number("low", "最低价", "Lowest price.", "元", required=True),
        number("close", "收盘价", "Last price.", "元", required=True),
        PRE_CLOSE,
        number("change", "涨跌额", "close - pre_close.", "元"),
        number("pct_chg", "涨跌幅", "close over pre_close.", "%"),
        number("vol", "成交量", "Volume.", "手", required=True),
        number("amount", "成交额", "Turnover.", "千元"),
    ),
    rules=(
        rules.code_is_tushare,
        rules.prices_positive,
        rules.ohlc_in_order,
        rules.volume_not_negative,
        rules.unit_of_volume,
        rules.change_fits,
        rules.pct_chg_fits,
    ),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
)

ADJ_FACTOR = Dataset(
    "adj_factor",
    zh="复权因子",
    doc="Cumulative adjustment factor. Ratios matter: hfq = price x factor, qfq = hfq / latest factor.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(CODE, TRADE_DATE, number("adj_factor", "复权因子", "Cumulative factor.", required=True)),
    rules=(rules.code_is_tushare, rules.factor_positive),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
)

DAILY_BASIC = Dataset(
    "daily_basic",
    zh="每日指标",
    doc="Turnover, valuation and share capital of each code that traded.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        CODE,
        TRADE_DATE,
        number("close", "收盘价", "Last price.", "元"),
        number("turnover_rate", "换手率", "Of the float.", "%"),
        number("turnover_rate_f", "换手率(自由流通股)", "Of the free float.", "%"),
        number("volume_ratio", "量比", "Against the mean of 5 sessions."),
        number("pe", "市盈率", "Price / earnings of the last year; null at a loss.", "倍"),
        number("pe_ttm", "市盈率TTM", "Price / earnings of 12 months.", "倍"),
        number("pb", "市净率", "Price / book.", "倍"),
        number("ps", "市销率", "Price / sales.", "倍"),
        number("ps_ttm", "市销率TTM", "Price / sales of 12 months.", "倍"),
        number("dv_ratio", "股息率", "Dividend yield.", "%"),
        number("dv_ttm", "股息率TTM", "Dividend yield of 12 months.", "%"),
        number("total_share", "总股本", "All shares.", "万股"),
        number("float_share", "流通股本", "Tradable shares.", "万股"),
        number("free_share", "自由流通股本", "Free float.", "万股"),
        number("total_mv", "总市值", "Market value.", "万元"),
        number("circ_mv", "流通市值", "Market value of the float.", "万元"),
    ),
    rules=(rules.code_is_tushare,),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
)

PRICE_LIMITS = Dataset(
    "price_limits",
    zh="每日涨跌停价格",
    doc="The session's limit prices as the exchange set them: they overrule any rule of thumb. Funds and B shares too.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        CODE,
        TRADE_DATE,
        number("up_limit", "涨停价", "Upper limit.", "元", required=True),
        number("down_limit", "跌停价", "Lower limit.", "元", required=True),
    ),
    rules=(rules.code_is_tushare, rules.limits_in_order),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
)

SCREEN_RESULTS = Dataset(
    "screen_results",
    zh="选股结果",
    doc="The hits of every screen, per session, with the figures that made them hits.",
    group="screens",
    partition=Partition.SESSION,
    key=("screen", "trade_date", "ts_code"),
    columns=(
        text("screen", "选股策略", "Name of the screen.", required=True),
        TRADE_DATE,
        CODE,
        text("name", "股票名称", "Short name."),
        number("close", "收盘价", "Last price, unadjusted.", "元"),
        number("pct_chg", "涨跌幅", "close over pre_close.", "%"),
        number("score", "得分", "The screen's own order: higher first."),
        text("figures", "指标", "The indicator values behind the hit, as JSON."),
        text("parameters", "参数", "The screen's parameters, as JSON."),
    ),
    coverage=Coverage.ANY,
    after=("daily_kline", "adj_factor", "stock_list"),
    sourced=False,
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        TRADE_CALENDAR,
        STOCK_LIST,
        NAME_HISTORY,
        SUSPENSIONS,
        DAILY_KLINE,
        ADJ_FACTOR,
        DAILY_BASIC,
        PRICE_LIMITS,
        SCREEN_RESULTS,
    )
}
"""Every data set by name, in the order in which one sync takes them."""

SOURCED: dict[str, Dataset] = {name: dataset for name, dataset in DATASETS.items() if dataset.sourced}
"""Those that are fetched from a source."""
