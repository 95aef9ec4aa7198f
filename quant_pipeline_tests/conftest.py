"""What every test may use: a clean environment, and a real PostgreSQL with an upgraded database of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest

from quant_pipeline import project
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.shares import LongestFirst, longest_first

_PREFIXES = ("QUANT_", "TUSHARE_", "PUSHPLUS_", "BAOSTOCK_", "AKSHARE_", "THS_", "SECRET_KEY", "PGPASSWORD")
# A busy machine is no failure: speed is measured in benchmarks/. CI asks the same questions every time.
hypothesis.settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("untimed")

# Partitions are made when their module is imported: for tests of all sessions, whatever a checkout's own database has.
os.environ["QUANT_PARTITIONS_START"] = "1990-12-19"

_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3

_numbers = itertools.count(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LongestFirst | None:
    """Of `--dist loadfile`: the order in which the tests are collected is that in which the files are given out."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return LongestFirst(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        longest_first(items)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No setting of the machine reaches a test: neither from the environment nor from a `.env`, nor its locale."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
            patch.delenv(name)
        patch.setattr(project, "ENV", ".env-of-nobody")
        patch.setenv("LANGUAGE", "en")
        yield


@pytest.fixture(autouse=True)
def _no_message_is_under_way_after_a_test() -> Iterator[None]:
    """What a run has sent beside itself ends with the test that ran it."""
    yield
    if "quant_pipeline.resources.postman" in sys.modules:
        sys.modules["quant_pipeline.resources.postman"].POSTMAN.finish()


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """The home of the tests' embedded server: a short path, removed at the end with the server.

    In memory where there is room: a thousand databases are copied and dropped, which costs a disk ten times as long.
    """
    memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    directory = Path(tempfile.mkdtemp(prefix="qp", dir=_MEMORY if memory else None))
    yield directory
    server.stop(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def database(home: Path) -> Iterator[Database]:
    """The session's server, and in it an upgraded database that `warehouse` is copied from: not to be written to."""
    template = Database.from_settings(Settings(QUANT_HOME=home))
    template.upgrade()
    template.close()
    yield template
    template.close()


@pytest.fixture
def warehouse(database: Database, home: Path) -> Iterator[Database]:
    """An upgraded, empty database of the test's own (a copy of the template)."""
    with copied(database, home) as own:
        yield own


@contextmanager
def copied(template: Database, home: Path) -> Iterator[Database]:
    """A copy of a database that nobody is connected to; it is dropped at the end."""
    name = f"test_{next(_numbers)}"
    server_url = urlsplit(template.url)._replace(path="/postgres").geturl()
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template.name} STRATEGY FILE_COPY")
        own = Database(urlsplit(template.url)._replace(path=f"/{name}").geturl(), Mode.SANDBOX, home=home)
        yield own
        own.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
