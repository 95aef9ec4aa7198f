"""Quotas as an upstream service counts them: calls per token and API in a strict sliding window."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Per(StrEnum):
    """The length of a quota's window."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_MINUTES = {Per.MINUTE: 1, Per.HOUR: 60, Per.DAY: 1_440}
EVERY_API = "*"


@dataclass(frozen=True)
class Refusal:
    """The quota that a call would break."""

    per: Per
    calls: int


class Quotas:
    """Limits by API ("*": every API without a limit of its own); None or 0 is unlimited.

    `minute` is the length of a "minute" in seconds, so that a rehearsal need not wait; hours and days follow it.
    A refused call does not count.
    """

    def __init__(self, per_minute: Mapping[str, int | None] | None = None, *, minute: float = 60.0) -> None:
        self.minute = minute
        self._limits: dict[tuple[str, Per], int] = {}
        self._taken: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        for api, calls in (per_minute or {}).items():
            self.set(api, Per.MINUTE, calls)

    def set(self, api: str, per: Per, calls: int | None) -> None:
        """Sets a limit; it holds for the calls already counted too."""
        self._limits[api, per] = calls or 0

    def limit(self, api: str, per: Per) -> int:
        """The limit that holds for the API; 0 is unlimited."""
        return self._limits.get((api, per), self._limits.get((EVERY_API, per), 0))

    def take(self, account: str, api: str) -> Refusal | None:
        """Counts a call of the account now, or says which quota refuses it."""
        now = time.monotonic()
        taken = self._taken[account, api]
        limits = {per: calls for per in Per if (calls := self.limit(api, per))}
        longest = self.minute * max((_MINUTES[per] for per in limits), default=1)
        while taken and taken[0] <= now - longest:
            taken.popleft()
        for per, calls in limits.items():
            since = now - self.minute * _MINUTES[per]
            if len(taken) >= calls and taken[-calls] > since:
                return Refusal(per, calls)
        taken.append(now)
        return None
