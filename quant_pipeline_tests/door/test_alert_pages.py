"""The pages of alerts and messages over a real socket: what is the matter, what was told, what waits and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from quant_pipeline import settings
from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import RULES
from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.sync.stored import NOW


@pytest.fixture
def url(warehouse: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for variable, value in {"QUANT_DATABASE_URL": warehouse.url, "QUANT_HOME": str(tmp_path), "QUANT_NOW": NOW}.items():
        monkeypatch.setenv(variable, value)
    with served(settings.load(), warehouse) as address:
        yield address


def _got(url: str, path: str, status: int = 200) -> str:
    answer = requests.get(url + path, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.text


def test_where_nothing_is_the_matter_the_pages_say_so(url: str) -> None:
    page = _got(url, "/alerts")
    assert "一切正常" in page
    assert all(f">{name}</span>" in page for name in RULES), "the rules are there"
    assert 'aria-current="page">告警</a>' in page
    assert "没有消息 No messages." in _got(url, "/messages")


def test_what_is_open_stands_with_its_cause_in_chinese_and_what_was_over_beside_it(url: str, warehouse: Database) -> None:
    with warehouse.connect() as connection:
        causes = {"tushare.daily": "20 % of the last 50 calls succeeded", "<b>x</b>": "5.6 s a call on average"}
        book.see(connection, RULES["success_rate"], Severity.WARNING, causes)
        book.see(connection, RULES["disk_low"], Severity.CRITICAL, {"/data": "1.5 GB are free"})
        book.resolve(connection, RULES["disk_low"], lambda _: True)
    book.acknowledge(warehouse, [1], "li")
    page = _got(url, "/alerts")
    for part in ('<b class="warn">2</b> 项未恢复', "最近 50 次调用成功率 20 %", "成功率低", "li", "磁盘将满", "alerts ack"):
        assert part in page, part
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_messages_say_over_which_channel_they_went_and_what_they_wait_for(url: str, warehouse: Database) -> None:
    with warehouse.connect() as connection:
        outbox.enqueue(
            connection, "a", Message("运行失败 <b>", "| x |\n|---|\n| <script>y</script> |", severity=Severity.CRITICAL)
        )
        outbox.enqueue(connection, "b", Message("second", "plain & text", template="txt"))
    outbox.deliver(warehouse, [PushPlus("t", "http://127.0.0.1:9", name="push")])
    page = _got(url, "/messages?status=pending")
    assert "运行失败 &lt;b&gt;" in page
    assert "渠道暂停至" in page
    assert "没有消息 No messages." in _got(url, "/messages?status=failed")
    one = _got(url, "/messages/1")
    assert "<td>&lt;script&gt;" in one, "a table, and no markup of its own lives"
    assert "push" in one
    assert "plain &amp; text" in _got(url, "/messages/2")


@pytest.mark.parametrize(
    ("path", "status"), [("/messages/77", 404), ("/messages/x", 400), ("/messages?status=lost", 400), ("/messages?page=0", 400)]
)
def test_an_address_of_nothing_is_answered(url: str, path: str, status: int) -> None:
    page = _got(url, path, status)
    assert "Traceback" not in page
