"""The log of calls as the servers counted them: what arrived when, and what was answered. Never a token."""

from __future__ import annotations

import bisect
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

_KEPT = 200_000


@dataclass
class Call:
    """One call; `arrived` is in seconds since the servers began."""

    server: str
    api: str
    params: dict[str, Any]
    arrived: float
    answer: str = "unanswered"
    """ok, empty, token, unknown_api, parameters, quota, permission …, or the kind of the fault that was ordered."""
    rows: int = 0


@dataclass
class CallLog:
    """The calls of all servers of one sandbox, oldest first (the last 200,000)."""

    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_KEPT))
    began: float = field(default_factory=time.monotonic)
    last_arrival: float = field(default_factory=time.monotonic)
    """Of any call, as time.monotonic() counts."""

    def arrival(self, server: str, api: str, params: dict[str, Any]) -> Call:
        """Logs a call that arrives now; what is answered is written into it later."""
        self.last_arrival = time.monotonic()
        call = Call(server, api, params, self.last_arrival - self.began)
        self.calls.append(call)
        return call

    def listing(self, server: str | None = None, api: str | None = None) -> list[dict[str, Any]]:
        """The calls of that server and API (None: of all)."""
        return [asdict(call) for call in self._chosen(server, api)]

    def stats(self, window: float) -> dict[str, dict[str, Any]]:
        """Per "server.api": calls, answers by kind, rows, and the most calls answered ok in any `window` seconds."""
        figures = {}
        for server, api in dict.fromkeys((call.server, call.api) for call in self.calls):
            chosen = self._chosen(server, api)
            served = [call.arrived for call in chosen if call.answer in ("ok", "empty")]
            figures[f"{server}.{api}"] = {
                "calls": len(chosen),
                "answers": Counter(call.answer for call in chosen),
                "rows": sum(call.rows for call in chosen),
                "first": chosen[0].arrived,
                "last": chosen[-1].arrived,
                "busiest_window": max(
                    (place + 1 - bisect.bisect_right(served, moment - window) for place, moment in enumerate(served)),
                    default=0,
                ),
            }
        return figures

    def _chosen(self, server: str | None, api: str | None) -> list[Call]:
        return [call for call in self.calls if server in (None, call.server) and api in (None, call.api)]
