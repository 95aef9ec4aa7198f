"""The data sets by session, week and month: bars, factors, what moves them and what limits them."""

from __future__ import annotations

import datetime as dt

from quant_pipeline.market import rules
from quant_pipeline.market.codes import Board
from quant_pipeline.market.columns import Column, Rule, integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition
from quant_pipeline.market.merging import united_halts

PRE_CLOSE = number("pre_close", "昨收价", "Previous close, adjusted on ex-dates (除权价).", "元")
PRICES = (
    number("open", "开盘价", "First price.", "元", required=True),
    number("high", "最高价", "Highest price.", "元", required=True),
    number("low", "最低价", "Lowest price.", "元", required=True),
    number("close", "收盘价", "Last price.", "元", required=True),
)
CHANGES = (
    number("change", "涨跌额", "close - pre_close.", "元"),
    number("pct_chg", "涨跌幅", "close over pre_close.", "%"),
)
TRADED = (
    number("vol", "成交量", "Volume.", "手", required=True),
    number("amount", "成交额", "Turnover.", "千元"),
)
KLINE: tuple[Column, ...] = (CODE, TRADE_DATE, *PRICES, PRE_CLOSE, *CHANGES, *TRADED)
"""A K-line's columns, in Tushare's names and units."""
KLINE_RULES: tuple[Rule, ...] = (
    rules.code_is_tushare,
    rules.prices_positive,
    rules.ohlc_in_order,
    rules.volume_not_negative,
    rules.unit_of_volume,
    rules.change_fits,
    rules.pct_chg_fits,
)
CORE_INDEXES = (
    *("000001.SH", "399001.SZ", "399006.SZ", "000688.SH", "899050.BJ"),
    *("000016.SH", "000300.SH", "000905.SH", "000852.SH", "399330.SZ", "399005.SZ"),
)
"""上证指数 深证成指 创业板指 科创50 北证50 · 上证50 沪深300 中证500 中证1000 深证100 中小100."""

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
    merge=united_halts(("ts_code", "trade_date", "suspend_type"), "suspend_timing"),
    coverage=Coverage.ANY,
    after=("trade_calendar",),
    universe=("stock_list",),
    ready=dt.time(8, 40),
)

SPECIAL_TREATMENT = Dataset(
    "special_treatment",
    zh="每日 ST 标记",
    doc="Whether a share was under special treatment (ST, *ST) in a session, as BaoStock marks it: for limits that are counted "
    "where no names say it (name_history). Fetched for the sessions whose limits lean on it only.",
    group="reference",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(CODE, TRADE_DATE, integer("is_st", "是否 ST", "1 under special treatment, 0 not.", required=True)),
    rules=(rules.code_is_tushare, rules.is_st_flag),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list", "suspensions"),
    universe=("stock_list",),
    boards=(Board.SSE_MAIN, Board.SZSE_MAIN, Board.CHINEXT, Board.STAR),
    on_demand=True,
)

DAILY_KLINE = Dataset(
    "daily_kline",
    zh="日线行情",
    doc="Unadjusted daily bars. A suspended code has no bar. Adjust when reading (qfq, hfq) with adj_factor.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=KLINE,
    rules=KLINE_RULES,
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
    universe=("stock_list",),
)

WEEKLY_KLINE = Dataset(
    "weekly_kline",
    zh="周线行情",
    doc="Unadjusted weekly bars, labelled with the last session of the week (of the running week: the latest one). "
    "pre_close is the close of the period before, adjusted for the ex-dates since.",
    group="market",
    partition=Partition.WEEK,
    key=("ts_code", "trade_date"),
    columns=KLINE,
    rules=KLINE_RULES,
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list", "daily_kline"),
    universe=("stock_list",),
)

