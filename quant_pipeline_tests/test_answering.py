"""Links lead to where the pages answer: to the `ui` or `serve` that runs, on whatever port; not to one that was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from quant_pipeline import answering, settings
from quant_pipeline.answering import Answering
from quant_pipeline.cli import main
from quant_pipeline_tests.console.commanded import started

UI = Answering("http://127.0.0.1:4001", "http://127.0.0.1:4000")


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    return tmp_path


def links() -> tuple[str, str]:
    current = settings.load()
    return current.pages_url, current.ui_url


def test_links_name_what_runs_as_long_as_it_runs(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ("http://127.0.0.1:3001", "http://127.0.0.1:3000")
    assert links() == usual
    with answering.said(own_home, "sandbox", UI):
        assert links() == (UI.pages, UI.ui)
        monkeypatch.setenv("QUANT_MODE", "live")
        assert links() == usual, "the other mode's"
        monkeypatch.delenv("QUANT_MODE")
        monkeypatch.setenv("QUANT_PAGES_URL", "https://pages.example")
        assert links() == ("https://pages.example", UI.ui)
        monkeypatch.setenv("QUANT_UI_URL", "https://quant.example:8443")
        assert links() == ("https://pages.example", "https://quant.example:8443")
        monkeypatch.delenv("QUANT_PAGES_URL")
        assert links() == ("https://quant.example:8444", "https://quant.example:8443")
        monkeypatch.delenv("QUANT_UI_URL")
    assert links() == usual


def test_who_stops_the_server_is_told_of_what_starts_it_again(own_home: Path) -> None:
    said = CliRunner().invoke(main, ["db", "stop"]).stderr
    with answering.said(own_home, "sandbox", UI):
        warned = CliRunner().invoke(main, ["db", "stop"]).stderr
    assert (said, warned) == ("", f"What runs at {UI.ui} starts it again: stop that first.\n")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"mode": "sandbox", "created": null, "pages": "x", "ui": null}', None])
def test_a_file_that_says_nothing_of_a_living_process_does_not_count(own_home: Path, text: str | None) -> None:
    with answering.said(own_home, "sandbox", UI):
        (file,) = (own_home / "answering").glob("*.json")
        content = json.loads(file.read_text())
        # the same number, but a process that began at another time
        file.write_text(json.dumps(content | {"created": content["created"] - 60}) if text is None else text)
        assert answering.found(own_home, "sandbox") is None


def test_serve_is_found_on_any_port_and_not_once_it_was_killed(own_home: Path) -> None:
    serving = started("serve", "--port", "0", "--json")
    assert serving.stdout is not None
    try:
        url = json.loads(serving.stdout.readline())["url"]
        assert links() == (url, "http://127.0.0.1:3000")
        with answering.said(own_home, "sandbox", UI):
            assert links() == (UI.pages, UI.ui), "the ui's before those of serve"
    finally:
        psutil.Process(serving.pid).kill()
        serving.communicate()
    assert list((own_home / "answering").glob("*.json")), "it left its file"
    assert links()[0] == "http://127.0.0.1:3001"
    with answering.said(own_home, "sandbox", UI):
        assert [file.stem for file in (own_home / "answering").glob("*.json")] == [str(os.getpid())]
