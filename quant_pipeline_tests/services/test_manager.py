"""The services of a file: an adapter of an installed package, priorities, the switch while it runs, mistakes, health."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from quant_pipeline.cli import main
from quant_pipeline.services.manager import Manager
from quant_pipeline.services.registry import GROUP, registered
from quant_pipeline.services.result import UNREACHED
from quant_pipeline.sources.controls import SourceApi, set_priority
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sources.loopback import send_json, serving

# The ten lines of the documents.
MODULE = """
from quant_pipeline.services import Adapter, Result

class Kuaidi(Adapter):
    kind, provider, address = "logistics", "kuaidi", "https://poll.kuaidi100.com"
    needs = ("key",)

    def track(self, number: str) -> Result:
        asked = {"num": number, "key": self.key("key")}
        return self.call("track", "POST", "/poll/query.do", repeatable=True, json=asked)

class Twin(Kuaidi):
    pass

nothing = 5
"""
FILE = """
[services.first]
kind = "logistics"
provider = "kuaidi"
priority = 1
retry_times = 0
url = "{url}"
key = "${{KUAIDI_KEY}}"

[services.second]
kind = "logistics"
provider = "kuaidi"
priority = 2
retry_times = 0
url = "{other}"
key = "k2"

[services.off]
kind = "logistics"
provider = "kuaidi"
enabled = false
key = "k3"

[services.wrong]
kind = "logistics"
provider = "kuaid"

[services.poor]
kind = "logistics"
provider = "kuaidi"
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "plugged_service.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "plugged_service-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-service\nVersion: 1.0\n", encoding="utf-8")
    points = ["kuaidi = plugged_service:Kuaidi", "twin = plugged_service:Twin", "nothing = plugged_service:nothing"]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points]), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KUAIDI_KEY", "k-e-y")
    registered.cache_clear()
    yield
    registered.cache_clear()


def _respond(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    send_json(handler, {"of": body})


@pytest.mark.usefixtures("_installed")
def test_an_adapter_of_a_package_is_asked_by_priority_and_switched_while_it_runs(warehouse: Database, tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    with serving(_respond) as url, closing(Presence(warehouse.connect())) as presence:
        file.write_text(FILE.format(url="http://127.0.0.1:9", other=url), encoding="utf-8")
        manager = Manager(file, warehouse, Limiter(warehouse.pool, presence))
        assert [each.name for each in manager.of_kind("logistics")] == ["first", "second"]
        assert manager.mistakes["wrong"] == (
            "[services.wrong]: there is no adapter logistics/kuaid; known: logistics/kuaidi, sms/aliyun, sms/tencent"
        )
        assert manager.mistakes["poor"] == "[services.poor] lacks key"
        assert set(manager.mistakes) == {"wrong", "poor", "twin", "nothing"}
        # the first cannot be reached: the second has it
        result = manager.ask("logistics", lambda service: service.track("1"))
        assert result.data == {"of": {"num": "1", "key": "k2"}}
        assert manager.of_kind("logistics")[0].track("1").error_code == UNREACHED
        set_priority(warehouse, SourceApi("second", "*"), 0)
        assert [each.name for each in manager.of_kind("logistics")] == ["first"]
        set_priority(warehouse, SourceApi("second", "*"), 1)
        set_priority(warehouse, SourceApi("first", "*"), 3)
        assert [each.name for each in manager.of_kind("logistics")] == ["second", "first"]
        health = {each.name: each for each in manager.health()}
        assert (health["second"].success_rate, health["first"].success_rate) == (1.0, 0.0)
        best = manager.best("logistics")
        assert best is not None
        assert best.name == "second"


@pytest.mark.usefixtures("_installed")
def test_the_file_is_read_again_when_it_changes_and_its_mistakes_stop_nothing(tmp_path: Path) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(FILE.format(url="http://a", other="http://b"), encoding="utf-8")
    manager = Manager(file)
    assert [each.name for each in manager.of_kind("logistics")] == ["first", "second"]
    file.write_text('[services.only]\nkind = "logistics"\nprovider = "kuaidi"\nkey = "${NOBODY_SET_IT}"\n', encoding="utf-8")
    assert manager.of_kind("logistics") == []
    assert "NOBODY_SET_IT is not set" in manager.mistakes["only"]
    nothing = manager.ask("maps", lambda service: service.find("x"))
    assert (nothing.success, nothing.error_message) == (False, "no service of the kind maps is set up and on")
    assert Manager(None).of_kind("sms") == []
    absent = Manager(tmp_path / "absent.toml")
    assert absent.all() == {}
    assert "cannot be read" in absent.mistakes[""]


@pytest.mark.usefixtures("_installed")
def test_the_command_shows_switches_and_frees(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(FILE.format(url="http://127.0.0.1:9", other="http://127.0.0.1:9"), encoding="utf-8")
    values = {"QUANT_DATABASE_URL": warehouse.url, "QUANT_CHANNELS": str(file), "QUANT_HOME": str(tmp_path), "QUANT_LANG": "en"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["services", *arguments])

    with closing(Presence(warehouse.connect())) as presence:
        manager = Manager(file, warehouse, Limiter(warehouse.pool, presence))
        for _ in range(5):
            manager.all()["first"].track("1")
    shown = json.loads(call("--json").stdout)
    assert [(each["name"], each["circuit"], each["calls"]) for each in shown["health"]] == [("first", "open", 5)]
    assert {name: each["priority"] for name, each in shown["services"].items()} == {"first": 1, "second": 2, "off": 1}
    assert set(shown["mistakes"]) == {"wrong", "poor", "twin", "nothing"}
    freed = call("--reset", "first")
    assert "first.track: by hand, was: circuit open" in " ".join(freed.output.split())
    assert json.loads(call("--json").stdout)["health"][0]["circuit"] == "closed"
    assert "second: priority off" in call("--priority", "second=0").output
    assert [each.name for each in manager.of_kind("logistics")] == ["first"]
    unknown = call("--priority", "thrid=1")
    assert (unknown.exit_code, "Known: first, second, off" in unknown.output) == (1, True)
    assert "k-e-y" not in call().output + call("--json").output
