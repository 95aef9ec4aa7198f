"""What the command `services` does and shows: the services and channels of QUANT_CHANNELS, switched and freed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from quant_pipeline.console.insight import Output
from quant_pipeline.console.tables import Column, FittedTable
from quant_pipeline.language import say
from quant_pipeline.retelling import retold
from quant_pipeline.services.health import Health, health_of
from quant_pipeline.services.manager import Manager
from quant_pipeline.sources import controls
from quant_pipeline.sources.controls import CIRCUITS
from quant_pipeline.warehouse.database import Database


def services(
    database: Database, manager: Manager, channels: Sequence[str], *, reset: str | None, priority: str | None
) -> Output:
    """Does what was asked for by hand, then shows. ValueError names what does not exist."""
    known = controls.called_apis(database)
    ours = {name: known.get(name, []) for name in (*manager.all(), *channels)}
    done = []
    if reset is not None:
        target = controls.source_api_of(reset, ours)
        done += controls.reset(database, target) or [say("{target}: nothing to reset", target=target)]
    if priority is not None:
        target, wanted = controls.priority_of(priority, {name: ours[name] for name in manager.all()})
        controls.set_priority(database, target, wanted)
        written = say("as the file says") if wanted is None else say("off") if wanted == 0 else wanted
        done.append(say("{target}: priority {priority}", target=target, priority=written))
    return _shown(manager, health_of(database, list(ours)), done)


def _shown(manager: Manager, health: Sequence[Health], done: Sequence[str]) -> Output:
    ranks = manager.ranks()
    facts: dict[str, Any] = {
        "done": list(done),
        "services": {name: _facts(manager, name, ranks) for name in manager.all()},
        "health": [vars(each) for each in health],
        "mistakes": dict(manager.mistakes),
    }
    table = FittedTable(
        say("Services: calls are those of the last day"),
        (
            Column(say("service")),
            Column(say("kind"), rank=3),
            Column(say("priority")),
            Column("API", rank=1),
            Column(say("circuit")),
            Column(say("calls"), figures=True),
            Column(say("ok %"), figures=True),
            Column(say("avg s"), rank=2, figures=True),
            Column(say("reason"), rank=4, words=20),
        ),
    )
    for name in dict.fromkeys([*manager.all(), *(each.name for each in health)]):
        of_name: list[Health | None] = [each for each in health if each.name == name]
        for each in of_name or [None]:
            table.add(name, *_service(manager, name, ranks), *_calls(each))
    mistakes = [Text.assemble(("✗ ", "red"), text) for text in manager.mistakes.values()]
    nothing = [Text(say("no service is set up: write [services.NAME] into QUANT_CHANNELS"))]
    return Output(facts, [*map(Text, map(retold, done)), *([table] if table.rows else nothing), *mistakes])


def _service(manager: Manager, name: str, ranks: Mapping[str, int]) -> tuple[str, str]:
    service = manager.all().get(name)
    if service is None:
        return say("channel"), ""
    off = not service.setup.enabled or not ranks[name]
    return f"{service.setup.kind}/{service.setup.provider}", say("off") if off else str(ranks[name])


def _calls(health: Health | None) -> tuple[str, str, str, str, str, str]:
    if health is None:
        return "", say("never used"), "", "", "", ""
    rate = "" if health.success_rate is None else f"{health.success_rate:.0%}"
    seconds = "" if health.seconds is None else f"{health.seconds:.2f}"
    circuit = say(CIRCUITS["blocked" if health.held and health.circuit == "closed" else health.circuit])
    return health.api, circuit, str(health.calls), rate, seconds, retold(health.reason or "") if health.held else ""


def _facts(manager: Manager, name: str, ranks: Mapping[str, int]) -> dict[str, Any]:
    setup = manager.all()[name].setup
    return {"kind": setup.kind, "provider": setup.provider, "enabled": setup.enabled, "priority": ranks[name]}
