"""Ctrl-C and its kin end a command, all of it, within seconds: whatever its threads are waiting for.

A run's work goes on in a thread of its own, so that signals find the command's main thread free; there they are raised as
`Interrupted`. The command then closes its books and ends without waiting for calls that are still out: what is committed is
committed, and a transaction that is open is rolled back by PostgreSQL, as after any other death.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, TypeVar

from quant_pipeline.sources import worker

Result = TypeVar("Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 4.0
"""Seconds in which the books are closed; after that the command ends all the same, and the next one closes them."""
_GLANCE = 0.2
STOPPED: Final = (
    "quant-pipeline: Stopped. What was committed is kept; run the command again to go on. "
    "已中断：已入库的数据都在，重新运行即可继续"
)


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end. `exit_code`: 128 and its number, as a shell shows it (Ctrl-C: 130, SIGTERM: 143)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first signal raises Interrupted in the main thread; a second one, or four seconds, end the process."""
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupted = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if interrupted.is_set():
            end_now(128 + number)
        interrupted.set()
        deadline = threading.Timer(_PATIENCE, end_now, (128 + number,))
        deadline.daemon = True
        deadline.start()
        raise Interrupted(number)

    for number, handler in former.items():
        if handler is not signal.SIG_IGN:  # nohup: it is to outlive its terminal
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        if not interrupted.is_set():
            for number, handler in former.items():
                signal.signal(number, handler)


def beside(work: Callable[[], Result]) -> Result:
    """Does the work in a thread of its own, and waits for it where signals can be raised."""
    done: list[Result] = []
    failed: list[BaseException] = []

    def do() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=do, name="run", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_GLANCE)
    if failed:
        raise failed[0]
    return done[0]


def end_now(code: int) -> NoReturn:
    """Says that the command has stopped, and ends it with what it started, without waiting for any thread."""
    print(STOPPED, file=sys.stderr, flush=True)
    worker.kill_all()
    os._exit(code)
