"""What was asked of this door since it began: requests by route, caller and status, and how long their answers took."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import Request

CALLER = "quant_pipeline.caller"
"""Where in a request's scope the name of the key stands that it came with."""
_NO_ROUTE = "other"


class Traffic:
    """Of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "quant_door_requests",
            "Requests by route and the name of the key (empty: none was needed).",
            ("method", "route", "status", "key"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "quant_door_seconds", "Seconds until an answer begins.", ("method", "route"), registry=self.registry
        )

    def note(self, request: Request, status: int, seconds: float) -> None:
        """Counts an answered request. Its route, not its path: paths are as many as their callers like."""
        route = getattr(request.scope.get("route"), "path", "") or _NO_ROUTE
        method = request.method if request.method in ("GET", "HEAD", "POST", "PUT", "DELETE") else _NO_ROUTE
        self._requests.labels(method, route, str(status), request.scope.get(CALLER, "")).inc()
        self._seconds.labels(method, route).observe(seconds)
