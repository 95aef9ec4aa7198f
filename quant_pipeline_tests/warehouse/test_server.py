"""The embedded server: started once by many, found by all, recovered after a crash."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from quant_pipeline.warehouse import postmaster, server

_START = """
import sys, pathlib
from quant_pipeline.warehouse import server
print(server.start(pathlib.Path(sys.argv[1])), flush=True)
"""


@pytest.fixture
def own_home() -> Iterator[Path]:
    """A home without a server, stopped and removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="qp"))
    yield directory
    server.stop(directory)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def spare_home() -> Iterator[Path]:
    """A home whose server the tests of this module may kill."""
    directory = Path(tempfile.mkdtemp(prefix="qp"))
    server.start(directory)
    yield directory
    server.stop(directory)
    shutil.rmtree(directory)


def start_in_a_process(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _START, str(home)], capture_output=True, text=True, check=False)


def crash(home: Path) -> int:
    """SIGKILL to the postmaster; returns when it is gone."""
    victim = psutil.Process(server.pid(home))
    victim.kill()
    psutil.wait_procs([victim])
    return victim.pid


def test_eight_processes_that_start_at_once_share_one_new_server(own_home: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        starts = list(threads.map(start_in_a_process, [own_home] * 8))
    assert [(each.returncode, each.stderr) for each in starts] == [(0, "")] * 8  # and no warning of any kind
    assert len({each.stdout for each in starts}) == 1
    assert server.pid(own_home) is not None  # it outlives those who started it


def test_eight_processes_recover_a_crashed_server(spare_home: Path) -> None:
    dead = crash(spare_home)
    with ThreadPoolExecutor(8) as threads:
        starts = list(threads.map(start_in_a_process, [spare_home] * 8))
    assert [(each.returncode, each.stderr) for each in starts] == [(0, "")] * 8
    assert server.pid(spare_home) not in (dead, None)


def test_what_was_committed_survives_a_crash(spare_home: Path) -> None:
    with psycopg.connect(server.start(spare_home)) as connection:
        connection.execute("CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000)")
    open_connection = psycopg.connect(server.start(spare_home))  # a backend that is there when its server dies
    open_connection.execute("INSERT INTO kept VALUES (0)")
    crash(spare_home)
    with psycopg.connect(server.start(spare_home)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    open_connection.close()


def test_a_pid_file_that_names_another_process_is_seen_through(spare_home: Path) -> None:
    pid_file = spare_home / "pg" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop(spare_home)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))  # as after a reboot: the number is someone else's now
    assert server.pid(spare_home) is None
    psycopg.connect(server.start(spare_home)).close()


@pytest.mark.parametrize("content", ["", "12", "999999\n", "not a number\n/x\n"])
def test_a_pid_file_that_was_written_in_part_is_no_obstacle(spare_home: Path, content: str) -> None:
    server.start(spare_home)
    server.stop(spare_home)
    (spare_home / "pg" / "postmaster.pid").write_text(content)
    psycopg.connect(server.start(spare_home)).close()


def test_a_zombie_is_not_taken_for_a_server(spare_home: Path) -> None:
    server.start(spare_home)
    pid_file = spare_home / "pg" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop(spare_home)
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    pid_file.write_text("\n".join([str(zombie.pid), *lines[1:]]))
    psycopg.connect(server.start(spare_home)).close()
    zombie.wait()


def test_a_first_start_that_was_interrupted_is_begun_again(own_home: Path) -> None:
    (own_home / "pg.new" / "base").mkdir(parents=True)
    psycopg.connect(server.start(own_home)).close()


def test_a_server_whose_home_was_removed_does_not_take_the_next_one_s_socket_along(own_home: Path) -> None:
    """`rm -r .quant`, and a new run at once: the old server, which notices within a minute, cleared away the new one's."""
    server.start(own_home)
    former = server.pid(own_home)
    assert former is not None
    shutil.rmtree(own_home)
    own_home.mkdir()
    assert psutil.pid_exists(former)
    url = server.start(own_home)
    assert not psutil.pid_exists(former) or psutil.Process(former).status() == psutil.STATUS_ZOMBIE
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_has_its_home_is_never_ended_as_one_without(spare_home: Path) -> None:
    url = server.start(spare_home)
    postmaster.end_homeless(spare_home / "pg")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_home_deeper_than_a_socket_path_may_be(own_home: Path) -> None:
    deep = own_home / ("深" * 30) / ("long name " * 6)
    try:
        url = server.start(deep)
        psycopg.connect(url).close()
        assert url == server.start(deep) == start_in_a_process(deep).stdout.strip()
    finally:
        server.stop(deep)


def test_two_homes_have_two_servers(own_home: Path, spare_home: Path) -> None:
    assert server.start(own_home) != server.start(spare_home)
    assert server.pid(own_home) != server.pid(spare_home)


def test_stopping_ends_it_and_stopping_again_is_harmless(own_home: Path) -> None:
    assert not server.stop(own_home)
    server.start(own_home)
    running = server.pid(own_home)
    assert server.stop(own_home)
    assert not psutil.pid_exists(running) or psutil.Process(running).status() == psutil.STATUS_ZOMBIE
    assert not server.stop(own_home)


def test_it_is_durable_and_sized_for_bulk_work(spare_home: Path) -> None:
    wanted = {"fsync": "on", "synchronous_commit": "on", "max_wal_size": "4GB", "listen_addresses": ""}
    with psycopg.connect(server.start(spare_home)) as connection:
        found = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in wanted}
    assert found == wanted


def test_a_server_that_cannot_start_says_why_with_its_log(own_home: Path) -> None:
    server.start(own_home)
    server.stop(own_home)
    configuration = own_home / "pg" / "postgresql.conf"
    whole = configuration.read_text()
    configuration.write_text(whole + "\nno_such_setting = 1\n")
    with pytest.raises(server.ServerError, match="no_such_setting"):
        server.start(own_home)
    configuration.write_text(whole)
    psycopg.connect(server.start(own_home)).close()


def test_an_interrupt_at_the_terminal_does_not_reach_the_server(own_home: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _START + "; import time; time.sleep(60)", str(own_home)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert starter.stdout is not None
    starter.stdout.readline()
    os.killpg(starter.pid, signal.SIGINT)  # what Ctrl-C does: to the whole foreground group
    starter.wait()
    psycopg.connect(server.start(own_home)).close()
    starter.stdout.close()


def test_a_killed_servers_socket_lock_is_no_obstacle(spare_home: Path) -> None:
    """It names the dead server's process: by now another one of the same user, or a zombie, may bear that number."""
    server.start(spare_home)
    lock = spare_home / "pg" / ".s.PGSQL.5432.lock"
    lines = lock.read_text().splitlines()
    crash(spare_home)
    owner = (spare_home / "pg").stat()
    user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    stranger = subprocess.Popen(["sleep", "600"], **user)
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        psycopg.connect(server.start(spare_home)).close()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
