"""A token that lacks, or is refused, is told in one line before anything is planned, with the setting; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner

from quant_pipeline.cli import main
from quant_pipeline_tests.assets.platform import Platform
from quant_pipeline_tests.console.commanded import checkout


@pytest.fixture
def live(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Live mode with an empty database, against a server of Tushare's protocol; it alone is in use, and what is derived."""
    url = platform.database.url
    monkeypatch.setenv("QUANT_MODE", "live")
    monkeypatch.setenv("QUANT_DATABASE_URL", url.replace(f"/{platform.database.name}?", "/live_tokens?"))
    with psycopg.connect(url.replace(f"/{platform.database.name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE live_tokens")
        with checkout(tmp_path) as instance:
            yield instance
        connection.execute("DROP DATABASE live_tokens WITH (FORCE)")


@pytest.mark.parametrize(
    ("token", "calls", "why"),
    [(None, 0, "no token: set TUSHARE_TOKEN"), ("wrong-token", 1, "Look at TUSHARE_TOKEN in .env; TUSHARE_PRIORITY=0")],
    ids=["lacks", "wrong"],
)
@pytest.mark.parametrize("command", [("run",), ("sync", "--datasets", "daily_kline,stock_list")], ids=" ".join)
def test_it_is_told_at_the_start_and_ends_the_command(
    platform: Platform,
    live: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    token: str | None,
    calls: int,
    why: str,
) -> None:
    if token is None:
        monkeypatch.delenv("TUSHARE_TOKEN")
    else:
        monkeypatch.setenv("TUSHARE_TOKEN", token)
    before = platform.asked()
    told = CliRunner().invoke(main, command)
    first, last = (line for line in told.output.splitlines() if line.startswith(("! ", "quant-pipeline: ")))
    assert (told.exit_code, first.startswith("! tushare"), why in first) == (1, True, True), told.output
    assert last.startswith("quant-pipeline: ")
    assert "Plan: " not in told.output
    assert (platform.asked() - before, live.get_runs()) == (calls, [])
