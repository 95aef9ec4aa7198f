"""The optional tail, over a real socket: what it believes is told, its addresses are not."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quant_pipeline.notify.channels.configured import Means, built
from quant_pipeline.notify.channels.contract import Accepted, Refused
from quant_pipeline_tests.notify.channels.conftest import sent
from quant_pipeline_tests.sources.loopback import send_json, serving

pytest.importorskip("apprise")


def test_an_address_of_apprise_gets_the_message_and_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    got: list[dict[str, Any]] = []

    def respond(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        got.append(body)
        send_json(handler, {})

    with serving(respond) as url, caplog.at_level(logging.DEBUG):
        address = f"{url.replace('http', 'json')}/hush-hush"
        channel = built("others", {"kind": "apprise", "urls": [address]}, Means())
        assert sent(channel) == [Accepted(None)]
        down = built("others", {"kind": "apprise", "urls": ["json://127.0.0.1:9/hush-hush"]}, Means())
        (refused,) = sent(down)
        assert isinstance(refused, Refused)
        assert refused.retryable
        unknown = built("others", {"kind": "apprise", "urls": ["hush-hush://x"]}, Means())
        (refused,) = sent(unknown)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.retryable) == ("address", False)
    assert got[0]["title"] == "双均线 选股"
    ours = "".join(each.getMessage() for each in caplog.records if each.name.startswith(("quant_pipeline", "apprise")))
    assert "hush-hush" not in ours + repr([channel, down, refused])
