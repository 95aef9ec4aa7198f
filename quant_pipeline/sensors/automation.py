"""The sensor that evaluates automation conditions: Dagster's own is stopped by default, a user expects it to run."""

import dagster as dg

from quant_pipeline.sensors.push_watchlists import PUSHED

automation = dg.AutomationConditionSensorDefinition(
    "automation",
    target=dg.AssetSelection.all() - PUSHED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs a screen when its session's bars arrive. 数据到齐后自动选股",
)
