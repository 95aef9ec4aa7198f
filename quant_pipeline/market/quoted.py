"""The quotes of a session as they went by, where the user has them kept."""

from __future__ import annotations

from quant_pipeline.market.columns import integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

INTRADAY_QUOTES = Dataset(
    "intraday_quotes",
    zh="盘中快照",
    doc="Live quotes as they went by: a row whenever a quote said something new, of the codes that were polled. Nothing is "
    "kept unless QUANT_QUOTES_STORE=true stands in .env (then start ui or serve anew).",
    group="quotes",
    partition=Partition.SESSION,
    key=("ts_code", "trade_date", "quote_time"),
    columns=(
        CODE,
        TRADE_DATE,
        text(
            "quote_time",
            "报价时间",
            "When the exchange made it, Shanghai time: 10:30:03; where the source does not say, when it was received.",
            required=True,
        ),
        number("price", "最新价", "Price of the last trade so far.", "元"),
        number("pre_close", "昨收价", "Close of the session before, as the exchange adjusts it.", "元"),
        number("open", "开盘价", "First price of the session.", "元"),
        number("high", "最高价", "Highest price so far.", "元"),
        number("low", "最低价", "Lowest price so far.", "元"),
        integer("volume", "成交量", "Traded so far; an index's as its source counts it.", "股"),
        number("amount", "成交额", "Traded so far.", "元"),
        text("bids", "买盘", "Up to five prices with their shares, the best first, as JSON: [[10.49, 1200]]."),
        text("asks", "卖盘", "Up to five prices with their shares, the best first, as JSON."),
        text("status", "状态", "auction, trading, suspended or closed.", required=True),
    ),
    coverage=Coverage.ANY,
    after=("daily_kline",),
    sourced=False,
    moment="quote_time",
)
