"""The figures of the platform as Prometheus reads them: gauges out of the database, and this door's own counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import polars as pl
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from quant_pipeline.door.access import Access
from quant_pipeline.warehouse.rows import Row

_STATES = ("pending", "failed", "folded", "logged", "accepted", "delivered")


def collected(access: Access) -> list[Metric]:
    """Every figure of now. What the database cannot tell raises: a watchman must see it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Of(access))
    return [*registry.collect(), *access.traffic.registry.collect(), *_process().collect()]


def health(access: Access) -> list[Row]:
    """How the sources fare, and the services that were called within the hour."""
    from quant_pipeline.alerts.rules import Sight

    return Sight(access.database, access.calendar(), access.settings).health


@cache
def _process() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


class _Of(Collector):
    def __init__(self, access: Access) -> None:
        self._access = access

    def collect(self) -> Iterable[Metric]:
        yield from _sources(self._access)
        yield from _datasets(self._access)
        yield from _messages(self._access)
        yield from _alerts(self._access)


def _sources(access: Access) -> Iterator[Metric]:
    from quant_pipeline.sync.insight.health import outcomes

    rows = health(access)
    by = ("source", "api")
    yield _gauge("quant_source_calls_day", "Calls of the last 24 hours, by what came of them.", (*by, "outcome"), "calls",
                 outcomes(access.database).to_dicts())  # fmt: skip
    for name, doc, column in (
        ("quant_source_calls_hour", "Calls of the last hour.", "calls_hour"),
        ("quant_source_success_percent", "Success rate over the last calls.", "success_rate"),
        ("quant_source_seconds_avg", "Seconds of a call on average, over the last ones.", "seconds_avg"),
        ("quant_source_seconds_p95", "Seconds that 95 of 100 calls stay below.", "seconds_p95"),
        ("quant_source_quota_used_percent", "Of the quota a minute.", "quota_used"),
    ):
        yield _gauge(name, doc, by, column, rows)
    cut = [row | {"open": float(row["circuit"] not in (None, "closed"))} for row in rows]
    yield _gauge("quant_source_circuit_open", "1 while its circuit is not closed.", by, "open", cut)


def _datasets(access: Access) -> Iterator[Metric]:
    from quant_pipeline.market import clock
    from quant_pipeline.market.datasets import OF_THE_LAKE
    from quant_pipeline.sync.insight.stats import stats_of
    from quant_pipeline.sync.insight.status import status_of

    counted = stats_of(access.database, list(OF_THE_LAKE.values()))  # who scrapes every 15 s counts no ticks
    rows = counted.group_by("dataset", maintain_order=True).agg(pl.sum("rows"), pl.first("bytes")).to_dicts()
    yield _gauge("quant_dataset_rows", "Rows stored.", ("dataset",), "rows", rows)
    yield _gauge("quant_dataset_bytes", "Size of the table with its indexes.", ("dataset",), "bytes", rows)
    now, today = status_of(access.database, access.calendar(), off=access.settings.without), clock.today()
    states = [
        {
            "dataset": each.dataset,
            "age": None if each.last is None else (today - each.last).days,
            "behind": each.behind,
            "stale": float(each.stale),
            "failed": each.failed,
        }
        for each in now.datasets
    ]
    for name, doc, column in (
        ("quant_dataset_age_days", "Days since the last session that is whole.", "age"),
        ("quant_dataset_behind", "Sessions (weeks, months) that are due and lack.", "behind"),
        ("quant_dataset_stale", "1 where it is behind its time.", "stale"),
        ("quant_dataset_failed_units", "Units whose last attempt failed.", "failed"),
    ):
        yield _gauge(name, doc, ("dataset",), column, states)
    yield _gauge("quant_syncs_running", "Syncs that go on.", (), "running", [{"running": len(now.running)}])


def _messages(access: Access) -> Iterator[Metric]:
    from quant_pipeline.notify import listing

    counts = [{"status": status, "count": listing.count(access.database, status=status)} for status in _STATES]
    yield _gauge("quant_messages", "Messages by what became of them.", ("status",), "count", counts)
    channels = [row | {"well": float(row["state"] == "well")} for row in listing.channels(access.database).to_dicts()]
    for name, doc, column in (
        ("quant_channel_waiting", "Deliveries that wait.", "waiting"),
        ("quant_channel_sent_day", "Deliveries of the last 24 hours.", "sent_day"),
        ("quant_channel_failed_day", "Deliveries of the last 24 hours that were refused.", "failed_day"),
        ("quant_channel_well", "0 while the channel rests.", "well"),
    ):
        yield _gauge(name, doc, ("channel",), column, channels)


def _alerts(access: Access) -> Iterator[Metric]:
    from quant_pipeline.alerts import book

    rows = book.rules(access.database).to_dicts()
    yield _gauge("quant_alerts_open", "Open alerts of each rule.", ("rule", "severity"), "open", rows)


def _gauge(name: str, doc: str, labels: tuple[str, ...], column: str, rows: Iterable[Mapping[str, Any]]) -> GaugeMetricFamily:
    """A gauge with a sample for each row that has a value."""
    family = GaugeMetricFamily(name, doc, labels=labels)
    for row in rows:
        if row[column] is not None:
            family.add_metric([str(row[label]) for label in labels], float(row[column]))
    return family
