"""Four processes raise 10,000 alerts in a minute while PushPlus is down for half of it: is any lost, is any limit exceeded?

Each alert is enqueued as an event does it, and every process delivers beside its work, as a run does. PushPlus comes first,
WeCom stands in for it. Both count at the sandbox's servers, over real sockets.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from quant_pipeline.notify import outbox, pace
from quant_pipeline.notify.channels.configured import Means, built
from quant_pipeline.notify.channels.contract import Channel
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.routing import Routes, routes_of
from quant_pipeline.notify.severity import Severity
from quant_pipeline.resources.postman import Postman
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database

NOW = "2026-11-20T18:00"
TOPICS = 40
_PATIENCE = 900.0
_ROUTES = {"receivers": {"me": {"channels": ["pushplus", "wecom"]}}}
_DUE = """
SELECT count(*) FILTER (WHERE state = 'waiting' AND not_before <= clock_timestamp()),
       count(*) FILTER (WHERE state = 'waiting')
FROM deliveries
"""
_AN_HOUR_LATER = "UPDATE deliveries SET not_before = clock_timestamp() WHERE state = 'waiting'"
_LOST = """
SELECT count(*) FROM messages WHERE kind <> 'digest' AND NOT EXISTS (
    SELECT FROM deliveries WHERE message = messages.id AND (state IN ('accepted', 'delivered') OR state = 'folded' AND EXISTS (
        SELECT FROM deliveries AS digest WHERE digest.message = deliveries.folded_into
        AND digest.state IN ('accepted', 'delivered')))
)
"""
_ARRIVED = """
SELECT channel, urgency, message FROM deliveries WHERE state IN ('accepted', 'delivered') ORDER BY sent_at
"""
_STATES = "SELECT state, count(*) FROM deliveries GROUP BY 1 ORDER BY 1"
_DIGESTS = "SELECT count(*) FROM messages WHERE kind = 'digest'"


@dataclass(frozen=True)
class Load:
    """So many alerts over so many seconds by so many processes; `minute`: the length of the servers' minute in seconds."""

    alerts: int = 10_000
    processes: int = 4
    seconds: float = 60.0
    minute: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of a load. `disorder`: a message that came before an older one of its severity, over the same channel."""

    raised: int
    repeated: int
    stored: int
    lost: int
    doubled: int
    disorder: int
    states: dict[str, int]
    digests: int
    answers: dict[str, dict[str, int]]
    busiest: dict[str, int]
    raising: float
    slowest: float
    draining: float


def carry(load: Load, sandbox: Rehearsal, database: Database) -> Outcome:
    """Raises the load, lets it drain, and asks servers and database what became of it."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(load.processes + 1)
    results: Any = context.Queue()
    at = (database.url, vars(sandbox))
    children = [context.Process(target=_raise, args=(load, at, child, gate, results)) for child in range(load.processes)]
    sandbox.order_fault("disconnect", server="pushplus", api="send", times=None)
    for child in children:
        child.start()
    gate.wait(120)
    began = time.perf_counter()
    time.sleep(load.seconds / 2)
    while not sandbox.calls("send", server="pushplus"):  # it is down until somebody has met it so
        time.sleep(0.05)
    sandbox.clear_faults()
    slowest = max(results.get(timeout=_PATIENCE) for _ in children)
    raising = time.perf_counter() - began
    for child in children:
        child.join(_PATIENCE)
    channels, routes = _means(sandbox)
    drained = time.perf_counter()
    _drain(database, channels, routes, load)
    draining = time.perf_counter() - drained
    with database.connect() as connection:
        connection.execute(_AN_HOUR_LATER)
    _drain(database, channels, routes, load)
    return _outcome(load, sandbox, database, raising=raising, slowest=slowest, draining=draining)


def _raise(load: Load, at: tuple[str, dict[str, Any]], child: int, gate: Barrier, results: Any) -> None:
    """A process: its share of the alerts, at their pace, and every tenth of its neighbour's, which saw the same event."""
    _shorten(load)
    url, addresses = at
    database, sandbox, postman = Database(url, Mode.SANDBOX), Rehearsal(**addresses), Postman()
    channels, routes = _means(sandbox)
    mine = range(child, load.alerts, load.processes)
    slowest = 0.0
    with database.connect(autocommit=True) as connection:
        gate.wait(120)
        began = time.monotonic()
        for place, number in enumerate(mine):
            due = began + load.seconds * place / len(mine)
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            before = time.monotonic()
            outbox.enqueue(connection, f"event {number}", _alert(number))
            if place % 10 == 0:
                outbox.enqueue(connection, f"event {_neighbour(number, load)}", _alert(_neighbour(number, load)))
            postman.send_soon(lambda: outbox.deliver(database, channels, routes))
            slowest = max(slowest, time.monotonic() - before)
    postman.finish()
    results.put(slowest)


