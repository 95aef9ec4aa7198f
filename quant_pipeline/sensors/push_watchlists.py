"""The sensor that evaluates the condition of `ths_watchlist`: it looks at the accounts, which only our own code can."""

import dagster as dg

from quant_pipeline.market.datasets import THS_WATCHLIST

PUSHED = dg.AssetSelection.assets(THS_WATCHLIST.name)

push_watchlists = dg.AutomationConditionSensorDefinition(
    "push_watchlists",
    target=PUSHED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    use_user_code_server=True,
    description="Pushes the latest session's hits into groups of the THS account, once one is logged in. 推送到同花顺自选",
)
