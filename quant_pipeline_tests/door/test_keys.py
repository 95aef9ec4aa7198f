"""The keys of the door: made by the command, kept as digests, revocable, limited; and who gets in without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from quant_pipeline import settings
from quant_pipeline.cli import main
from quant_pipeline.door import keys
from quant_pipeline.door.keys import KeyProblem, Scope
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.served import served

WRONG = "您的token不对，请确认。"


def call(url: str, token: str = "any", **headers: str) -> dict[str, Any]:
    body = {"api_name": "trade_cal", "token": token, "params": {}, "fields": ""}
    answer = requests.post(url, json=body, headers=headers, timeout=60)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture
def door(warehouse: Database) -> Iterator[str]:
    with served(Settings(), warehouse) as url:
        yield url


def test_this_machine_needs_no_key_until_one_is_made(door: str, warehouse: Database) -> None:
    assert WRONG not in call(door)["msg"]
    key = keys.add(warehouse, "notebook", Scope.READ, None)
    refused = call(door)
    assert (refused["code"], refused["data"]) == (40101, None)
    assert refused["msg"].startswith(WRONG)
    assert WRONG not in call(door, key)["msg"]
    assert requests.get(f"{door}/data", timeout=60).status_code == 200, "the pages are for whoever sits here"


def test_a_key_is_stored_as_a_digest_and_its_use_is_seen(door: str, warehouse: Database) -> None:
    key = keys.add(warehouse, "notebook", Scope.READ, None)
    assert keys.every(warehouse)[0].last_used_at is None
    call(door, key)
    assert keys.every(warehouse)[0].last_used_at is not None
    with warehouse.connect() as connection:
        (row,) = connection.execute("SELECT door_keys::text FROM door_keys").fetchall()
    assert key.split("_", 2)[2] not in row[0], "a secret may have a _ of its own"


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1] + "!", lambda key: key[:-2], lambda key: "qp_" + "0" * 12 + key[15:], str.upper]
)
def test_a_key_that_differs_in_anything_opens_nothing(warehouse: Database, change: Any) -> None:
    key = keys.add(warehouse, "notebook", Scope.READ, None)
    assert keys.found(warehouse, key) is not None
    assert keys.found(warehouse, change(key)) is None


def test_a_revoked_key_opens_nothing_from_the_next_call_on(door: str, warehouse: Database) -> None:
    kept, lost = (keys.add(warehouse, name, Scope.READ, None) for name in ("kept", "lost"))
    assert WRONG not in call(door, lost)["msg"]
    keys.revoke(warehouse, "lost")
    assert call(door, lost)["code"] == 40101
    assert WRONG not in call(door, kept)["msg"]
    with pytest.raises(KeyProblem, match="lost"):
        keys.revoke(warehouse, "lost")
    keys.add(warehouse, "lost", Scope.READ, None)


def test_two_keys_do_not_bear_one_name(warehouse: Database) -> None:
    keys.add(warehouse, "desk", Scope.READ, None)
    with pytest.raises(KeyProblem, match="serve token revoke desk"):
        keys.add(warehouse, "desk", Scope.ADMIN, None)
    with pytest.raises(KeyProblem, match="no name"):
        keys.add(warehouse, "a b", Scope.READ, None)


def test_a_scope_includes_those_before_it(warehouse: Database) -> None:
    for scope, may in (("read", [True, False, False]), ("run", [True, True, False]), ("admin", [True, True, True])):
        key = keys.found(warehouse, keys.add(warehouse, scope, Scope(scope), None))
        assert key is not None
        assert [key.may(each) for each in Scope] == may


def test_a_key_s_own_pace_is_told_in_tushare_s_words(door: str, warehouse: Database) -> None:
    slow, quick = keys.add(warehouse, "slow", Scope.READ, 2), keys.add(warehouse, "quick", Scope.READ, None)
    assert [call(door, slow)["code"] == 40203 for _ in range(3)] == [False, False, True]
    assert "每分钟最多访问该接口2次" in call(door, slow)["msg"]
    assert call(door, quick)["code"] != 40203


def test_an_address_that_others_reach_asks_for_a_key_everywhere(warehouse: Database) -> None:
    with served(Settings(), warehouse, host="0.0.0.0") as url:
        url = url.replace("0.0.0.0", "127.0.0.1")
        page = requests.get(f"{url}/data", timeout=60)
        assert page.status_code == 401
        assert "serve token add" in page.text
        assert page.headers["WWW-Authenticate"].startswith("Basic")
        assert requests.get(f"{url}/static/icon.svg", timeout=60).status_code == 200
        assert call(url)["code"] == 40101, "no key was made, and still nobody gets in"
        key = keys.add(warehouse, "desk", Scope.READ, 4)
        assert WRONG not in call(url, key)["msg"]
        for shown in ({"headers": {"Authorization": f"Bearer {key}"}}, {"headers": {"X-API-Key": key}}, {"auth": ("me", key)}):
            assert requests.get(f"{url}/data", timeout=60, **shown).status_code == 200  # type: ignore[arg-type]
        assert requests.get(f"{url}/data", auth=("me", key[:-1]), timeout=60).status_code == 401
        many = requests.get(f"{url}/data", auth=("me", key), timeout=60)
        assert (many.status_code, many.headers["Retry-After"].isdigit()) == (429, True)


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}, {"X-Real-IP": "10.9.8.7"}, {"Host": "desk"}],
)
def test_what_a_proxy_passes_on_to_the_loopback_needs_a_key_everywhere(warehouse: Database, headers: dict[str, str]) -> None:
    with served(Settings(QUANT_PAGES_URL="http://desk"), warehouse) as url:
        for path in ("/data", "/api/sync/history"):
            assert requests.get(url + path, headers=headers, timeout=60).status_code == 401, "even before a key was made"
            assert requests.get(url + path, headers={"Host": "localhost"}, timeout=60).status_code == 200
        if "Host" not in headers:
            assert call(url, **headers)["code"] == 40101
        key = keys.add(warehouse, "desk", Scope.READ, None)
        assert requests.get(f"{url}/data", headers=headers, auth=("me", key), timeout=60).status_code == 200
        assert requests.get(f"{url}/data", timeout=60).status_code == 200, "the pages are for whoever sits here"


def test_the_command_makes_lists_and_revokes_keys(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)

    def ran(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["serve", "token", *arguments])
        assert result.exit_code == code, result.output
        return result.stdout

    made = json.loads(ran("add", "desk", "--scope", "run", "--per-minute", "60", "--json"))
    found = keys.found(warehouse, made["token"])
    assert found is not None
    assert (found.name, found.scope, found.per_minute) == ("desk", "run", 60)
    listed = json.loads(ran("list", "--json"))["keys"]
    assert [(each["name"], each["revoked_at"]) for each in listed] == [("desk", None)]
    assert made["token"].split("_", 2)[2] not in ran("list", "--json")
    ran("revoke", "desk")
    assert keys.found(warehouse, made["token"]) is None
    ran("revoke", "desk", code=1)


def test_serve_on_another_address_wants_a_key_first(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0"])
    assert result.exit_code == 1
    assert "quant-pipeline serve token add NAME" in result.stderr


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Host": "api.waditu.com"}, False),
        ({"Host": "localhost"}, False),
        ({"Host": "evil.example"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "http://6.6.6.6"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://localhost:8000"}, False),
    ],
)
def test_foreign_hosts_and_pages_are_refused_in_the_client_s_form(door: str, headers: dict[str, str], refused: bool) -> None:
    told = call(door, **headers)
    assert (told["code"] == -2001 and "不接受" in told["msg"]) is refused
    if headers.get("Host") == "api.waditu.com":
        assert requests.get(f"{door}/data", headers=headers, timeout=60).status_code == 421, "for its calls alone"


def test_no_other_site_s_page_reads_an_answer_unless_it_is_named(warehouse: Database) -> None:
    desk, foreign = "https://desk.example", "https://evil.example"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"}

    def allowed(url: str, origin: str, key: str = "") -> tuple[str | None, str | None, int]:
        first = requests.options(f"{url}/api/watchlist", headers={"Origin": origin, **asks}, timeout=60)
        read = requests.get(f"{url}/api/watchlist", headers={"Origin": origin, "X-API-Key": key}, timeout=60)
        body = {"symbols": ["1"], "preferred_sources": ["none"]}
        sent = requests.post(f"{url}/api/sync/trigger", json=body, headers={"Origin": origin, "X-API-Key": key}, timeout=60)
        name = "Access-Control-Allow-Origin"
        return first.headers.get(name), read.headers.get(name), sent.status_code

    with served(Settings(), warehouse) as url:
        assert allowed(url, desk) == (None, None, 403)
    with served(Settings(QUANT_SERVE_ORIGINS=f"{desk}, http://localhost:5173"), warehouse) as url:
        assert allowed(url, foreign) == (None, None, 403)
        assert allowed(url, desk) == (desk, desk, 400), "it is taken, and refused for what it asks"
        keys.add(warehouse, "notebook", Scope.READ, None)
        assert allowed(url, desk) == (desk, desk, 401), "a named site needs a key as anybody does"
        hers = requests.get(f"{url}/api/watchlist", headers={"Origin": desk}, timeout=60)
        assert "Access-Control-Allow-Credentials" not in hers.headers, "no password of the browser's goes along"


@pytest.mark.parametrize("origin", ["*", "desk.example", "https://desk.example/", "ftp://desk.example"])
def test_what_is_no_origin_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("QUANT_SERVE_ORIGINS", origin)
    with pytest.raises(settings.SettingsError, match=r"QUANT_SERVE_ORIGINS.*is no site's origin: write https://desk\.example"):
        settings.load()


def test_a_database_that_is_away_is_told_in_each_one_s_form() -> None:
    away = Settings(QUANT_DATABASE_URL="postgresql://nobody:s3cr3t@127.0.0.1:1/none")
    with served(away) as url:
        told = call(url)
        assert told["code"] == 50101
        assert "数据库" in told["msg"]
        health = requests.get(f"{url}/health", timeout=60)
        assert (health.status_code, health.json()["status"]) == (503, "degraded")
        problem = requests.get(f"{url}/api/sync/status", timeout=60)
        assert (problem.status_code, problem.json()["error"]["command"]) == (503, "quant-pipeline status")
        assert not any("s3cr3t" in text for text in (told["msg"], health.text, problem.text))
