"""The file of channels: each kind of mistake is a sentence and stops no other channel; secrets, sandbox, plug-ins, example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quant_pipeline.notify.channels import configured as module
from quant_pipeline.notify.channels.configured import GROUP, Means, configured, kinds
from quant_pipeline.notify.routing import routes_of

ROOT = Path(__file__).parents[3]
SECRET = "hush-hush"
ALL = (
    "aliyun_sms",
    "apprise",
    "bark",
    "dingtalk",
    "email",
    "feishu",
    "pushplus",
    "serverchan",
    "telegram",
    "tencent_sms",
    "webhook",
    "wecom",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.toml"


def test_the_kinds_are_the_files_of_the_folder() -> None:
    assert kinds() == ALL


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ('[channels.a]\nkey = "x"', "a", '[channels.a] lacks its kind: write kind = "wecom", or another of aliyun_sms'),
        ('[channels.a]\nkind = "wecm"\nkey = "x"', "a", "[channels.a]: there is no kind 'wecm'; did you mean wecom? (known: "),
        ('[channels.a]\nkind = "wecom"', "a", "[channels.a]: key: it is missing"),
        (
            '[channels.a]\nkind = "wecom"\nkei = "x"',
            "a",
            "has kei, which this kind does not have; did you mean key?",
        ),
        ('[channels.a]\nkind = "wecom"\nkey = 5', "a", "[channels.a]: key: it must be a text"),
        ('[channels.a]\nkind = "wecom"\nkey = "x"\na_minute = 0', "a", "[channels.a]: a_minute: it must be at least 1"),
        ('[channels.a]\nkind = "wecom"\nkey = "${NOT_SET}"', "a", "the environment variable NOT_SET is not set"),
        ('[channels.a]\nkind = "wecom"\nkey = "vault:a"', "a", "the vault is not there, and a stands in it"),
        ('[channels.tushare]\nkind = "wecom"\nkey = "x"', "tushare", "tushare cannot be a channel's name"),
        ('[channels.a]\nkind = "pushplus"\ntoken = "x"\ntopic = "t"\nto = ["f"]', "a", "not to both: take one of them away"),
        ('[channels.a]\nkind = "tencent_sms"\nphones = ["12"]', "a", "12 is no number of a phone"),
        ('[channels.a]\nkind = "webhook"\nurl = "ftp://x"', "a", "url: "),
        ('[channels.a]\nkind = "webhook"\nurl = "http://x"\nbody = {a = "b"}', "a", "it holds none of {title}"),
        ("channels = 5", "", "write channels as [channels.NAME]"),
        ("[channels]\na = 5", "a", "is no table: write its lines below [channels.a]"),
        ("[channel.a]\nkind = 'wecom'", "", "there is no table channel; did you mean channels?"),
        ("[channels.a", "", "cannot be read"),
    ],
)
def test_a_mistake_is_a_sentence_and_stops_no_other(file: Path, text: str, name: str, sentence: str) -> None:
    whole = text.startswith(("[channels.a\n", "channels", "[channels]")) or text == "[channels.a"
    file.write_text(text + ("" if whole else '\n[channels.well]\nkind = "wecom"\nkey = "x"\n'), encoding="utf-8")
    found = configured(file, Means())
    assert sentence in found.mistakes[name]
    assert list(found.channels) == ([] if whole else ["well"])


@pytest.mark.parametrize(
    "text",
    [
        '[channels.a]\nkind = "SEC0123456789abcdef"',
        '[channels.a]\nkind = "SECRETsecretSECRET"',
        '[channels.a]\nkind = "wecom"\nSEC0123456789abcdef = "x"',
        '[channels.a]\nkind = "wecom"\nkey = "${SEC0123-456789abcdef}"',
        '["SEC0123456789abcdef".a]\nkind = "wecom"',
        '[channels.a]\nkind = "wecom"\nkey = {SEC0123456789abcdef = "SEC0123456789abcdef"}',
        '[receivers.me]\nchannels = ["SEC0123456789abcdef"]\nSEC0123456789abcdef = 1',
        '[[routes]]\nchannels = ["SEC0123456789abcdef"]',
        '[[routes]]\nreceiver = "SEC0123456789abcdef"\nchannels = []',
    ],
)
def test_what_may_be_a_secret_in_the_wrong_place_is_not_repeated(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    found = configured(file, Means())
    mistakes = [*found.mistakes.values(), *routes_of(found.tables, list(found.channels.values())).mistakes]
    assert mistakes
    assert not [each for each in mistakes if "SEC0" in each or "SECRET" in each]


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    assert "cannot be read" in configured(tmp_path / "absent.toml", Means()).mistakes[""]


def test_secrets_come_from_the_environment_and_the_vault_and_are_not_shown(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_MINE", SECRET)
    file.write_text(
        '[channels.a]\nkind = "wecom"\nkey = "${KEY_OF_MINE}"\n[channels.b]\nkind = "wecom"\nkey = "vault:b"\n'
        '[channels.c]\nkind = "wecom"\nkey = "vault:c"\n',
        encoding="utf-8",
    )

    def secret_of(name: str) -> str:
        if name == "c":
            raise RuntimeError("the vault holds no token named c")
        return f"{SECRET}-{name}"

    found = configured(file, Means(secret_of=secret_of))
    settings: Any = [found.channels[name].settings for name in "ab"]  # type: ignore[attr-defined]
    assert [each.key.get_secret_value() for each in settings] == [SECRET, f"{SECRET}-b"]
    assert found.mistakes == {"c": "[channels.c]: c of the vault cannot be had: the vault holds no token named c"}
    assert SECRET not in repr(found) + repr(settings)


def test_in_sandbox_mode_nothing_of_the_user_s_leaves_unless_he_wrote_the_address(file: Path) -> None:
    file.write_text(
        '[channels.a]\nkind = "wecom"\nkey = "${NOT_SET}"\n[channels.b]\nkind = "wecom"\nkey = "mine"\nurl = "http://mine"\n',
        encoding="utf-8",
    )
    found = configured(file, Means(simulated=lambda: {"wecom": {"url": "http://sandbox", "key": "sandbox"}}))
    settings: Any = [found.channels[name].settings for name in "ab"]  # type: ignore[attr-defined]
    asked = [(each.url, each.key.get_secret_value()) for each in settings]
    assert asked == [("http://sandbox", "sandbox"), ("http://mine", "mine")]


def test_every_channel_of_the_example_is_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "channels.example.toml").read_text(encoding="utf-8")
    above, _, below = text.partition("# Who gets what.")
    file.write_text(re.sub(r"^#(?=[\[a-z])", "", above, flags=re.MULTILINE), encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)\}", above):
        if name != "NAME":
            monkeypatch.setenv(name, "x" * 8)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('topic = ""', '#topic = ""'), encoding="utf-8")
    found = configured(file, Means())
    assert {channel.kind for channel in found.channels.values()} | {"apprise"} == set(ALL)
    assert set(found.mistakes) <= {"others"}, "apprise is an extra"
    assert "[receivers.me]" in below


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    code = (
        "from quant_pipeline.notify.channels.http_channel import ServiceChannel\n"
        "from quant_pipeline.notify.channels.contract import Limits\n"
        "from quant_pipeline.services import done\n"
        "class Pager(ServiceChannel):\n"
        "    kind, address, limits = 'pager', 'https://pager.example', Limits(a_minute=3)\n"
        "    def handed_over(self, message):\n"
        "        return self.client.attempt('send', lambda: done('beep'))\n"
    )
    (tmp_path / "plugged_channel.py").write_text(code, encoding="utf-8")
    info = tmp_path / "plugged_channel-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-channel\nVersion: 1.0\n", encoding="utf-8")
    points = f"[{GROUP}]\npager = plugged_channel:Pager\nbroken = no_module:X\n"
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module.kinds.cache_clear()
    yield
    module.kinds.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_a_package_adds_a_kind_and_a_broken_one_stops_none(file: Path) -> None:
    file.write_text('[channels.a]\nkind = "pager"\n[channels.b]\nkind = "broken"\n', encoding="utf-8")
    found = configured(file, Means())
    assert found.channels["a"].limits.a_minute == 3
    assert found.mistakes["b"].startswith("[channels.b]: the channel cannot be made")
