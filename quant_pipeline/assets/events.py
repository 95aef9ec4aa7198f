"""Assets by session write a materialization for each session the moment its rows are committed.

Dagster would write one more for each when the step ends, unless the output carries a mark of its own; the output itself must
be yielded all the same, or the steps downstream would be skipped.

Each event says which version its rows have, and which versions of the assets before it they rest on: from that Dagster knows
what is out of date ("Unsynced"). A session's version changes when its rows do. A list has one version for good: it grows by a
new listing almost every day, and the sessions that were judged by it before are none the worse for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import dagster as dg

from quant_pipeline.assets.labels import label, labelled
from quant_pipeline.resources.dagster_private.names import NOT_TO_BE_TOLD_AGAIN, now_in_the_log, version_tags

NOTHING = cast(dg.DagsterType, dg.Nothing)
"""The output's type: rows go to PostgreSQL, not through an I/O manager."""
STANDING = "standing-list"
"""The version of every list."""
_COSTS = ("inserted", "updated", "unchanged", "rejected", "calls", "attempts", "seconds")
"""What an event that is told again must not claim for itself."""

_SHOWN_AGAIN = "older sessions were filled in: the newest is shown again, not fetched 回补历史后重新展示最新一期，未重新获取"


def everything_told() -> dg.Output[None]:
    """The output of a step that has written its materializations itself."""
    return dg.Output(None, metadata={NOT_TO_BE_TOLD_AGAIN: True})


class Events:
    """The events of one step of one asset."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._key = context.asset_key
        inputs = context.assets_def.asset_deps[context.asset_key]
        partitioned = context.assets_def.partitions_def is not None
        self._version = context.run_id if partitioned else STANDING
        self._tags = version_tags(self._version, dict.fromkeys(inputs, STANDING), now_in_the_log(context.instance))
        self._newest_told = ""

    @property
    def run_id(self) -> str:
        """The run's that the step is of."""
        return str(self._context.run_id)

    def known(self) -> Collection[str]:
        """The partitions that Dagster knows as materialized."""
        known: set[str] = self._context.instance.get_materialized_partitions(self._key)
        return known

    def last(self, partition: str | None = None) -> dg.AssetMaterialization | None:
        """The last materialization (of the partition)."""
        wanted = dg.AssetRecordsFilter(self._key, asset_partitions=[partition] if partition else None)
        found = self._context.instance.fetch_materializations(wanted, limit=1).records
        return found[0].asset_materialization if found else None

    def materialized(self, metadata: Mapping[str, Any], partition: str | None = None) -> None:
        """The rows are new, changed, or not known to Dagster yet."""
        self._write(partition, labelled(metadata), self._tags)

    def observed(self, metadata: Mapping[str, Any], partition: str | None = None) -> None:
        """Something was looked at, and its rows are what they were; or only a part of them was fetched."""
        self._context.log_event(dg.AssetObservation(self._key, partition=partition, metadata=labelled(metadata)))

    def newest_last(self, known: Collection[str]) -> None:
        """Tells of the newest partition once more, where older ones were filled in after it.

        Dagster shows an asset's last event as its state: that would be the past. It is told as what it is: nothing was
        fetched for it, its rows have the version that they had, and what it cost stands in its own event.
        """
        newest = max(known, default="")
        if not self._newest_told or newest <= self._newest_told:
            return
        former = self.last(newest)
        if former is None:
            return
        costs = {label(name): 0 for name in _COSTS if label(name) in former.metadata}
        self._write(newest, {**former.metadata, **costs, label("note"): _SHOWN_AGAIN}, former.tags or {})

    def _write(self, partition: str | None, metadata: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        self._newest_told = max(self._newest_told, partition or "")
        self._context.log_event(
            dg.AssetMaterialization(self._key, partition=partition, metadata=dict(metadata), tags=dict(tags))
        )
