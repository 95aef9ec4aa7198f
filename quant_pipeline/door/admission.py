"""Who may in: anybody of this machine while no key was made, and whoever shows a key that holds and is within its pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from starlette.datastructures import Headers

from quant_pipeline.door import keys
from quant_pipeline.door.keys import Key, Scope
from quant_pipeline.warehouse.database import Database

_MINUTE = 60.0
_OF_PROXIES = frozenset({"forwarded", "via", "x-real-ip"})


class NotAdmitted(Exception):
    """Whoever asks shows no key that holds."""


class NotAllowed(Exception):
    """The key does not include what is asked for."""

    def __init__(self, key: Key, needed: Scope) -> None:
        super().__init__(needed.value)
        self.key, self.needed = key, needed


class TooMany(Exception):
    """The key's calls of this minute are used up; `wait`: seconds until the next one."""

    def __init__(self, per_minute: int, wait: float) -> None:
        super().__init__(str(per_minute))
        self.per_minute, self.wait = per_minute, wait


def forwarded(headers: Headers) -> bool:
    """Whether a proxy passed the request on: it comes from this machine, and whoever asks may be anywhere."""
    return any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in headers)


class Admission:
    """The rule of one application. `on_loopback`: whether only this machine can reach it."""

    def __init__(self, database: Callable[[], Database], *, on_loopback: bool) -> None:
        self.on_loopback = on_loopback
        self._database = database
        self._minutes: dict[str, tuple[float, int]] = {}
        self._counting = threading.Lock()

    def admit(self, text: str, needed: Scope, *, from_afar: bool = False) -> Key | None:
        """The key of the caller, None where nobody needs one. NotAdmitted, NotAllowed, TooMany say why not.

        `from_afar`: the request may come from another machine, although this one listens on the loopback.
        """
        database = self._database()
        key = keys.found(database, text)
        if key is None:
            if self.on_loopback and not from_afar and not keys.any_holds(database):
                return None
            raise NotAdmitted
        self.allow(key, needed)
        self._count(key)
        return key

    def allow(self, key: Key, needed: Scope) -> None:
        """NotAllowed where a key that was admitted does not include what is asked for."""
        if not key.may(needed):
            raise NotAllowed(key, needed)

    def _count(self, key: Key) -> None:
        if key.per_minute is None:
            return
        now = time.monotonic()
        with self._counting:
            began, calls = self._minutes.get(key.id, (now, 0))
            if now - began >= _MINUTE:
                began, calls = now, 0
            if calls >= key.per_minute:
                raise TooMany(key.per_minute, began + _MINUTE - now)
            self._minutes[key.id] = (began, calls + 1)
