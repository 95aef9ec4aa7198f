"""Sends beside the work: a service that hangs holds up no step of a run, nor a run's end.

A process has one thread that delivers, and only while something is to be sent. It is waited for when the process ends, which
is bounded by the channels' own time-outs; what is left then waits in the outbox for the next one that delivers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_logger = logging.getLogger(__name__)


class Postman:
    """One thread at a time; who asks while it is under way is served by one more round of it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._asked: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None

    def send_soon(self, deliver: Callable[[], object]) -> None:
        """Has `deliver` called beside the caller. What it raises is logged."""
        with self._turn:
            self._asked = deliver
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="outbox")
                self._thread.start()

    def finish(self, seconds: float | None = None) -> None:
        """Waits until nothing is under way any more (None: however long that takes)."""
        with self._turn:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._turn:
                deliver, self._asked = self._asked, None
                if deliver is None:
                    self._thread = None
                    return
            try:
                deliver()
            except Exception as error:
                _logger.warning("the outbox could not be delivered, it is tried again later: %s", error)


POSTMAN = Postman()
"""This process's."""
