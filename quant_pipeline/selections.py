"""What the jobs take, by name. Without Dagster: a command looks here for what is to do before it loads that."""

from __future__ import annotations

from typing import Final

from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import (
    BSE_MAPPING,
    CONVERTIBLE_BONDS,
    ETF_LIST,
    INDEX_LIST,
    NAME_HISTORY,
    STOCK_LIST,
    TRADE_CALENDAR,
)
from quant_pipeline.switches import screens_on, switched_on

DAILY_SYNC: Final = "daily_sync"
REFERENCE_SYNC: Final = "reference_sync"
WEEKLY_SYNC: Final = "weekly_sync"
MONTHLY_SYNC: Final = "monthly_sync"

ON = switched_on()
"""name -> data set, in the order of a sync."""
_JUDGES = (TRADE_CALENDAR, STOCK_LIST, BSE_MAPPING, NAME_HISTORY, ETF_LIST, CONVERTIBLE_BONDS, INDEX_LIST)
LISTS = [name for name, dataset in ON.items() if not dataset.dated]
DAILY_LISTS = [dataset.name for dataset in _JUDGES if dataset.name in ON]
"""The lists that the session's data are judged against; those of THS come in the morning, with all the others."""
SCREENS = [f"screen_{name}" for name in screens_on()]
BY_SESSION = [name for name, dataset in ON.items() if dataset.partition is Partition.SESSION]
BY_MONTH = [name for name, dataset in ON.items() if dataset.partition is Partition.MONTH]