MONTHLY_KLINE = Dataset(
    "monthly_kline",
    zh="月线行情",
    doc="Unadjusted monthly bars, labelled with the last session of the month (of the running month: the latest one). "
    "pre_close is the close of the period before, adjusted for the ex-dates since.",
    group="market",
    partition=Partition.MONTH,
    key=("ts_code", "trade_date"),
    columns=KLINE,
    rules=KLINE_RULES,
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list", "daily_kline"),
    universe=("stock_list",),
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
    universe=("stock_list",),
    ready=dt.time(9, 20),
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
    universe=("stock_list",),
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
        PRE_CLOSE,
        number("up_limit", "涨停价", "Upper limit.", "元", required=True),
        number("down_limit", "跌停价", "Lower limit.", "元", required=True),
    ),
    rules=(rules.code_is_tushare, rules.limits_in_order),
    coverage=Coverage.MARKET,
    after=("trade_calendar", "stock_list"),
    universe=("stock_list",),
    ready=dt.time(8, 40),
)

AUCTION = Dataset(
    "auction",
    zh="开盘集合竞价",
    doc="The opening auction of each code that took part. Volume in 股, turnover in 元, as in Tushare's stk_auction_o.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        CODE,
        TRADE_DATE,
        *PRICES,
        number("vol", "成交量", "Volume.", "股", required=True),
        number("amount", "成交额", "Turnover.", "元"),
        number("vwap", "均价", "amount / vol.", "元"),
    ),
    rules=(rules.code_is_tushare, rules.ohlc_in_order, rules.volume_not_negative, rules.unit_of_auction),
    coverage=Coverage.MOST,
    after=("trade_calendar", "stock_list"),
    universe=("stock_list",),
    ready=dt.time(9, 26),
)

ETF_DAILY = Dataset(
    "etf_daily",
    zh="ETF 日线",
    doc="Unadjusted daily bars of exchange-traded funds; prices in 0.001 元.",
    group="funds_and_bonds",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=KLINE,
    rules=KLINE_RULES,
    coverage=Coverage.MOST,
    after=("trade_calendar", "etf_list"),
    universe=("etf_list",),
)

ETF_ADJ = Dataset(
    "etf_adj",
    zh="ETF 复权因子",
    doc="Cumulative adjustment factor of exchange-traded funds, as adj_factor.",
    group="funds_and_bonds",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(CODE, TRADE_DATE, number("adj_factor", "复权因子", "Cumulative factor.", required=True)),
    rules=(rules.code_is_tushare, rules.factor_positive),
    coverage=Coverage.MOST,
    after=("trade_calendar", "etf_list"),
    universe=("etf_list",),
)

INDEX_DAILY = Dataset(
    "index_daily",
    zh="指数日线",
    doc="Daily bars of the core indexes (上证指数, 沪深300, 创业板指 …); others by naming their codes. Prices are points.",
    group="market",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        text("ts_code", "代码", "Index code: 000300.SH.", required=True),
        TRADE_DATE,
        *PRICES,
        PRE_CLOSE,
        *CHANGES,
        *TRADED,
    ),
    rules=(rules.code_is_index, rules.prices_positive, rules.ohlc_in_order, rules.volume_not_negative, rules.pct_chg_fits),
    coverage=Coverage.EVERY,
    after=("trade_calendar", "index_list"),
    universe=("index_list",),
    codes=CORE_INDEXES,
)

CB_DAILY = Dataset(
    "cb_daily",
    zh="可转债日线",
    doc="Daily bars of convertible bonds per 100 元 of par. One 手 is 10 bonds; turnover in 万元, as in Tushare's cb_daily.",
    group="funds_and_bonds",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date"),
    columns=(
        CODE,
        TRADE_DATE,
        *PRICES,
        PRE_CLOSE,
        *CHANGES,
        number("vol", "成交量", "Volume.", "手", required=True),
        number("amount", "成交额", "Turnover.", "万元"),
        number("bond_value", "纯债价值", "Value of the bond without its right to convert.", "元"),
        number("bond_over_rate", "纯债溢价率", "Price over bond_value.", "%"),
        number("cb_value", "转股价值", "Value of the shares that the bond converts into.", "元"),
        number("cb_over_rate", "转股溢价率", "Price over cb_value.", "%"),
    ),
    rules=(
        rules.code_is_tushare,
        rules.prices_positive,
        rules.ohlc_in_order,
        rules.volume_not_negative,
        rules.unit_of_bond_volume,
        rules.pct_chg_fits,
    ),
    coverage=Coverage.MOST,
    after=("trade_calendar", "convertible_bonds"),
    universe=("convertible_bonds",),
)
