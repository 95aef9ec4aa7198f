"""A process that is killed while it sends: nothing is lost, and the one message that was under way is all that comes twice."""

from __future__ import annotations

import multiprocessing
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.notify.conftest import Bench
from quant_pipeline_tests.sources.loopback import send_json, serving


def _deliver(database_url: str, url: str) -> None:
    outbox.deliver(Database(database_url, Mode.SANDBOX), [PushPlus("t", url)])


def test_a_killed_process_loses_nothing_and_doubles_one_message_at_most(bench: Bench) -> None:
    arrived: list[str] = []
    hanging, released = threading.Event(), threading.Event()

    def respond(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        arrived.append(body["content"])
        if body["content"] == "b" and not hanging.is_set():
            hanging.set()
            assert released.wait(60)
        send_json(handler, {"code": 200, "msg": "ok", "data": "receipt"})

    bench.enqueue("a", "b", "c")
    with serving(respond) as url:
        process = multiprocessing.get_context("spawn").Process(target=_deliver, args=(bench.database.url, url))
        process.start()
        assert hanging.wait(120)
        assert bench.deliver(PushPlus("t", url)).sent == 0, "it holds the account"
        process.kill()
        process.join()
        released.set()
        sent = 0
        while sent < 2:  # until the server has noticed that it is gone
            sent += bench.deliver(PushPlus("t", url)).sent
    assert arrived == ["a", "b", "b", "c"]
    assert bench.rows("status") == [("accepted",)] * 3
