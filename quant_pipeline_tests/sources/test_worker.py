"""Clients in processes of their own; modules of the standard library stand for a source's client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import psutil
import pytest

from quant_pipeline.sources.worker import ClientDied, ClientFailed, ClientHung, ClientProcess

PATIENCE = 30.0
Start = Callable[..., ClientProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[ClientProcess] = []

    def client(module: str, **environment: str) -> ClientProcess:
        started.append(ClientProcess(module, environment))
        return started[-1]

    yield client
    for each in started:
        each.close()


def test_a_call_is_answered_from_another_process_which_stays(start: Start) -> None:
    client = start("os")
    assert client.pid is None
    pids = {client.ask("getpid", timeout=PATIENCE) for _ in range(3)}
    assert pids == {client.pid}
    assert os.getpid() not in pids


def test_a_client_that_hangs_is_killed_and_a_new_one_answers(start: Start) -> None:
    client = start("time")
    client.ask("sleep", 0, timeout=PATIENCE)
    former = client.pid
    assert former is not None
    with pytest.raises(ClientHung, match=r"no answer within 0\.2 s"):
        client.ask("sleep", 600, timeout=0.2)
    assert not psutil.pid_exists(former)
    assert client.pid is None
    assert client.ask("gmtime", 0, timeout=PATIENCE).tm_year == 1970
    assert client.pid != former


def test_a_client_that_dies_is_noticed_at_once_and_replaced(start: Start) -> None:
    client = start("os")
    with pytest.raises(ClientDied, match="in the middle of a call"):
        client.ask("_exit", 3, timeout=PATIENCE)
    assert client.ask("getpid", timeout=PATIENCE) == client.pid


def test_a_client_killed_between_two_calls_costs_one_call(start: Start) -> None:
    client = start("os")
    os.kill(client.ask("getpid", timeout=PATIENCE), signal.SIGKILL)
    with pytest.raises(ClientDied):
        client.ask("getpid", timeout=PATIENCE)
    assert client.ask("getpid", timeout=PATIENCE) == client.pid


def test_what_the_client_raises_arrives_with_its_kinds_and_its_process_goes_on(start: Start) -> None:
    client = start("json")
    with pytest.raises(ClientFailed, match="JSONDecodeError: Expecting value") as failed:
        client.ask("loads", "<html>", timeout=PATIENCE)
    assert failed.value.kinds == ("JSONDecodeError", "ValueError", "Exception")
    assert failed.value.text.startswith("Expecting value: line 1")
    before = client.pid
    assert client.ask("loads", "[1]", timeout=PATIENCE) == [1]
    assert client.pid == before


def test_threads_queue_up_and_each_gets_its_own_answer(start: Start) -> None:
    client = start("operator")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: client.ask("mul", number, number, timeout=PATIENCE), range(200)))
    assert answers == [number * number for number in range(200)]


def test_its_environment_is_what_it_was_given_and_what_a_client_needs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {
        "PYTHONPATH": "/nowhere",
        "https_proxy": "http://127.0.0.1:1",
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "TZ": "Asia/Shanghai",
    }
    secret = {
        "TUSHARE_TOKEN": "secret-1",
        "PUSHPLUS_TOKEN": "secret-2",
        "PUSHPLUS_SECRET_KEY": "secret-3",
        "SECRET_KEY": "secret-4",
        "THS_API_KEY": "secret-5",
        "BAOSTOCK_PASSWORD": "secret-6",
        "QUANT_DATABASE_URL": "postgresql://user:secret-7@db.example/quant",
        "PGPASSWORD": "secret-8",
        "AWS_SECRET_ACCESS_KEY": "secret-9",
    }
    for name, value in (needed | secret).items():
        monkeypatch.setenv(name, value)
    client = start("os", OF_ITS_OWN="added", TZ="UTC")
    assert client.ask("getenv", "OF_ITS_OWN", timeout=PATIENCE) == "added"
    assert client.ask("getenv", "TZ", timeout=PATIENCE) == "UTC"
    assert client.ask("getenv", "PATH", timeout=PATIENCE) == os.environ["PATH"]
    for name in needed.keys() - {"TZ"}:
        assert client.ask("getenv", name, timeout=PATIENCE) == needed[name]
    assert {name for name in secret if client.ask("getenv", name, timeout=PATIENCE) is not None} == set()
    assert client.pid is not None
    assert not {value for value in psutil.Process(client.pid).environ().values() if "secret-" in value}
    assert "OF_ITS_OWN" not in os.environ


def test_a_proxy_that_it_is_given_stands_instead_of_the_machine_s_in_either_spelling(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # of this one and HTTPS_PROXY clients take the former
    client = start("os", HTTPS_PROXY="http://127.0.0.1:2")
    assert client.ask("getenv", "HTTPS_PROXY", timeout=PATIENCE) == "http://127.0.0.1:2"
    assert client.ask("getenv", "https_proxy", timeout=PATIENCE) is None


def test_a_client_cannot_fill_the_memory_and_answers_the_next_call() -> None:
    client = ClientProcess("operator", memory=256 * 2**20)
    try:
        with pytest.raises(ClientFailed) as failed:
            client.ask("mul", b"x", 2**29, timeout=PATIENCE)
        assert failed.value.kinds[0] == "MemoryError"
        assert client.ask("mul", 6, 7, timeout=PATIENCE) == 42
    finally:
        client.close()


def test_an_answer_that_is_too_large_ends_the_client_and_the_next_call_is_answered() -> None:
    client = ClientProcess("operator", largest=2**20)
    try:
        assert len(client.ask("mul", b"x", 2**19, timeout=PATIENCE)) == 2**19
        for _ in range(2):
            with pytest.raises(ClientDied, match="larger than 1,048,576 bytes"):
                client.ask("mul", b"x", 2**21, timeout=PATIENCE)
        assert client.ask("mul", 6, 7, timeout=PATIENCE) == 42
    finally:
        client.close()


def test_what_the_client_prints_goes_nowhere(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    start("builtins").ask("print", "login success!", timeout=PATIENCE)
    assert capfd.readouterr() == ("", "")


def test_it_ends_when_it_is_closed_and_starts_again_when_it_is_asked(start: Start) -> None:
    client = start("os")
    former = client.ask("getpid", timeout=PATIENCE)
    client.close()
    assert not psutil.pid_exists(former)
    assert client.ask("getpid", timeout=PATIENCE) not in (None, former)


def test_it_ends_with_its_owner_even_when_that_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", dedent(_OWNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    client = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate(timeout=PATIENCE)
    client.wait(PATIENCE)  # raises TimeoutExpired when it lives on


_OWNER = """
    import sys
    from quant_pipeline.sources.worker import ClientProcess
    client = ClientProcess("os")
    print(client.ask("getpid", timeout=30), flush=True)
    sys.stdin.read()
"""
