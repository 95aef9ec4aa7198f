"""The command `ui`: Dagster's webserver, daemon and code server, and our own pages, kept running: one set for a database."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import psutil
from rich.console import Console

from quant_pipeline import answering, door
from quant_pipeline.console import tethered
from quant_pipeline.console.nursery import Nursery
from quant_pipeline.console.ports import PortTaken, refuse_taken
from quant_pipeline.console.supervision import Server, kept_running
from quant_pipeline.forked import titled
from quant_pipeline.language import marked, say
from quant_pipeline.resources.daemon_presence import running_daemon
from quant_pipeline.resources.dagster_private import chatter
from quant_pipeline.resources.dagster_private.code_ahead import load_code_ahead
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.presence import Presence, Taken
from quant_pipeline.warehouse.server import ServerError

UI_PLACE = 2
"""Its number among the places that one process of all may hold (the sync slot is 1, the daemon 3)."""
STOPPED: Final = marked("The UI is stopped, and with it the daemon: no scheduled job runs until it is started again.")
FAREWELL = 12.0
"""Seconds that its servers have to end."""
_LOOK = 1.0
_GLANCE = 0.1
_LOOK_AT_FIRST = 0.3
"""While they start: what is due begins at once."""
_LEFT_BEHIND = 15.0
"""Seconds in which the daemon of a killed `ui` ends by itself."""
_SANDBOX_CALL = 60.0
"""Seconds between two calls that keep the sandbox from ending itself: its inbox is open for as long as the UI is."""
_LOCATION = "quant_pipeline"
_logger = logging.getLogger(__name__)


class UiRunning(Taken):
    """Another UI, or another daemon, runs on the same database; the text says where."""


class UiMissing(RuntimeError):
    """Dagster's webserver is not installed."""


