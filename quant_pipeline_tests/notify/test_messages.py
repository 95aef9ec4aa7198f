"""The messages' texts, as a markdown renderer shows them: whole, marked in the sandbox, safe from what they quote."""

from __future__ import annotations

import datetime as dt
import html
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from quant_pipeline.notify.messages import (
    LISTED_HITS,
    Message,
    checks_failed,
    digest,
    one_line,
    recovered,
    run_failed,
    screen_ready,
    session_expired,
)
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.screenings import Compared

UI = "http://127.0.0.1:3000"
PAGE = "http://127.0.0.1:3001/screens/dual_ma/2026-11-20"
SESSION = dt.date(2026, 11, 20)
SCHEMA = {
    "ts_code": pl.String,
    "name": pl.String,
    "close": pl.Float64,
    "pct_chg": pl.Float64,
    "score": pl.Float64,
    "industry": pl.String,
    "figures": pl.String,
}


def _shown(message: Message) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(message.content))


def _tags(message: Message) -> list[str]:
    return re.findall(r"<(/?\w+)", _shown(message))


def _text(message: Message) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", _shown(message)))


def _failed(cause: str = "boom", *, job: str = "daily_sync", step: str = "daily_kline", sandbox: bool = False) -> Message:
    return run_failed(job=job, step=step, run_id="abc-1", cause=cause, ui_url=UI, units_url=f"{UI}/sync/abc-1", sandbox=sandbox)


def test_a_command_s_failure_is_called_by_what_was_typed() -> None:
    message = run_failed(
        job="daily_sync",
        command="quant-pipeline sync --datasets etf_daily",
        step="etf_daily",
        run_id="abc-1",
        cause="boom",
        ui_url=UI,
        units_url=UI,
        sandbox=False,
    )
    assert message.title == "运行失败 Run failed：quant-pipeline sync --datasets etf_daily"
    assert "命令 Command：quant-pipeline sync --datasets etf_daily" in _text(message)
    assert "重新运行该命令" in _text(message)
    assert "Re-execute" not in _text(message), "that is for who began it in Dagster's pages"


def _screen(count: int = 1, *, sandbox: bool = False, compared: Compared | None = None, **values: object) -> Message:
    hit = {"ts_code": "600000.SH", "name": "浦发银行", "close": 10.5, "pct_chg": 2.944, "score": 0.0123, "figures": None}
    hits = pl.DataFrame([{**hit, **values}] * count, schema=SCHEMA)
    return screen_ready(
        strategy="双均线金叉",
        session=SESSION,
        hits=hits,
        compared=compared,
        page_url=PAGE,
        run_id="abc-1",
        ui_url=UI,
        sandbox=sandbox,
    )


def _checks(failed: list[tuple[str, str]], *, sandbox: bool = False) -> Message:
    return checks_failed(
        dataset="daily_kline", sessions="2026-11-20", failed=failed, run_id="abc-1", ui_url=UI, sandbox=sandbox
    )


def test_a_failed_run_says_where_why_and_what_to_do() -> None:
    message = _failed("daily 2026-11-20:\n  HTTP 502")
    assert message.title == "运行失败 Run failed：daily_sync"
    assert message.template == "markdown"
    for part in ("Job：daily_sync", "Step：daily_kline", "daily 2026-11-20:\n  HTTP 502", "Re-execute"):
        assert part in _text(message)
    assert f'href="{UI}/runs/abc-1"' in _shown(message)
    assert "Step" not in _text(_failed(step=""))
    assert "未说明" in _text(_failed(" "))


def test_a_long_cause_is_cut_and_says_so() -> None:
    message = _failed("很长的原因" * 10_000)
    assert len(message.content) < 2_500
    assert "共 50000 字，已截断" in _text(message)
    assert "Re-execute" in _text(message)


NASTY = [
    "``` \n# x",
    "</code></pre><script>alert(1)</script>",
    "| a | b |\n|---|---|",
    "[x](http://evil)",
    "\x00\ud800&lt;",
    "\\",
    "*_~",
]


@given(st.text() | st.sampled_from(NASTY))
def test_any_text_is_shown_as_text_and_can_be_stored(text: str) -> None:
    for message, plain in (
        (_failed(text), _failed()),
        (_failed(job=text, step=f"x{text}"), _failed()),
        (_screen(name=text.encode("utf-8", "ignore").decode()), _screen()),
        (_checks([(text, text)]), _checks([("check", "text")])),
    ):
        assert _tags(message) == _tags(plain), "no markup of its own"
        assert "\x00" not in message.title + message.content
        (message.title + message.content).encode()
        assert "\n" not in message.title
        assert len(message.title) <= 100


def test_names_are_shown_as_they_are() -> None:
    assert "*ST<平安>|&amp;_x_" in _text(_screen(name="*ST<平安>|&amp;_x_"))


def test_a_hit_is_a_row_with_its_figures() -> None:
    message = _screen(figures='{"ma5":10.32,"ma20":10.0712}', industry="银行")
    assert message.title == "双均线金叉 选股 Screen 2026-11-20：1 只"
    assert "策略执行完成，共筛选出1只股票" in _text(message)
    assert f'href="{UI}/runs/abc-1"' in _shown(message)
    assert (message.severity, message.kind) == (Severity.INFO, "screen")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", _shown(message))
    assert cells == ["600000.SH", "浦发银行", "10.50", "+2.94%", "0.0123", "银行", "ma5 10.32 · ma20 10.0712"]


