"""Messages and bindings as a user has them, by file and command: what arrives, and that no secret is kept anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import requests
from click.testing import CliRunner, Result

from quant_pipeline import settings
from quant_pipeline.cli import main
from quant_pipeline.jobs import bind_receiver
from quant_pipeline.notify import binding, receivers
from quant_pipeline.notify.binding import Invitation
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.severity import Severity
from quant_pipeline.resources import channels
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.vault import keys
from quant_pipeline.vault.kinds import TOKEN
from quant_pipeline.vault.vault import Vault
from quant_pipeline_tests.notify.conftest import Bench
from quant_pipeline_tests.notify.test_binding import scan

ROBOTS = ("wecom", "dingtalk", "feishu", "serverchan", "bark", "telegram", "webhook", "tencent_sms", "aliyun_sms", "pushplus")
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


@pytest.fixture
def installed(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bench's database and sandbox as the user's; the file of channels, which is not there yet."""
    file = tmp_path / "channels.toml"
    values = {
        "QUANT_DATABASE_URL": bench.database.url,
        "QUANT_HOME": str(tmp_path / "home"),
        "QUANT_LANG": "en",
        "PUSHPLUS_TOKEN": bench.sandbox.pushplus_token,
        "PUSHPLUS_SECRET_KEY": bench.sandbox.pushplus_secret,
        "PUSHPLUS_URL": bench.sandbox.pushplus_url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return file


@pytest.fixture
def everything(bench: Bench, installed: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A file with every robot, whose secrets stand in the environment; these secrets."""
    secrets: list[str] = []
    lines: list[str] = []
    for kind in ROBOTS:
        lines.append(f'[channels.{kind}]\nkind = "{kind}"')
        for name, value in bench.sandbox.channels()[kind].items():
            if name in ("key", "token", "secret_key", "key_id"):
                own = value if kind.endswith("sms") else f"{value}-{kind}-{name}"
                monkeypatch.setenv(f"OF_{kind}_{name}".upper(), own)
                secrets.append(own)
                value = f"${{OF_{kind}_{name}}}".upper()
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
        if kind.endswith("sms"):
            lines.append('phones = ["13800000000"]' if kind.startswith("t") else 'phones = ["13900000000"]')
    for kind in ROBOTS:
        lines.append(f'[receivers.{kind}_reader]\nchannels = ["{kind}"]')
    installed.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("QUANT_CHANNELS", str(installed))
    return secrets


def kept(bench: Bench) -> str:
    """All that stands in the database, as text."""
    names = [name for (name,) in bench.execute(_TABLES)]
    return "".join(str(bench.execute(f'SELECT t::text FROM "{name}" t')) for name in names)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["notify", *arguments])


def test_a_message_goes_over_every_channel_of_the_file_and_no_secret_stays(
    bench: Bench, everything: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    warehouse = WarehouseResource()
    notifier = NotifierResource(warehouse=warehouse)
    with caplog.at_level(logging.DEBUG):
        with warehouse.database.connect() as connection:
            notifier.enqueue(connection, "a", Message("一条消息", "**内容**"))
        assert notifier.deliver().sent == len(ROBOTS)
        bench.sandbox.order_fault("disconnect", server="robots", api="wecom")
        bench.sandbox.order_fault("token", server="pushplus", api="send")
        with warehouse.database.connect() as connection:
            notifier.enqueue(connection, "b", Message("另一条", "**内容**"))
        notifier.deliver()
    page = requests.get(bench.sandbox.inbox_url, timeout=10).text
    assert page.count("一条消息") >= len(ROBOTS)
    calls = dict(bench.execute("SELECT source, count(*) FROM source_calls GROUP BY source"))
    assert set(ROBOTS) <= set(calls), "counted where the sources' calls are"
    logged = "".join(each.getMessage() for each in caplog.records if not each.name.startswith("markdown_it"))
    stored = kept(bench)
    for secret in everything:
        assert secret not in stored
        assert secret not in logged


def test_the_commands_try_and_show_the_channels(bench: Bench, everything: list[str]) -> None:
    tried = call("test", "wecom")
    assert (tried.exit_code, "✓ wecom (wecom): taken: look whether it arrived" in tried.output) == (0, True)
    assert "✓ pushplus (pushplus): delivered" in call("test", "pushplus").output
    bench.sandbox.order_fault("quota", server="robots", api="dingtalk")
    refused = call("test", "dingtalk")
    assert refused.exit_code == 1
    assert "130101 send too fast" in refused.output
    assert "(again in 600 s)" in " ".join(refused.output.split())
    shown = json.loads(call("channels", "--json").stdout)
    assert [each["name"] for each in shown["channels"]] == list(ROBOTS)
    states = {each["name"]: each for each in shown["channels"]}
    assert (states["wecom"]["calls"], states["wecom"]["good"]) == (1, 1)
    assert states["dingtalk"]["held"] > 500
    unknown = call("test", "wecm")
    assert unknown.exit_code == 1
    assert "there is no channel 'wecm'" in unknown.output
    everyones = tried.output + refused.output + json.dumps(shown)
    assert not any(secret in everyones for secret in everything)


def test_mistakes_of_the_file_are_shown_and_leave_what_waits_waiting(
    bench: Bench, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed.write_text('[channels.ops]\nkind = "wecom"\nkye = "x"\n', encoding="utf-8")
    monkeypatch.setenv("QUANT_CHANNELS", str(installed))
    for arguments in (("channels",), ("test",), ("test", "ops")):
        told = call(*arguments)
        assert told.exit_code == 1
        assert "[channels.ops] has kye, which this kind does not have; did you mean key?" in " ".join(told.output.split())
    bench.enqueue("a")
    NotifierResource(warehouse=WarehouseResource()).deliver()
    assert bench.rows("status") == [("pending",)]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody who scans each code as soon as its picture is looked at."""
    original = binding.picture

    def by(name: str) -> None:
        def looked_at(invitation: Invitation) -> bytes:
            picture = original(invitation)
            scan(invitation, name)
            return picture

        monkeypatch.setattr(binding, "picture", looked_at)

    return by


@pytest.mark.usefixtures("installed")
def test_the_commands_bind_and_unbind_a_person(bench: Bench, watched: Callable[[str], None]) -> None:
    watched("妈妈")
    bound = call("bind", "mother", "--severities", "critical")
    assert bound.exit_code == 0, bound.output
    assert "█▀▀" in bound.output or "▄▄▄▄▄" in bound.output
    assert "/pushplus/qr/" in bound.output
    assert call("bind", "mother", "--severities", "critcal").output.count("did you mean critical?") == 1
    assert "✓ mother@pushplus (pushplus): delivered" in call("test", "mother@pushplus").output
    assert call("tell", "mother", "--severities", "critical,info").exit_code == 0
    (person,) = json.loads(call("receivers", "--json").stdout)["receivers"]
    assert (person["nickname"], person["severities"]) == ("妈妈", ["critical", "info"])
    address = call("callback")
    assert address.output.strip().splitlines()[-1].startswith("http://127.0.0.1:3001/callbacks/pushplus/")
    gone = json.loads(call("unbind", "mother", "--json").stdout)
    assert gone == {"receiver": "mother", "unbound": True, "removed_at_pushplus": True}
    assert bench.client.friends().data == []
    assert call("unbind", "mother").exit_code == 1


@pytest.mark.usefixtures("installed")
def test_a_run_shows_the_code_and_binds_who_scans_it(bench: Bench, watched: Callable[[str], None]) -> None:
    watched("爸爸")
    config = {"ops": {"invite": {"config": {"receiver": "father", "severities": ["warning"]}}}}
    result = bind_receiver.execute_in_process(run_config=config, resources={"warehouse": WarehouseResource()})
    assert result.success
    (told,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION]
    metadata = told.asset_observation_data.asset_observation.metadata
    assert str(metadata["扫码绑定 scan"].value).startswith("![QR](data:image/png;base64,iVBOR")
    (person,) = receivers.bound(bench.database)
    assert (person.receiver, person.nickname, list(person.severities)) == ("father", "爸爸", ["warning"])


@pytest.mark.usefixtures("installed")
def test_a_bound_person_is_told_by_the_outbox_without_any_file(bench: Bench, watched: Callable[[str], None]) -> None:
    watched("妈妈")
    call("bind", "mother", "--severities", "critical")
    bench.put("a", Message("标题", "紧急", severity=Severity.CRITICAL))
    bench.put("b", Message("标题", "平常", severity=Severity.INFO))
    NotifierResource(warehouse=WarehouseResource()).deliver()
    told = bench.execute("SELECT receiver, channel, count(*) FROM deliveries GROUP BY 1, 2 ORDER BY 1")
    assert told == [("me", "pushplus", 2), ("mother", "mother@pushplus", 1)]
    with channels.opened(bench.database, settings.load()) as found:
        account = found.channels["pushplus"]
        assert isinstance(account, PushPlus)
        (friend,) = account.friends().data
    assert friend.token not in kept(bench)


@pytest.mark.usefixtures("installed")
def test_a_secret_of_the_vault_opens_a_channel(
    bench: Bench, installed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    Vault(bench.database).put(TOKEN, "wecom", "sandbox-in-the-vault")
    url = bench.sandbox.robot_url("wecom")
    channel = f'kind = "wecom"\nurl = "{url}"\nkey = "vault:'
    installed.write_text(f'[channels.a]\n{channel}wecom"\n[channels.b]\n{channel}absent"\n', encoding="utf-8")
    monkeypatch.setenv("QUANT_CHANNELS", str(installed))
    assert call("test", "a").exit_code == 0
    told = call("test", "b")
    assert (told.exit_code, "absent of the vault cannot be had" in " ".join(told.output.split())) == (1, True)
    assert "sandbox-in-the-vault" not in kept(bench) + caplog.text
