"""What listens on this machine is asked directly, whatever proxy the environment names: a real one that keeps what it hears."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from quant_pipeline.loopback import without_proxy
from quant_pipeline.sandbox import starter

VENDORS = """
import sys
from pathlib import Path
from quant_pipeline.sandbox.starter import ensure_running
from quant_pipeline.sources.tushare_client import client_of
from quant_pipeline.sources.worker import ClientProcess

addresses = ensure_running(Path(sys.argv[1]))
tushare = client_of(addresses.token, addresses.tushare_url, 20.0)
assert len(tushare.trade_cal(exchange="SSE", start_date="20261116", end_date="20261120")) == 5
client = ClientProcess("requests", addresses.web_environment())
assert client.ask("get", addresses.inbox_url, timeout=20.0).status_code == 200
client.close()
"""
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _refused(self) -> None:
            heard.append(f"{self.requestline}\n{self.headers}")
            self.send_error(502)

        do_GET = do_POST = do_CONNECT = do_PUT = do_HEAD = _refused  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_call_to_the_sandbox_goes_through_the_environment_s_proxy(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name.upper() not in {*map(str.upper, NAMES), "NO_PROXY"}}
    try:
        with proxy() as (url, heard):
            done = subprocess.run(
                [sys.executable, "-c", VENDORS, str(tmp_path)],
                env=clean | dict.fromkeys(NAMES, url) | {"no_proxy": "intranet.example"},
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
    finally:
        starter.stop(tmp_path)
    assert heard == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"NO_PROXY": "localhost,127.0.0.1,::1"}),
        ({"NO_PROXY": "a.example, 127.0.0.1"}, {"NO_PROXY": "a.example,127.0.0.1,localhost,::1"}),
        ({"no_proxy": "a.example"}, {"no_proxy": "a.example,localhost,127.0.0.1,::1"}),
        ({"NO_PROXY": "*"}, {"NO_PROXY": "*"}),
    ],
)
def test_what_is_excepted_already_stays(before: dict[str, str], after: dict[str, str]) -> None:
    without_proxy(before)
    assert before == after
    without_proxy(before)
    assert before == after
