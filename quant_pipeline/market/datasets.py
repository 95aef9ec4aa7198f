"""The data sets of the platform: what each one is, once. Names and units are Tushare's."""

from __future__ import annotations

from quant_pipeline.market.bars import (
    ADJ_FACTOR,
    AUCTION,
    CB_DAILY,
    DAILY_BASIC,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    INDEX_DAILY,
    MONTHLY_KLINE,
    PRICE_LIMITS,
    SPECIAL_TREATMENT,
    SUSPENSIONS,
    WEEKLY_KLINE,
)
from quant_pipeline.market.boards import THS_CONCEPTS, THS_HOT, THS_INDUSTRIES, THS_MEMBERS
from quant_pipeline.market.columns import integer, number, text
from quant_pipeline.market.corporate_actions import DIVIDENDS
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition
from quant_pipeline.market.decisions import PORTFOLIO_RISK, SIGNAL_STATISTICS, SIGNALS
from quant_pipeline.market.index_members import INDEX_WEIGHTS
from quant_pipeline.market.lists import (
    BSE_MAPPING,
    CONVERTIBLE_BONDS,
    ETF_LIST,
    INDEX_LIST,
    NAME_HISTORY,
    STOCK_LIST,
    TRADE_CALENDAR,
)
from quant_pipeline.market.quoted import INTRADAY_QUOTES
from quant_pipeline.market.reports import MARKET_OVERVIEW, RECONCILIATION
from quant_pipeline.market.watchlists import THS_WATCHLIST, WATCHLISTS

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
        integer("rank", "名次", "Place among the session's hits: 1 is the best."),
        text("reason", "理由", "Why it is a hit, in words."),
        text("industry", "所属行业", "Tushare's industry, of the last sync."),
        text("concepts", "概念", "THS's concepts, of the last sync, by 、."),
        text("figures", "指标", "The indicator values behind the hit, as JSON."),
        text("parameters", "参数", "The screen's parameters, as JSON."),
        text("universe", "股票池", "The filters that chose among which shares it looked, as JSON; null: all."),
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
        BSE_MAPPING,
        NAME_HISTORY,
        ETF_LIST,
        CONVERTIBLE_BONDS,
        INDEX_LIST,
        THS_CONCEPTS,
        THS_INDUSTRIES,
        THS_MEMBERS,
        SUSPENSIONS,
        SPECIAL_TREATMENT,
        DAILY_KLINE,
        ADJ_FACTOR,
        DIVIDENDS,
        DAILY_BASIC,
        PRICE_LIMITS,
        AUCTION,
        INDEX_DAILY,
        ETF_DAILY,
        ETF_ADJ,
        CB_DAILY,
        THS_HOT,
        WEEKLY_KLINE,
        MONTHLY_KLINE,
        INDEX_WEIGHTS,
        SCREEN_RESULTS,
        RECONCILIATION,
        MARKET_OVERVIEW,
        SIGNALS,
        SIGNAL_STATISTICS,
        PORTFOLIO_RISK,
        WATCHLISTS,
        THS_WATCHLIST,
        INTRADAY_QUOTES,
    )
}
"""Every data set by name, in the order in which one sync takes them."""

SOURCED: dict[str, Dataset] = {name: dataset for name, dataset in DATASETS.items() if dataset.sourced and not dataset.on_demand}
"""Those that are fetched from a source because somebody asks for them."""

OF_THE_LAKE: dict[str, Dataset] = {name: dataset for name, dataset in DATASETS.items() if not dataset.moment}
"""Those that are kept as Parquet too."""

FACTORS: dict[str, Dataset] = {ADJ_FACTOR.name: DAILY_KLINE, ETF_ADJ.name: ETF_DAILY}
"""Data set of factors -> the bars that are read with them: a session whose bars are there owes them."""

__all__ = [
    "ADJ_FACTOR",
    "AUCTION",
    "BSE_MAPPING",
    "CB_DAILY",
    "CONVERTIBLE_BONDS",
    "DAILY_BASIC",
    "DAILY_KLINE",
    "DATASETS",
    "DIVIDENDS",
    "ETF_ADJ",
    "ETF_DAILY",
    "ETF_LIST",
    "FACTORS",
    "INDEX_DAILY",
    "INDEX_LIST",
    "INDEX_WEIGHTS",
    "INTRADAY_QUOTES",
    "MARKET_OVERVIEW",
    "MONTHLY_KLINE",
    "NAME_HISTORY",
    "OF_THE_LAKE",
    "PORTFOLIO_RISK",
    "PRICE_LIMITS",
    "RECONCILIATION",
    "SCREEN_RESULTS",
    "SIGNALS",
    "SIGNAL_STATISTICS",
    "SOURCED",
    "SPECIAL_TREATMENT",
    "STOCK_LIST",
    "SUSPENSIONS",
    "THS_CONCEPTS",
    "THS_HOT",
    "THS_INDUSTRIES",
    "THS_MEMBERS",
    "THS_WATCHLIST",
    "TRADE_CALENDAR",
    "WATCHLISTS",
    "WEEKLY_KLINE",
]
