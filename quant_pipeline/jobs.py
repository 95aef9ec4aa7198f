"""The jobs: selections of assets that are run together."""

from __future__ import annotations

import dagster as dg

daily_sync = dg.define_asset_job(
    "daily_sync",
    selection=dg.AssetSelection.all(),
    description="The main job 主任务: sync the session's data, check them, screen them, tell the user. "
    "Only one runs at a time (also against `quant-pipeline run` and `sync`).",
    executor_def=dg.in_process_executor,  # waiting for the net, not computing: one process shares its threads best
)
