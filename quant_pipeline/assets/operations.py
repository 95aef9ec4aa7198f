"""Operations: what the platform tells of itself, as reports in the UI. They write no rows."""

import dagster as dg
import polars as pl

from quant_pipeline import settings
from quant_pipeline.assets.alerts import tell_failure
from quant_pipeline.assets.events import NOTHING
from quant_pipeline.assets.metadata import origin, table
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.sources import desk
from quant_pipeline.sources.policy import load_policies
from quant_pipeline.sync.insight import health, history, stats
from quant_pipeline.sync.insight.status import Status, status_of

GROUP = "operations"


def _report(description: str) -> dict[str, object]:
    """What all reports have in common."""
    return {
        "group_name": GROUP,
        "description": description,
        "kinds": {"postgres"},
        "owners": ["team:market-data"],
        "dagster_type": NOTHING,
        "hooks": {tell_failure},
    }
