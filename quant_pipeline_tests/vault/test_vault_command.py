"""The commands of the vault, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quant_pipeline.cli import main
from quant_pipeline.vault import keys
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database

TOKEN = "sandbox-token-of-wecom"


@pytest.fixture(autouse=True)
def installed(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("QUANT_LANG", "en")
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)


def call(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["vault", *arguments], input=given)


def test_a_secret_is_kept_listed_and_forgotten_and_never_shown(folder: Path, vault: Vault) -> None:
    made = call("init")
    assert made.exit_code == 0
    assert str(folder / ".env") in made.output
    key = (folder / ".env").read_text().strip().removeprefix("SECRET_KEY=")
    kept = call("put", "wecom", given=f"{TOKEN}\n")
    assert kept.exit_code == 0
    assert vault.get("token", "wecom") == TOKEN
    listed, told = call("list"), json.loads(call("list", "--json").stdout)
    assert "wecom" in listed.output
    assert [(each["kind"], each["name"]) for each in told["records"]] == [("token", "wecom")]
    rotated = call("rotate")
    assert rotated.exit_code == 0
    assert vault.get("token", "wecom") == TOKEN
    gone = call("forget", "token", "wecom")
    assert gone.output == "Forgotten: 1.\n"
    assert call("forget", "token", "wecom").exit_code == 1
    shown = "".join(each.output for each in (made, kept, listed, rotated, gone))
    assert TOKEN not in shown
    assert key not in shown


def test_without_a_key_it_is_one_line_with_the_command(folder: Path) -> None:
    refused = call("put", "wecom", given=TOKEN)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("quant-pipeline: SECRET_KEY is not set")
    assert "quant-pipeline vault init" in refused.stderr
    assert not (folder / ".env").exists()


def test_nothing_given_is_nothing_kept(vault: Vault) -> None:
    call("init")
    assert call("put", "wecom", given="\n").exit_code == 2
    assert vault.records() == []


def test_a_new_key_can_be_shown_for_a_secret_store_and_nothing_is_written(folder: Path) -> None:
    first, other = call("init", "--print").output, call("init", "--print").output
    assert first.startswith("SECRET_KEY=")
    assert first != other
    assert not (folder / ".env").exists()


def test_what_to_forget_is_named_whole(vault: Vault) -> None:
    call("init")
    call("put", "wecom", given=TOKEN)
    assert call("forget").exit_code == call("forget", "token").exit_code == call("forget", "--all", "token", "x").exit_code == 2
    assert vault.holds("token", "wecom")
    assert call("forget", "--all").output == "Forgotten: 1.\n"
