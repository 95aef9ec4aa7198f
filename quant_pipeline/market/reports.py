"""The data sets that the platform computes of itself: how good its data are, and what a day was."""

from __future__ import annotations

from quant_pipeline.market.columns import integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

RECONCILIATION = Dataset(
    "reconciliation",
    zh="多源对账差异",
    doc="Every stored value that differs from what a second source says: a row per session, code, field and source. What was "
    "compared at all stands in reconciliation_runs. A row goes when the two agree again, or the stored value is another.",
    group="quality",
    partition=Partition.SESSION,
    key=("trade_date", "dataset", "ts_code", "field", "second_source"),
    columns=(
        TRADE_DATE,
        text("dataset", "数据集", "The data set whose row it is.", required=True),
        CODE,
        text("field", "字段", "The column; of factors it is the ratio to the session before.", required=True),
        text("stored_source", "入库来源", "The source of the stored row.", required=True),
        text("second_source", "第二数据源", "The source that says otherwise.", required=True),
        number("stored", "入库值", "The stored value, in the field's own unit.", required=True),
        number("second", "第二来源值", "What the second source says.", required=True),
        number("difference", "差异", "How far the two are apart.", required=True),
        number("tolerated", "容差", "How far they may be, by the field's tolerance.", required=True),
    ),
    coverage=Coverage.ANY,
    after=("daily_kline", "weekly_kline", "monthly_kline", "adj_factor", "daily_basic"),
    sourced=False,
)

MARKET_OVERVIEW = Dataset(
    "market_overview",
    zh="市场概览",
    doc="A session in one row: breadth, limits, turnover, events, of all A-shares. What was not stored when it was computed is "
    "null, never zero. The page of the day shows it with names.",
    group="computed",
    partition=Partition.SESSION,
    key=("trade_date",),
    columns=(
        TRADE_DATE,
        integer("codes", "交易股票数", "Shares that traded.", "只", required=True),
        integer("missing", "缺失股票数", "Shares that owe a bar and have none stored.", "只"),
        integer("up", "上涨", "Shares whose close lies above pre_close.", "只", required=True),
        integer("down", "下跌", "Shares whose close lies below pre_close.", "只", required=True),
        integer("flat", "平盘", "Shares whose close is pre_close.", "只", required=True),
        number("pct_chg_mean", "平均涨跌幅", "Mean of pct_chg.", "%"),
        number("pct_chg_median", "涨跌幅中位数", "Median of pct_chg.", "%"),
        integer("limit_up", "涨停", "Shares that closed at their upper limit.", "只", required=True),
        integer("limit_down", "跌停", "Shares that closed at their lower limit.", "只", required=True),
        integer("limit_up_broken", "炸板", "Shares that touched the upper limit and closed below.", "只", required=True),
        integer(
            "limit_unknown",
            "涨跌停价未知",
            "Shares whose limits nobody knows.",
            "只",
            required=True,
        ),
        integer("longest_limit_up_run", "最高连板", "Most sessions in a row at the upper limit.", "板", required=True),
        number("amount", "成交额", "Turnover of all A-shares.", "千元"),
        number("amount_mean", "前 20 日平均成交额", "Mean of the 20 sessions before, where whole.", "千元"),
        integer("suspended", "停牌", "Shares suspended for the whole session.", "只"),
        integer("new_listings", "新股上市", "Shares whose first session it was.", "只"),
        integer("ex_dates", "除权除息", "Shares whose adjustment factor took a step.", "只"),
    ),
    coverage=Coverage.ANY,
    after=(
        "daily_kline",
        "price_limits",
        "adj_factor",
        "suspensions",
        "index_daily",
        "ths_members",
        "ths_hot",
        "screen_results",
    ),
    sourced=False,
)
