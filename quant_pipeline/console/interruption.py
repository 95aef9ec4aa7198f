"""Ctrl-C and its kin end a command, all of it, within seconds: whatever its threads are waiting for.

A run's work goes on in a thread of its own, so that signals find the command's main thread free; there they are raised as
`Interrupted`. The command then closes its books and ends without waiting for calls that are still out: what is committed is
committed, and a transaction that is open is rolled back by PostgreSQL, as after any other death.
"""

from __future__ import annotations

import contextvars
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn, TypeVar

from quant_pipeline.language import marked, say

Result = TypeVar("Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 4.0
"""Seconds in which the books are closed; after that the command ends all the same, and the next one closes them."""
_GLANCE = 0.2
_STDERR = 2
STOPPED: Final = marked("Stopped. What was committed is kept; run the command again to go on.")


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end. `exit_code`: 128 and its number, as a shell shows it (Ctrl-C: 130, SIGTERM: 143).

    `words`: the line that the command ends with.
    """

    def __init__(self, number: int, words: str) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code, self.words = 128 + number, words


@contextmanager
def interruptible(words: str = STOPPED, patience: float = _PATIENCE) -> Iterator[None]:
    """Within it the first signal raises Interrupted in the main thread; a second one, or `patience` seconds, end it all.

    The end is another thread's work, which the interpreter's own signal handler tells of a signal: it comes also where the
    main thread is in a library's hands or waits for a lock. The handler here starts and locks nothing: a `run` stood still
    for ever whose signal came while the main thread was starting a thread, as the handler's own thread waited for that.
    """
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    heard: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if not heard:
            heard.append(number)
            raise Interrupted(number, words)

    told, tells = os.pipe()
    os.set_blocking(tells, False)
    threading.Thread(target=_watch, args=(told, words, patience), name="signals", daemon=True).start()
    others = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:  # nohup: it is to outlive its terminal
            signal.signal(number, on_signal)
    try:
        yield
    finally:
        if not heard:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(others)
            os.close(tells)


def _watch(told: int, words: str, patience: float) -> None:
    """Ends the command `patience` seconds after the first of our signals, or at the second; nothing where none comes."""
    while (number := os.read(told, 1)) and number[0] not in _SIGNALS:
        pass
    if number:
        select.select([told], [], [], patience)
        end_now(128 + number[0], words)
    os.close(told)


def beside(*works: Callable[[], Result]) -> list[Result]:
    """Does the works at once, each in a thread of its own, and waits for all of them where signals can be raised."""
    done: dict[int, Result] = {}
    failed: list[BaseException] = []

    def do(place: int, work: Callable[[], Result]) -> None:
        try:
            done[place] = work()
        except BaseException as error:
            failed.append(error)

    threads = []
    for number, work in enumerate(works):
        given = (do, number, work)
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=given, name="run", daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_GLANCE)
    if failed:
        raise failed[0]
    return [done[number] for number in range(len(works))]


def end_now(code: int, words: str = STOPPED) -> NoReturn:
    """Says `words` (marked) and ends the command, with what it started, without waiting for any thread."""
    on_a_line_of_its_own = "\r\x1b[K\x1b[?25h" if os.isatty(_STDERR) else ""  # instead of ^C, with the cursor shown again
    with suppress(OSError):  # not print: the signal may have come in the middle of one
        os.write(_STDERR, f"{on_a_line_of_its_own}quant-pipeline: {say(words)}\n".encode())
    if (worker := sys.modules.get("quant_pipeline.sources.worker")) is not None:  # not imported: nothing was started
        worker.kill_all()
    os._exit(code)
