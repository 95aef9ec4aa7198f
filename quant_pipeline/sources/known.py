"""What the routers of one command have found out, each for all: who is not asked any more, and who cannot be reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from quant_pipeline.language import told
from quant_pipeline.sources.failures import AWAY, FailureClass, SourceError

AGAIN = 15.0
"""Seconds after which a source that could not be reached is tried again."""
LATER = 60.0
"""The same once nobody waits for it any more."""
NO_NETWORK = 60.0
"""Seconds for which all units of a command together wait for a network: it comes back within a minute, or not soon."""

_NOT_ASKED = frozenset({FailureClass.CIRCUIT_OPEN, FailureClass.RATE_LIMITED})
"""Failures before a call: they say nothing about the line."""
_Key = tuple[str, str]
"""A source and its API; `*` for all of it."""


class Line(Enum):
    """Whether a source may be asked."""

    OPEN = auto()
    TRIED = auto()
    """It could not be reached a while ago, or nothing can: one call, without a second try, says whether it can be."""


@dataclass(frozen=True)
class Wait:
    """Whether to wait for sources that rest. `seconds`: until one of them may be asked again; None: they were waited for long
    enough · `total`: seconds that they are waited for at the most, or were · `news`: whether nobody was told of it yet."""

    seconds: float | None
    total: float
    news: bool


class Known:
    """What is known of the sources. Threads share it."""

    def __init__(self) -> None:
        self.out: dict[_Key, SourceError] = {}
        """Permanent failures: who is not asked any more."""
        self._lock = threading.Lock()
        self._unreached: dict[str, tuple[float, SourceError]] = {}
        self._no_network_since: float | None = None
        """Since when no source could be reached at all, and units wait."""
        self._resting_since: dict[_Key, float] = {}
        self._told: set[_Key] = set()

    # --- the line ----------------------------------------------------------------------------------------------------

    def line(self, source: str, api: str) -> Line:
        """Whether the source may be asked now; CIRCUIT_OPEN is raised where it could not be reached a moment ago."""
        with self._lock:
            if source not in self._unreached:
                return Line.OPEN if self._no_network_since is None else Line.TRIED
            until, error = self._unreached[source]
            left = until - time.monotonic()
            if left > 0:
                text = told("not asked, it could not be reached a moment ago ({why})", why=error.text)
                raise SourceError(FailureClass.CIRCUIT_OPEN, source, api, text, wait=left)
            self._unreached[source] = (time.monotonic() + self._rest(), error)  # only this caller tries
            return Line.TRIED

    def failed(self, error: SourceError) -> None:
        """Notes a failed call: whether the source could be reached."""
        with self._lock:
            if error.failure is FailureClass.UNREACHABLE:
                self._unreached[error.source] = (time.monotonic() + self._rest(), error)
            elif error.failure is FailureClass.CIRCUIT_OPEN and error.source in self._unreached:
                self._unreached[error.source] = (time.monotonic() + error.wait, self._unreached[error.source][1])
            elif error.failure not in _NOT_ASKED:
                self._unreached.pop(error.source, None)

    def reached(self, source: str) -> None:
        """Notes that a call over the network came back, whatever it brought."""
        with self._lock:
            self._unreached.pop(source, None)
            self._no_network_since = None

    def answered(self, source: str, api: str) -> None:
        """Notes a good answer: from now on there is patience again."""
        with self._lock:
            for key in ((source, api), (source, "*")):
                self._resting_since.pop(key, None)
                self._told.discard(key)

    def _rest(self) -> float:
        since = self._no_network_since
        return LATER if since is not None and time.monotonic() + AGAIN - since > NO_NETWORK else AGAIN

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait(self, failures: Sequence[SourceError], patience: float) -> Wait | None:
        """How long to wait for those that rest; None when waiting is no use. They are waited for `patience` seconds in a row,
        for a network NO_NETWORK, whoever waits."""
        away = all(error.failure in AWAY for error in failures)
        with self._lock:
            now, waits, keys = time.monotonic(), [], []
            for error in failures:
                unreached = error.source in self._unreached
                if error.failure is not FailureClass.CIRCUIT_OPEN and not (unreached and away):
                    continue
                key = (error.source, "*" if unreached else error.api)
                keys.append(key)
                wait = error.wait if error.failure is FailureClass.CIRCUIT_OPEN else AGAIN
                if unreached and now + wait - (self._no_network_since or now) > NO_NETWORK:
                    continue
                if now + wait - self._resting_since.get(key, now) <= patience:
                    waits.append(wait)
            if not keys:
                return None
            begun = [self._resting_since[key] for key in keys if key in self._resting_since]
            no_network = all(api == "*" for _, api in keys)
            if not waits:
                new = bool(begun) and not self._told.intersection(keys)
                self._told.update(keys)
                return Wait(None, now - min(begun, default=now), new)
            for key in keys:
                self._resting_since.setdefault(key, now)
            if no_network:
                self._no_network_since = self._no_network_since or now
            return Wait(min(waits), min(patience, NO_NETWORK) if no_network else patience, not begun)
