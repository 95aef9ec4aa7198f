"""The commands `alerts` and `messages`: what they show, what they change, and what they answer to a slip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import RULES
from quant_pipeline.cli import main
from quant_pipeline.notify import outbox
from quant_pipeline.notify.channels.pushplus import PushPlus
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.database import Database

Invoke = Callable[..., str]


@pytest.fixture
def invoke(warehouse: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    variables = {"QUANT_DATABASE_URL": warehouse.url, "QUANT_HOME": str(tmp_path), "QUANT_NOW": "2026-11-20T18:05"}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code == exit_code, result.output
        return result.output

    return invoke


def opened(database: Database, subject: str = "tushare.daily") -> None:
    with database.connect() as connection:
        causes = {subject: "20 % of the last 50 calls succeeded"}
        book.see(connection, RULES["success_rate"], Severity.WARNING, causes)


def facts(text: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(text[text.index("{") :])
    return loaded


def test_what_is_open_is_listed_and_acknowledged_by_a_name(invoke: Invoke, warehouse: Database) -> None:
    assert "Nothing is the matter." in invoke("alerts", "list")
    opened(warehouse)
    shown = invoke("alerts", "list")
    for part in ("Low success rate", "tushare.daily", "20 % of the last 50 calls succeeded", "11-20 18:05", "lasting"):
        assert part in shown
    assert "✓ alert 1: known to li" in invoke("alerts", "ack", "1", "--by", "li")
    (alert,) = facts(invoke("alerts", "list", "--json"))["alerts"]  # type: ignore[misc]
    assert (alert["state"], alert["acknowledged_by"]) == ("acknowledged", "li")
    invoke("alerts", "ack", "1", "--by", "wang")
    assert book.alerts(warehouse)["acknowledged_by"].to_list() == ["li"], "who knew it first"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("alerts", "ack", "7"), 1, "there is no alert 7"),
        (("alerts", "ack", "x"), 2, "is not a valid integer"),
        (("alerts", "rules", "sucess_rate"), 1, "there is no rule 'sucess_rate'; there are success_rate, slow"),
        (("alerts", "rules", "run_failed", "--threshold", "3"), 1, "run_failed has no threshold"),
        (("alerts", "rules", "slow", "--threshold", "-1"), 1, "the threshold of slow is a number above 0"),
        (("alerts", "rules", "slow", "--threshold", "nan"), 1, "the threshold of slow is a number above 0"),
        (("alerts", "rules", "slow", "--threshold", "inf"), 1, "the threshold of slow is a number above 0"),
        (("alerts", "rules", "outbox_stuck", "--threshold", "0"), 1, "the threshold of outbox_stuck is a number above 0"),
        (("alerts", "rules", "success_rate", "--threshold", "180"), 1, "above 0 and at most 100 %"),
        (("alerts", "rules", "--off"), 2, "Name the rule"),
        (("alerts", "rules", "slow", "--severity", "loud"), 2, "is not one of"),
        (("messages", "--id", "7"), 1, "there is no message 7"),
    ],
)
def test_a_slip_is_answered_and_changes_nothing(
    invoke: Invoke, warehouse: Database, arguments: tuple[str, ...], exit_code: int, words: str
) -> None:
    before = book.rules(warehouse)
    assert words in invoke(*arguments, exit_code=exit_code)
    assert book.rules(warehouse).equals(before)


def test_what_is_over_cannot_be_acknowledged_and_is_listed_when_asked_for(invoke: Invoke, warehouse: Database) -> None:
    opened(warehouse)
    with warehouse.connect() as connection:
        book.resolve(connection, RULES["success_rate"], lambda _: True)
    assert "alert 1 is over already" in invoke("alerts", "ack", "1", exit_code=1)
    assert "Nothing is the matter." in invoke("alerts", "list")
    assert "tushare.daily" in invoke("alerts", "list", "--all")


def test_a_rule_is_set_and_says_by_whom(invoke: Invoke, warehouse: Database) -> None:
    listed = invoke("alerts", "rules")
    assert "success_rate" in listed
    assert " info " in listed, "the word that --severity takes"
    arguments = ("slow", "--threshold", "8.5", "--severity", "warning", "--off", "--by", "li")
    shown = invoke("alerts", "rules", *arguments)
    assert "✓ slow is set" in shown
    row = book.rules(warehouse).filter(rule="slow").to_dicts()[0]
    assert (row["threshold"], row["severity"], row["enabled"], row["changed_by"]) == (8.5, "warning", False, "li")
    assert facts(invoke("alerts", "rules", "--json"))["changed"] is None


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_messages_fit_every_width_and_cut_no_title(
    invoke: Invoke, warehouse: Database, monkeypatch: pytest.MonkeyPatch, width: int, language: str
) -> None:
    titles = [
        "【沙盒 SANDBOX】双均线金叉 选股 Screen 2026-11-26：211 只",
        "Run failed: quant-pipeline sync --datasets daily_kline",
    ]
    with warehouse.connect() as connection:
        for number, title in enumerate(titles):
            kind = Severity.CRITICAL if number else Severity.INFO
            outbox.enqueue(connection, str(number), Message(title, "text", severity=kind, kind="run_failed"))
    outbox.deliver(warehouse, [PushPlus("t", "http://127.0.0.1:9", name="wechat_of_the_desk")])
    monkeypatch.setenv("COLUMNS", str(width))
    shown = invoke("messages", "--lang", language)
    assert max(cell_len(line.rstrip()) for line in shown.splitlines()) <= width
    assert "…" not in shown
    for title in titles:
        words = [word for word in title.split() if cell_len(word) <= 24]
        assert all(word in shown for word in words), "each word stands in one piece"
    assert ("无法建立连接" if language == "zh" else "cannot be reached") in shown or width < 160
    assert "retryable" not in shown
    if width > 100:  # the least of the columns gives way
        assert "wechat_of_the_desk" in shown


def test_messages_say_what_went_over_which_channel_and_what_waits_for_what(invoke: Invoke, warehouse: Database) -> None:
    assert "No messages." in invoke("messages")
    with warehouse.connect() as connection:
        outbox.enqueue(connection, "a", Message("运行失败", "# cause", severity=Severity.CRITICAL, kind="run_failed"))
    outbox.deliver(warehouse, [PushPlus("t", "http://127.0.0.1:9", name="push")])
    shown = invoke("messages", "--waiting")
    assert "the channel rests until" in shown
    assert "push" in shown
    assert "No messages." in invoke("messages", "--failed")
    whole = invoke("messages", "--id", "1")
    for part in ("运行失败", "# cause", "me ← push: waiting"):
        assert part in whole
    (message,) = facts(invoke("messages", "--json"))["messages"]  # type: ignore[misc]
    assert message["ways"][0]["state"] == "waiting"
