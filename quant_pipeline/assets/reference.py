"""Reference lists: the calendar, who is listed, under which name, and who was suspended."""

from quant_pipeline.assets.dataset_asset import dataset_asset
from quant_pipeline.market.datasets import NAME_HISTORY, STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR

trade_calendar = dataset_asset(TRADE_CALENDAR)
stock_list = dataset_asset(STOCK_LIST)
name_history = dataset_asset(NAME_HISTORY)
suspensions = dataset_asset(SUSPENSIONS)