def _neighbour(number: int, load: Load) -> int:
    return (number + 1) % load.alerts


def _alert(number: int) -> Message:
    severity = Severity.CRITICAL if number % 20 == 0 else Severity.WARNING if number % 4 == 1 else Severity.INFO
    return Message(f"alert {number}", f"event {number}", severity=severity, kind="alert", topic=f"topic {number % TOPICS}")


def _means(sandbox: Rehearsal) -> tuple[list[Channel], Routes]:
    simulated = sandbox.channels()
    channels = [built(kind, {"kind": kind, **simulated[kind]}, Means()) for kind in ("pushplus", "wecom")]
    return channels, routes_of(_ROUTES, channels)


def _shorten(load: Load) -> None:
    """A rehearsal's minute is as short as its servers'."""
    pace.MINUTE *= load.minute / 60.0
    pace.REST *= load.minute / 60.0


def _drain(database: Database, channels: Sequence[Channel], routes: Routes, load: Load) -> None:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        outbox.deliver(database, channels, routes)
        with database.connect() as connection:
            ((due, _),) = connection.execute(_DUE).fetchall()
        if not due:
            return
        time.sleep(load.minute / 20)
    raise RuntimeError("the outbox did not drain")


def _outcome(load: Load, sandbox: Rehearsal, database: Database, **seconds: float) -> Outcome:
    calls = {
        "pushplus": sandbox.calls("send", server="pushplus"),
        "wecom": sandbox.calls("wecom", server="robots"),
    }
    with database.connect() as connection:
        ((stored,),) = connection.execute("SELECT count(*) FROM messages WHERE kind <> 'digest'").fetchall()
        ((lost,),) = connection.execute(_LOST).fetchall()
        ((digests,),) = connection.execute(_DIGESTS).fetchall()
        states = dict(connection.execute(_STATES).fetchall())
        arrived = connection.execute(_ARRIVED).fetchall()
    ways: dict[tuple[str, int], list[int]] = {}
    for channel, urgency, message in arrived:
        ways.setdefault((channel, urgency), []).append(message)
    taken = sum(call["answer"] == "ok" for each in calls.values() for call in each)
    repeated = sum(len(range(0, len(range(child, load.alerts, load.processes)), 10)) for child in range(load.processes))
    return Outcome(
        raised=load.alerts + repeated,
        repeated=repeated,
        stored=stored,
        lost=lost + load.alerts - stored,
        doubled=taken - len(arrived),
        disorder=sum(later < earlier for way in ways.values() for earlier, later in pairwise(way)),
        states=states,
        digests=digests,
        answers={name: dict(Counter(call["answer"] for call in each)) for name, each in calls.items()},
        busiest={name: _busiest(each, load.minute) for name, each in calls.items()},
        **seconds,
    )


def _busiest(calls: Sequence[dict[str, Any]], window: float) -> int:
    """The most calls that the server answered within any of its minutes."""
    served = sorted(call["arrived"] for call in calls if call["answer"] == "ok")
    return max((sum(moment - window < other <= moment for other in served) for moment in served), default=0)


def main(argv: list[str]) -> None:
    del argv
    os.environ["QUANT_NOW"] = NOW
    load = Load()
    home = Path(tempfile.mkdtemp(prefix="qb"))
    try:
        database = Database.from_settings(Settings(QUANT_HOME=home))
        database.upgrade()
        with running(Exchange(codes=60, first_year=2025)) as sandbox:
            found = carry(load, sandbox, database)
        database.close()
    finally:
        server.stop(home)
        shutil.rmtree(home, ignore_errors=True)
    print(f"{load.processes} processes raised {found.raised:,} alerts in {found.raising:.0f} s, PushPlus down for half of it:")
    print(f"  events: {found.stored:,} ({found.repeated:,} raised twice); lost: {found.lost}; sent twice: {found.doubled}")
    print(f"  slowest enqueue: {found.slowest * 1_000:.0f} ms; all sent {found.draining:.0f} s after the last one was raised")
    print(f"  deliveries: {found.states}; digests: {found.digests}")
    for name, answers in found.answers.items():
        print(f"  {name} answered {answers}; busiest minute: {found.busiest[name]}")
    print(f"  out of order within a severity and channel: {found.disorder}")


if __name__ == "__main__":
    main([])
