"""Market data by session: bars, factors, daily figures, limit prices."""

from quant_pipeline.assets.dataset_asset import dataset_asset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, PRICE_LIMITS

daily_kline = dataset_asset(DAILY_KLINE)
adj_factor = dataset_asset(ADJ_FACTOR)
daily_basic = dataset_asset(DAILY_BASIC)
price_limits = dataset_asset(PRICE_LIMITS)
