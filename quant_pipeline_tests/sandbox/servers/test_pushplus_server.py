"""PushPlus: codes, limits, asynchronous delivery, and the inbox that shows what the phone would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Faults
from quant_pipeline.sandbox.rehearsal import Rehearsal
from quant_pipeline.sandbox.servers.inbox import page, rendered
from quant_pipeline.sandbox.servers.pushplus_server import Message, PushPlusServer


class Phone:
    """What a PushPlus user would do, with requests."""

    def __init__(self, sandbox: Rehearsal) -> None:
        self.sandbox = sandbox

    def send(self, content: str = "内容", **message: Any) -> dict[str, Any]:
        body = {"token": self.sandbox.pushplus_token, "title": "标题", "content": content, **message}
        return self._json(requests.post(f"{self.sandbox.pushplus_url}/send", json=body, timeout=10))

    def key(self, **credentials: str) -> dict[str, Any]:
        body = {"token": self.sandbox.pushplus_token, "secretKey": self.sandbox.pushplus_secret, **credentials}
        url = f"{self.sandbox.pushplus_url}/api/common/openApi/getAccessKey"
        return self._json(requests.post(url, json=body, timeout=10))

    def result(self, short_code: str, key: str) -> dict[str, Any]:
        url = f"{self.sandbox.pushplus_url}/api/open/message/sendMessageResult"
        return self._json(requests.get(url, params={"shortCode": short_code}, headers={"access-key": key}, timeout=10))

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        loaded: dict[str, Any] = answer.json()
        return loaded


@pytest.fixture
def phone(sandbox: Rehearsal) -> Phone:
    return Phone(sandbox)


def test_a_message_is_accepted_then_delivered(phone: Phone) -> None:
    sent = phone.send("# 金叉", template="markdown", title="双均线")
    assert (sent["code"], sent["msg"]) == (200, "请求成功")
    granted = phone.key()
    assert granted["data"]["expiresIn"] == 7_200
    key = granted["data"]["accessKey"]
    states = [phone.result(sent["data"], key)["data"]["status"] for _ in range(3)]
    assert states == [1, 2, 2]
    assert phone.result("nonsense", key)["code"] == 600
    assert phone.result(sent["data"], "nonsense")["code"] == 401
    newer = phone.key()["data"]["accessKey"]
    assert newer != key
    assert phone.result(sent["data"], key)["code"] == 200


def test_documented_refusals(phone: Phone) -> None:
    assert phone.send(token="somebody")["code"] == 903
    assert phone.send("")["code"] == 999
    assert phone.send("长" * 20_001)["code"] == 999
    assert phone.send(template="hologram")["code"] == 999
    assert phone.key(token="somebody")["code"] == 903
    assert phone.key(secretKey="guess")["code"] == 401
    assert phone.send()["code"] == 200


def test_five_a_minute_and_the_same_three_an_hour(phone: Phone) -> None:
    assert [phone.send("同样的内容")["code"] for _ in range(4)] == [200, 200, 200, 999]
    assert phone.send("别的")["code"] == 200
    assert phone.send("再来一条")["code"] == 999


def test_two_hundred_a_day(phone: Phone) -> None:
    phone.sandbox.set_quota("send", None, server="pushplus")
    codes = [phone.send(f"第{number}条")["code"] for number in range(202)]
    assert codes == [200] * 200 + [900] * 2
    stats = phone.sandbox.stats()["pushplus.send"]
    assert stats["answers"] == {"ok": 200, "quota": 2}


def test_faults_to_order(phone: Phone) -> None:
    phone.sandbox.order_fault("status", server="pushplus", api="send", status=502)
    url = f"{phone.sandbox.pushplus_url}/send"
    assert requests.post(url, json={"token": "sandbox", "content": "x"}, timeout=10).status_code == 502
    phone.sandbox.order_fault("quota", server="pushplus")
    assert phone.send()["code"] == 900
    phone.sandbox.order_fault("undelivered", server="pushplus")
    lost = phone.send()["data"]
    key = phone.key()["data"]["accessKey"]
    states = [phone.result(lost, key)["data"] for _ in range(2)]
    assert [state["status"] for state in states] == [1, 3]
    assert states[1]["errorMessage"]


def test_the_inbox_shows_the_messages(phone: Phone) -> None:
    phone.send("<b>五条均线</b>", title="选股 <命中>")
    phone.send("|代码|收盘|\n|--|--|\n|600000.SH|10.01|", template="markdown", title="第二条")
    answer = requests.get(phone.sandbox.inbox_url, timeout=10)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "SANDBOX 沙盒" in answer.text
    assert "选股 &lt;命中&gt;" in answer.text
    assert "2026-11-20 18:00:00" in answer.text
    assert answer.text.index("第二条") < answer.text.index("选股")
    assert phone.sandbox.calls(server="pushplus")[0]["params"] == {"title": "选股 <命中>"}


def test_contents_are_rendered_by_their_template() -> None:
    def message(template: str, content: str) -> Message:
        return Message("code", "title", content, template, "2026-11-20 18:00:00")

    assert rendered(message("html", "<b>粗</b>")) == "<b>粗</b>"
    assert "<td>600000.SH</td>" in rendered(message("markdown", "|代码|\n|--|\n|600000.SH|"))
    assert rendered(message("txt", "a < b")) == "<pre>a &lt; b</pre>"
    attack = message("html", '"></iframe><script>alert(1)</script>')
    assert "<script>" not in page([attack])


def test_the_inbox_outlives_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "inbox.jsonl"
    message = Message("code", "标题", "内容", "txt", "2026-11-20 18:00:00", status=2)
    first = PushPlusServer(CallLog(), Faults(), store=store)
    first.deliver(message)
    assert PushPlusServer(CallLog(), Faults(), store=store).messages == [message]