@dataclass(frozen=True)
class Place:
    """Where the UI listens."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """As a browser on this machine takes it."""
        return answering.address(self.host, self.port)


def serve(
    place: Place,
    settings: Settings,
    opened: Callable[[], Database],
    console: Console,
    *,
    nursery: Nursery | None,
    as_json: bool,
) -> NoReturn:
    """Serves until this process is interrupted. Taken when the port, or the place on the same database, is another's.

    The code server stands apart from the others, which find it at its socket: so each can be started again without the
    others. Our own pages answer first: they need nothing of Dagster's, whose servers are forked from the `nursery`. Its
    webserver loads its modules beside the code, and begins when that answers; the daemon begins when the webserver answers.
    """
    scripts = Path(sys.executable).parent
    if not (scripts / "dagster-webserver").exists():
        raise UiMissing(say("the UI is not installed: pip install 'quant-pipeline[ui]'"))
    _refuse_taken(place, settings, opened)
    starting = say("Starting the UI …")
    with console.status(starting):
        database = opened()
        presence = _claim(database, place.address)
        _refuse_a_second_daemon(database)
    if "ui_url" not in settings.model_fields_set:
        os.environ["QUANT_UI_URL"] = place.address  # messages of its runs link to this UI
    pages = Place(place.host, place.port + 1)
    where = answering.Answering(pages.address, place.address)
    with (
        tempfile.TemporaryDirectory(prefix="quant-ui", dir=_short_folder()) as folder,
        answering.said(settings.home, settings.mode, where),
    ):
        answered: list[bool] = []
        servers = _servers(scripts, Path(folder), place, nursery, as_json=as_json, answers=lambda: bool(answered))
        with kept_running(servers) as look_after_them:
            if not console.is_terminal:
                console.print(starting)
            with console.status(starting):
                _wait_until(lambda: answering.answers(f"{pages.address}/static/icon.svg"), look_after_them)
                _show(say("Pages"), pages.address, console)
                _wait_until(lambda: answering.answers(f"{place.address}/server_info"), look_after_them)
                answered.append(True)
                look_after_them()
                _show(say("Dagster UI"), place.address, console)
                _show(say("SANDBOX inbox"), _inbox(settings), console)
            console.print(say("Ctrl-C stops all of it"), highlight=False)
            called = time.monotonic()
            while True:
                time.sleep(_LOOK)
                look_after_them()
                presence = _kept(presence, database, place.address)
                if time.monotonic() > called + _SANDBOX_CALL:
                    called = time.monotonic()
                    _inbox(settings)


def _servers(
    scripts: Path, folder: Path, place: Place, nursery: Nursery | None, *, as_json: bool, answers: Callable[[], bool]
) -> Sequence[Server]:
    socket_path, workspace = folder / "code", folder / "workspace.yaml"
    location = {"grpc_server": {"socket": str(socket_path), "location_name": _LOCATION}}
    workspace.write_text(json.dumps({"load_from": [location]}), encoding="utf-8")
    code = ("code-server", "start", "--module-name", "quant_pipeline.definitions", "--location-name", _LOCATION)
    # A person reads what is wrong, the UI shows the rest; a log collector takes all of it.
    level, formatted = ("info", "json") if as_json else ("warning", "colored")
    logged = ("--log-level", level, "--log-format", formatted)
    code_server = Server(
        "code server",
        scripts / "dagster",
        (*code, "--socket", str(socket_path), *logged),
        _has_code,
        module="dagster",
        chatter=None if as_json else chatter.SAYS_NOTHING,
        nursed=nursery,
        before=None if nursery is None else load_code_ahead,
    )
    return [
        Server("pages", Path(door.__file__).with_name("__main__.py"), (place.host, str(place.port + 1))),
        code_server,
        Server(
            "webserver",
            Path(chatter.__file__).with_name("webserver.py"),
            (
                *("--host", place.host, "--port", str(place.port), "--workspace", str(workspace)),
                *("--dagster-log-level", level, "--log-format", formatted),
            ),
            behind=socket_path,
            module="dagster_webserver.cli",
            nursed=nursery,
        ),
        Server(
            "daemon",
            scripts / "dagster-daemon",
            ("run", "--workspace", str(workspace), *logged),
            behind=socket_path,
            module="dagster",
            due=answers,
            nursed=nursery,
        ),
    ]


def _short_folder() -> str | None:
    """None: the machine's usual one, where a socket's path in it is short enough (107 bytes on Linux, 103 on macOS)."""
    return None if len(os.fsencode(tempfile.gettempdir())) < 80 else "/tmp"


def _wait_until(fulfilled: Callable[[], bool], look_after: Callable[[], None]) -> None:
    looked = time.monotonic()
    while not fulfilled():
        time.sleep(_GLANCE)
        if time.monotonic() > looked + _LOOK_AT_FIRST:
            looked = time.monotonic()
            look_after()


def _show(name: str, address: str | None, console: Console) -> None:
    """A line with what a person opens."""
    if address is not None:
        console.print(f"[bold]{name}[/]", address, highlight=False)


def _inbox(settings: Settings) -> str | None:
    """Where the sandbox shows the messages; None where they go to a real service. It is started when it does not run."""
    from quant_pipeline.resources import upstream  # with all sources: the pages do not wait for that

    try:
        return upstream.inbox(settings)
    except (RuntimeError, OSError) as error:
        _logger.warning("%s", error)
        return None


def _refuse_taken(place: Place, settings: Settings, opened: Callable[[], Database]) -> None:
    """As `refuse_taken`; where pages of this home answer, it is first asked whether they are those of the same database: who
    starts `ui` twice is told of the first one, not of a program that he does not know. No database is made for that."""
    try:
        refuse_taken(place.host, place.port, wanted_for=say("the UI"))
        refuse_taken(place.host, place.port + 1, wanted_for=say("our own pages"))
    except PortTaken:
        if answering.found(settings.home, settings.mode) is not None:
            _claim(opened(), place.address).close()
        raise


def _claim(database: Database, address: str) -> Presence:
    presence = Presence(database.connect())
    if not presence.claim(UI_PLACE):
        where = presence.shown_at(UI_PLACE) or say("an address that it does not show")
        presence.close()
        raise UiRunning(say("the UI of this database runs already, at {where}: open it there, or stop it first", where=where))
    presence.show(address)
    return presence


def _refuse_a_second_daemon(database: Database) -> None:
    """Two daemons on one database would start every scheduled run twice. That of a killed `ui` is waited for: it is ending."""
    deadline = time.monotonic() + _LEFT_BEHIND
    while (daemon := running_daemon(database.connect())) is not None:
        if time.monotonic() > deadline or not _is_left_behind(daemon):
            raise UiRunning(
                say(
                    "a Dagster daemon works on this database already ({daemon}; of `dg dev`, or dagster-daemon): "
                    "stop it first, `ui` brings its own",
                    daemon=daemon,
                )
            )
        time.sleep(_GLANCE)


def _is_left_behind(daemon: str) -> bool:
    host, _, pid = daemon.rpartition(":")
    with suppress(psutil.Error, ValueError):
        return host == socket.gethostname() and tethered.__name__ in titled(psutil.Process(int(pid)))
    return host == socket.gethostname()  # it has ended since


def _kept(presence: Presence, database: Database, address: str) -> Presence:
    """The same presence, or a new one where the server was away; connecting starts the embedded server again."""
    if presence.lasts():
        return presence
    _logger.warning(say("PostgreSQL was away"))
    try:
        return _claim(database, address)
    except (DatabaseError, ServerError) as error:  # the next look tries again
        _logger.warning("%s", error)
        return presence


def _has_code(code_server: psutil.Process) -> bool:
    """The server that others talk to has another one behind it, which holds the code and starts the runs."""
    return any("grpc" in titled(child) for child in code_server.children())
