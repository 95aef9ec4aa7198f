"""The command `ui`: Dagster's webserver, daemon and code server, and our own pages: kept running, one set for a database."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import psutil

from quant_pipeline.console.supervision import Server, kept_running
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.presence import Presence, Taken
from quant_pipeline.warehouse.server import ServerError

UI_PLACE = 2
"""Its number among the places that one process of all may hold (the sync slot is 1)."""
_LOOK = 1.0
_LOCATION = "quant_pipeline"
_logger = logging.getLogger(__name__)


class UiRunning(Taken):
    """Another UI runs on the same database; the text says where."""


class UiMissing(RuntimeError):
    """Dagster's webserver is not installed."""


def serve(host: str, port: int, *, log_format: str) -> NoReturn:
    """Serves until this process is interrupted. UiRunning when another one does on the same database.

    The code server stands apart from the others, which find it at its socket: so each of the three can be started again
    without the others.
    """
    scripts = Path(sys.executable).parent
    if not (scripts / "dagster-webserver").exists():
        raise UiMissing("the UI is not installed: pip install 'quant-pipeline[ui]'")
    database = WarehouseResource().database
    presence = _claim(database, f"http://{host}:{port}")
    print(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it 按 Ctrl-C 停止)", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="quant-ui") as folder:
        socket, workspace = Path(folder) / "code", Path(folder) / "workspace.yaml"
        location = {"grpc_server": {"socket": str(socket), "location_name": _LOCATION}}
        workspace.write_text(json.dumps({"load_from": [location]}), encoding="utf-8")
        code = ("code-server", "start", "--module-name", "quant_pipeline.definitions", "--location-name", _LOCATION)
        formatted = ("--log-format", log_format)
        servers = [
            Server("code server", scripts / "dagster", (*code, "--socket", str(socket), *formatted), _has_code),
            Server("daemon", scripts / "dagster-daemon", ("run", "--workspace", str(workspace), *formatted)),
            Server(
                "webserver",
                scripts / "dagster-webserver",
                ("--host", host, "--port", str(port), "--workspace", str(workspace), *formatted),
            ),
            Server("pages", scripts / "quant-pipeline", ("serve", "--host", host, "--port", str(port + 1))),
        ]
        with kept_running(servers) as look_after_them:
            while True:
                time.sleep(_LOOK)
                look_after_them()
                presence = _kept(presence, database, f"http://{host}:{port}")


def _claim(database: Database, address: str) -> Presence:
    presence = Presence(database.connect())
    if not presence.claim(UI_PLACE):
        where = presence.shown_at(UI_PLACE) or "an address that it does not show"
        presence.close()
        raise UiRunning(
            f"the UI of this database runs already, at {where}: open it there, or stop it first. 该数据库的界面已在运行"
        )
    presence.show(address)
    return presence


def _kept(presence: Presence, database: Database, address: str) -> Presence:
    """The same presence, or a new one where the server was away; connecting starts the embedded server again."""
    if presence.lasts():
        return presence
    _logger.warning("PostgreSQL was away 数据库连接中断，正在恢复")
    try:
        return _claim(database, address)
    except (DatabaseError, ServerError) as error:  # the next look tries again
        _logger.warning("%s", error)
        return presence


def _has_code(code_server: psutil.Process) -> bool:
    """The server that others talk to has another one behind it, which holds the code and starts the runs."""
    return any("grpc" in child.cmdline() for child in code_server.children() if child.status() != psutil.STATUS_ZOMBIE)