def test_values_that_are_not_known_are_dashes() -> None:
    message = _screen(name=None, close=None, pct_chg=None, score=None, figures='{"ma5":null}')
    assert re.findall(r"<td[^>]*>(.*?)</td>", _shown(message)) == ["600000.SH", "–", "–", "–", "–", "–", "ma5 –"]


def test_hits_are_compared_with_the_session_before() -> None:
    message = _screen(compared=Compared(frozenset(["600000.SH"]), 3, {"000001.SZ": "平安银行", "000002.SZ": "万科A"}))
    assert "新增 New 1 · 保留 kept 3 · 消失 gone 2: 平安银行, 万科A" in _text(message)
    assert "浦发银行 新增" in _text(message)
    assert "浦发银行 新增" not in _text(_screen(compared=Compared(frozenset(), 1, {})))
    assert "新增" not in _text(_screen())


@pytest.mark.parametrize(
    ("count", "rows"), [(1, 1), (LISTED_HITS, LISTED_HITS), (LISTED_HITS + 1, LISTED_HITS), (300, LISTED_HITS)]
)
def test_of_many_hits_the_first_are_listed_and_all_are_counted(count: int, rows: int) -> None:
    message = _screen(count)
    assert _shown(message).count("<tr>") == rows + 1
    assert f"{count} 只" in message.title
    assert (f"… 共 {count} 只" in _text(message)) == (count > rows)


def test_no_hits_is_said() -> None:
    message = _screen(0)
    assert "没有选出股票" in _text(message)
    assert "<table" not in _shown(message)


def test_failed_checks_are_listed() -> None:
    message = _checks([("row_count", "5,100 行，应有 5,400"), ("ohlc", "high < low")])
    assert message.title == "数据检查未通过 Checks failed：daily_kline（2 项）"
    for part in ("row_count", "5,100 行，应有 5,400", "high < low", "2026-11-20"):
        assert part in _text(message)
    assert f'href="{UI}/runs/abc-1"' in _shown(message)
    assert "… 共 25 项" in _text(_checks([("check", "text")] * 25))


@pytest.mark.parametrize("build", [_failed, _screen, lambda *, sandbox: _checks([("check", "text")], sandbox=sandbox)])
def test_the_sandbox_is_said_first_and_only_there(build) -> None:  # type: ignore[no-untyped-def]
    marked, live = build(sandbox=True), build(sandbox=False)
    assert marked.title.startswith("【沙盒 SANDBOX】")
    assert marked.title.endswith(live.title)
    assert "模拟行情" in _text(marked).splitlines()[1]
    assert "SANDBOX" not in live.title + live.content


@pytest.mark.parametrize(
    "cause",
    [
        "connection to postgresql://quant:hushhush@db:5432/quant failed",
        "TUSHARE_TOKEN=hushhush is wrong",
        '{"token": "hushhush", "api_name": "daily"}',
        "password: hushhush",
    ],
)
def test_a_secret_that_an_error_quotes_is_hidden(cause: str) -> None:
    for message in (_failed(cause), _failed(job=cause), _checks([("check", cause)])):
        assert "hushhush" not in message.title + message.content
        assert "***" in _text(message)


def test_one_line() -> None:
    assert one_line(" a\n\tb\x00\x07c ") == "a bc"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert one_line("x" * 10, 10) == "x" * 10


def test_messages_are_chinese_with_english_terms_and_english_alone_where_it_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def message() -> Message:
        return run_failed(
            job="daily_sync", step="", run_id="r", cause="no disk", ui_url="http://ui", units_url="http://ui", sandbox=True
        )

    assert message().title == "【沙盒 SANDBOX】运行失败 Run failed：daily_sync"
    monkeypatch.setenv("QUANT_LANG", "en")
    assert message().title == "[SANDBOX] Run failed: daily_sync"
    assert not re.search(r"[\u4e00-\u9fff]", message().content)
    assert "[Open the run](http://ui/runs/r)" in message().content


def test_a_login_that_has_expired_says_what_to_do() -> None:
    command, reason = "quant-pipeline ths login qr --account three", "短信验证码 | 需要人工"
    message = session_expired(account="138****8000", reason=reason, command=command, ui_url=UI, sandbox=False)
    assert message.title == "您的同花顺登录已过期，请重新登录"
    assert (message.severity, message.topic) == (Severity.CRITICAL, "session_expired:138****8000")
    assert command in _text(message)
    assert "短信验证码 | 需要人工" in _text(message)


def test_a_digest_names_each_message_with_how_often_and_when() -> None:
    at = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)
    message = digest(folded=[("磁盘 | 将满", 7, at, at + dt.timedelta(minutes=5)), ("b", 1, at, at)])
    assert message.title == "消息摘要 Digest：共 8 条"
    assert "磁盘 | 将满 7 11-20 18:00:00 11-20 18:05:00" in " ".join(_text(message).split())


def test_a_recovery_names_what_is_well_again_and_since_when_it_was_not() -> None:
    message = recovered(alerts=[("运行失败", "daily_sync", "11-20 18:05")], pages_url=UI, sandbox=False)
    assert message.title == "已恢复 Recovered：运行失败，daily_sync"
    assert "11-20 18:05" in _text(message)
    assert message.severity is Severity.INFO
