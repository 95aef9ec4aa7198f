"""`GET /metrics`: the figures in the form that Prometheus reads."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from quant_pipeline.door.access import Reached
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.metrics import collected
from quant_pipeline.door.rest.rights import needs

router = APIRouter(dependencies=[needs(Scope.READ)], include_in_schema=False)


class _Taken(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


@router.get("/metrics")
def metrics(access: Reached) -> Response:
    registry = CollectorRegistry()
    registry.register(_Taken(collected(access)))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
