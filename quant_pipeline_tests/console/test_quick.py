"""What only looks does not load what only works: Dagster, pandas, SQLAlchemy take most of a second each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quant_pipeline import door
from quant_pipeline.market import xshg
from quant_pipeline.warehouse import known_schema, schema
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import loaded_by


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", ["status", "history", "sources", "stats", "ths status"])
def test_a_look_loads_no_more_than_it_needs(platform: Platform, command: str) -> None:
    del platform
    known_schema.remember(schema.fingerprint())
    xshg.xshg.cache_clear()
    xshg.xshg()  # remembered, too
    heavy = {"dagster", "pandas", "sqlalchemy", "alembic", "akshare", "tushare", "pyarrow", "numpy", "requests", "psycopg_pool"}
    frames = {"polars", "adbc_driver_manager"} if command in ("status", "history", "sources", "stats") else set()
    assert loaded_by(*command.split()) & (heavy | frames) == set()


def test_polars_is_loaded_when_something_of_it_is_used_by_whichever_thread_comes_first() -> None:
    script = (
        "import gc, sys; from concurrent.futures import ThreadPoolExecutor; from quant_pipeline.loading import only_looking; "
        "only_looking(); import polars as pl; from quant_pipeline.market import codes; "
        "assert not gc.isenabled() and 'polars.dataframe' not in sys.modules; "
        "pool = ThreadPoolExecutor(8); "
        "print(*{each.result() for each in [pool.submit(lambda: str(pl.select(pl.lit(7)).item())) for _ in range(8)]}); "
        "import polars; assert isinstance(pl.DataFrame(), polars.DataFrame) and polars is not pl"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["7"]


def test_help_loads_next_to_nothing() -> None:
    assert loaded_by("--help") & {"dagster", "pandas", "sqlalchemy", "polars", "psycopg", "pydantic", "rich"} == set()


def test_a_code_location_loads_what_declares_assets_and_not_what_computes_them() -> None:
    xshg.xshg.cache_clear()
    xshg.xshg()  # remembered
    script = (
        "import gc, sys, quant_pipeline.definitions; assert gc.isenabled(); "
        "print(*{name.partition('.')[0] for name in sys.modules}, *sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert {"dagster", "quant_pipeline.assets.screens", "quant_pipeline.sources.baostock"} <= loaded
    computing = {
        "polars.dataframe",
        "numpy",
        "numba",
        "pandas",
        "pyarrow",
        "matplotlib",
        "plotly",
        "adbc_driver_manager",
        "cryptography",
        "jinja2",
    }
    serving = {"fastapi", "uvicorn", "dagster_webserver", "requests", "httpx", "tushare", "akshare", "baostock", "sqlalchemy"}
    assert loaded & (computing | serving) == set()


def test_tables_of_other_code_are_asked_again(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "quant_pipeline.warehouse.schema")
    with warehouse.connect() as connection:
        assert not known_schema.is_current(connection, warehouse.mode), "nothing is remembered yet"
        known_schema.remember(schema.fingerprint())
        assert known_schema.is_current(connection, warehouse.mode)
        package = tmp_path / "package"
        for room in ("market", "warehouse"):
            shutil.copytree(Path(known_schema.__file__).parents[1] / room, package / room)
        (package / "market" / "datasets.py").open("a").write("# another column\n")
        monkeypatch.setattr(known_schema, "_PACKAGE", package)
        assert not known_schema.is_current(connection, warehouse.mode)
        monkeypatch.setattr(known_schema, "_PACKAGE", Path(known_schema.__file__).parents[1])
        connection.execute("UPDATE quant_warehouse SET fingerprint = 'older'")
        assert not known_schema.is_current(connection, warehouse.mode)


def test_our_own_pages_do_not_load_a_client_of_socket_io(tmp_path: Path) -> None:
    door_main = Path(door.__file__).with_name("__main__.py")
    lines = door_main.read_text(encoding="utf-8").partition("    host, port")[0]
    script = tmp_path / "loads.py"
    script.write_text(f"{lines}    print(*sys.modules)\n", encoding="utf-8")
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert {"quant_pipeline.door.app", "socketio", "fastapi"} <= loaded
    assert loaded & {"aiohttp.client", "pandas", "matplotlib", "dagster", "sqlalchemy", "numba"} == set()
