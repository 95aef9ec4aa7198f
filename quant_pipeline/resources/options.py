"""How a run syncs: options that hold for all of its data sets, so that a launchpad asks for each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg
from pydantic import Field

from quant_pipeline.resources.dagster_private.names import HIDDEN

OPTIONS: Final = "options"
"""The resource's name: in the launchpad they stand under `resources: options: config`."""
AGAIN_TAG: Final = "quant/again"
"""Run tag: these data sets (with commas between) are fetched again, though the others are not."""
NAMED_TAG: Final = f"{HIDDEN}named"
"""Run tag ("true"): the data sets were named one by one: one that no source in use serves is a failure, not left out."""


class SyncOptions(dg.ConfigurableResource):  # type: ignore[type-arg]
    """How to sync, the same for all data sets of the run. 同步选项，对本次运行的所有数据集生效"""

    force: bool = Field(False, description="Fetch again what was synced before. 强制重新获取已同步的数据")
    sources: list[str] = Field([], description="Only these sources, in their ranking. 仅使用这些数据源，顺序按其优先级")
    symbols: list[str] = Field([], description="Only these codes (600000.SH, 000001, …). 仅同步这些股票")
    retry_failed: bool = Field(False, description="Only what failed at its last attempt. 仅重试失败的单元")
    repair: bool = Field(False, description="Only what is short, breaks a check or was restated. 仅修复有问题的数据")


def run_config_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The run config that gives these options."""
    return {"resources": {OPTIONS: {"config": dict(options)}}}


def options_of(run_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that a run config gives; none for a default."""
    given: Mapping[str, Any] = run_config.get("resources", {}).get(OPTIONS, {}).get("config", {})
    return given
