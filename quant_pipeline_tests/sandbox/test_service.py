"""The life cycle: one detached sandbox per home folder, found by all, ended when nobody needs it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import pytest
import requests

from quant_pipeline.market import clock
from quant_pipeline.sandbox import starter
from quant_pipeline.sandbox.__main__ import simulated
from quant_pipeline.sandbox.addresses import Addresses


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    starter.stop(tmp_path)


def health(addresses: Addresses) -> dict[str, object]:
    answer: dict[str, object] = requests.get(
        f"{addresses.control_url}/health", headers=addresses.control_headers, timeout=10
    ).json()
    return answer


def test_it_is_started_once_and_stopped(own_home: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: starter.ensure_running(own_home), range(4)))
    (addresses,) = found
    pid = health(addresses)["pid"]
    assert health(starter.ensure_running(own_home))["pid"] == pid
    assert addresses.environment() == {
        "TUSHARE_URL": f"http://127.0.0.1:{addresses.port}/dataapi",
        "TUSHARE_TOKEN": "sandbox-token",
        "PUSHPLUS_URL": f"http://127.0.0.1:{addresses.port}/pushplus",
        "PUSHPLUS_TOKEN": "sandbox-token",
        "PUSHPLUS_SECRET_KEY": "sandbox-secret",
        "THS_API_URL": f"http://127.0.0.1:{addresses.port}/ths-api",
        "THS_API_KEY": "sandbox-token",
        "THS_UPASS_URL": f"http://127.0.0.1:{addresses.port}/ths/upass",
        "THS_AUTH_URL": f"http://127.0.0.1:{addresses.port}/ths/auth",
        "THS_UGC_URL": f"http://127.0.0.1:{addresses.port}/ths/ugc",
        "THS_T_URL": f"http://127.0.0.1:{addresses.port}/ths/t",
        "TENCENT_QUOTES_URL": f"http://127.0.0.1:{addresses.port}/tencent-quotes",
        "TENCENT_RANKS_URL": f"http://127.0.0.1:{addresses.port}/tencent-ranks",
        "SINA_QUOTES_URL": f"http://127.0.0.1:{addresses.port}/sina-quotes",
        "BAOSTOCK_HOST": "127.0.0.1",
        "BAOSTOCK_PORT": str(addresses.baostock_port),
        "HTTP_PROXY": f"http://127.0.0.1:{addresses.proxy_port}",
        "HTTPS_PROXY": f"http://127.0.0.1:{addresses.proxy_port}",
        "REQUESTS_CA_BUNDLE": addresses.ca_file,
        "CURL_CA_BUNDLE": addresses.ca_file,
        "NO_PROXY": "localhost,127.0.0.1",
    }
    assert starter.stop(own_home)
    assert not psutil.pid_exists(int(str(pid)))
    assert not starter.stop(own_home)


def test_begun_ahead_it_is_the_one_that_is_found_later(own_home: Path) -> None:
    begun = [starter.start_ahead(own_home), starter.start_ahead(own_home)]
    pid = health(starter.ensure_running(own_home))["pid"]
    for each in begun:
        each.join()
    assert health(starter.ensure_running(own_home))["pid"] == pid


def test_what_keeps_it_from_starting_ahead_is_told_to_who_needs_it(own_home: Path) -> None:
    (own_home / "sandbox").mkdir()
    (own_home / "sandbox" / "inbox.jsonl").mkdir()
    begun = starter.start_ahead(own_home)
    with pytest.raises(starter.SandboxError, match=r"did not start[\s\S]*inbox"):
        starter.ensure_running(own_home)
    begun.join()


def test_a_clock_beyond_the_simulated_years_keeps_no_sandbox_from_starting(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2045-06-01T18:00")
    assert simulated(own_home, codes=50).edition().startswith("2045-06-01")


def test_its_clock_follows_whoever_asks(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert health(starter.ensure_running(own_home))["now"] == "2026-11-20T18:00:00+08:00"
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-19T12:00")
    addresses = starter.ensure_running(own_home)
    assert health(addresses)["now"] == "2026-11-19T12:00:00+08:00"
    broken = requests.post(
        f"{addresses.control_url}/clock", json={"now": "noon"}, headers=addresses.control_headers, timeout=10
    )
    assert broken.status_code == 400
    assert health(addresses)["now"] == "2026-11-19T12:00:00+08:00"


def test_a_killed_one_is_replaced(own_home: Path) -> None:
    first = health(starter.ensure_running(own_home))["pid"]
    process = psutil.Process(int(str(first)))
    process.kill()
    process.wait(60)
    assert health(starter.ensure_running(own_home))["pid"] != first


def test_one_that_is_started_again_is_found_where_it_was_unless_somebody_took_its_ports(own_home: Path) -> None:
    def places(addresses: Addresses) -> list[int]:
        return [addresses.port, addresses.baostock_port, addresses.proxy_port]

    first = starter.ensure_running(own_home)
    process = psutil.Process(int(str(health(first)["pid"])))
    process.kill()
    process.wait(60)
    second = starter.ensure_running(own_home)
    assert places(second) == places(first)
    starter.stop(own_home)
    with socket.create_server((first.host, first.baostock_port)):
        third = starter.ensure_running(own_home)
    assert third.port == first.port
    assert third.baostock_port != first.baostock_port


def test_it_ends_with_its_home_folder(own_home: Path) -> None:
    addresses = starter.ensure_running(own_home)
    process = psutil.Process(int(str(health(addresses)["pid"])))
    (own_home / "sandbox" / "server.json").unlink()
    process.wait(60)


def test_a_start_that_fails_shows_the_log(own_home: Path) -> None:
    (own_home / "sandbox" / "inbox.jsonl").mkdir(parents=True)
    with pytest.raises(starter.SandboxError, match=r"did not start[\s\S]*inbox"):
        starter.ensure_running(own_home)


def test_the_control_token_is_for_its_owner_only_and_new_at_each_start(own_home: Path) -> None:
    addresses = starter.ensure_running(own_home)
    file = own_home / "sandbox" / "control.token"
    assert file.read_text() == addresses.control_token
    assert file.stat().st_mode & 0o077 == 0
    assert addresses.control_token not in (own_home / "sandbox" / "server.json").read_text()
    assert addresses.control_token not in repr(addresses)
    starter.stop(own_home)
    assert not file.exists()
    assert starter.ensure_running(own_home).control_token != addresses.control_token


def test_the_foreground_command_prints_its_doors_and_ends_when_idle(own_home: Path) -> None:
    command = [sys.executable, "-m", "quant_pipeline.sandbox", "--home", str(own_home), "--codes", "40", "--idle", "0"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    lines = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    assert "curl -H 'Authorization: Bearer " in shown
    assert str(own_home / "sandbox" / "control.token") in shown
    assert set(lines) == set(Addresses(1, 2, 3, "ca.pem").environment())
    assert "SANDBOX" in shown
    assert not (own_home / "sandbox" / "server.json").exists()


def test_there_is_one_sandbox_to_a_home(own_home: Path) -> None:
    starter.ensure_running(own_home)
    state = orjson.loads((own_home / "sandbox" / "server.json").read_bytes())
    command = [sys.executable, "-m", "quant_pipeline.sandbox", "--home", str(own_home)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert f"pid {state['pid']}" in refused.stderr
