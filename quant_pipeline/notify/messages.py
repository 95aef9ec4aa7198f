"""The messages' texts: markdown for a phone, in Chinese with the English terms."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

LISTED_HITS = 30
_LISTED_CHECKS = 20
_LISTED_SOURCES = 20
_LISTED_DIFFERENCES = 20
_LONGEST_CAUSE = 1_500
_LONGEST_LINE = 200
_LONGEST_TITLE = 80
_SANDBOX = "【沙盒 SANDBOX】"
_SIMULATED = "> **沙盒 SANDBOX**：模拟行情，数字均为虚构。Simulated market: these numbers are made up."
_MARKUP = re.compile(r"([\\`*_\[\]<>|~&])")
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_NAMED_SECRET = re.compile(
    r"""(?i)((?:token|secret|password|passwd|cookie|api_?key|access_?key)\w{0,20}["']?\s*[:=]\s*["']?)[^\s"',;&]{6,}"""
)


@dataclass(frozen=True)
class Message:
    """A message as PushPlus takes it; `template` is one of PushPlus's (markdown, html, txt)."""

    title: str
    content: str
    template: str = "markdown"


def run_failed(*, job: str, step: str, run_id: str, cause: str, ui_url: str, sandbox: bool) -> Message:
    """A run failed; `step` is empty when it died outside of any."""
    lines = [
        f"- 任务 Job：{_inline(job)}",
        *([f"- 步骤 Step：{_inline(step)}"] if step else []),
        "- 原因 Cause：",
        "",
        _block(cause),
        "",
        "**怎么办 What to do**",
        "",
        "1. 打开运行页面查看日志（见下方链接）。Open the run and read its log.",
        "2. 排除原因后点 Re-execute 重新运行；已入库的数据不会重复拉取。Committed data are not fetched again.",
        "",
        _run_link(ui_url, run_id),
    ]
    return _message(f"运行失败 Run failed：{job}", lines, sandbox)


def screen_ready(*, strategy: str, session: dt.date, hits: pl.DataFrame, page_url: str, sandbox: bool) -> Message:
    """A session's screen: the first `LISTED_HITS` hits as a table, and a link to its page.

    `hits`, best first: ts_code, name, close (元), pct_chg (%), score, figures (JSON text of name -> value).
    """
    title = f"{strategy} 选股 Screen {session}：{hits.height} 只"
    head = f"**{_inline(strategy)}** · 交易日 Session {session}"
    return _message(title, [head, "", *_hit_lines(hits), "", f"[打开选股页 Open the screen]({page_url})"], sandbox)


def checks_failed(
    *, dataset: str, sessions: str, failed: Sequence[tuple[str, str]], run_id: str, ui_url: str, sandbox: bool
) -> Message:
    """Checks of a data set failed; `failed` holds (check, what it found)."""
    lines = [
        f"- 数据集 Dataset：{_inline(dataset)}",
        f"- 交易日 Sessions：{_inline(sessions)}",
        "",
        "| 检查 Check | 结果 Finding |",
        "|---|---|",
        *(f"| {_inline(check)} | {_inline(text)} |" for check, text in failed[:_LISTED_CHECKS]),
        *_remainder(len(failed), _LISTED_CHECKS, "项"),
        "",
        "数据已入库，使用前请先核对。The data are stored; look at them before you use them.",
        "",
        _run_link(ui_url, run_id),
    ]
    return _message(f"数据检查未通过 Checks failed：{dataset}（{len(failed)} 项）", lines, sandbox)


def check_noticed(*, dataset: str, check: str, text: str, run_id: str, ui_url: str, sandbox: bool) -> Message:
    """A check came upon something new, which is told once."""
    lines = [f"- 数据集 Dataset：{_inline(dataset)}", f"- 发现 Finding：{_inline(text)}", "", _run_link(ui_url, run_id)]
    return _message(f"{check}：{dataset}", lines, sandbox)


def sources_differ(*, differences: Sequence[tuple[str, str]], count: int, run_id: str, ui_url: str, sandbox: bool) -> Message:
    """Second sources contradict stored values; `differences` holds the first of all `count` as (which value, who says what)."""
    lines = [
        "| 数值 Value | 入库值与第二来源 Stored and second |",
        "|---|---|",
        *(f"| {_inline(value)} | {_inline(words)} |" for value, words in differences[:_LISTED_DIFFERENCES]),
        *_remainder(count, _LISTED_DIFFERENCES, "项"),
        "",
        "数据未改动；全部差异见 reconciliation 表。Nothing was changed; the table `reconciliation` has them all.",
        "",
        _run_link(ui_url, run_id),
    ]
    return _message(f"多源不一致 Sources differ：{differences[0][0]}（{count} 项）", lines, sandbox)


def sources_unhealthy(*, troubles: Sequence[tuple[str, str]], ui_url: str, sandbox: bool) -> Message:
    """Sources fail, are slow or are left alone; `troubles` holds (source.api, what is wrong)."""
    lines = [
        "| 数据源 Source | 情况 Trouble |",
        "|---|---|",
        *(f"| {_inline(name)} | {_inline(words)} |" for name, words in troubles[:_LISTED_SOURCES]),
        *_remainder(len(troubles), _LISTED_SOURCES, "项"),
        "",
        "同步会自动改用其他数据源，最后的有效数据仍可读。The next source is asked; readers keep the last good data.",
        "",
        "**怎么办 What to do**",
        "",
        "1. `quant-pipeline sources --events` 查看原因。See why.",
        "2. 恢复后 Once it is mended：`quant-pipeline sources --reset SOURCE`。",
        "",
        f"[打开界面 Open the UI]({ui_url})",
    ]
    first = troubles[0][0]
    more = f" 等 {len(troubles)} 项" if len(troubles) > 1 else ""
    return _message(f"数据源异常 Source unhealthy：{first}{more}", lines, sandbox)


def refusal_unknown(*, source: str, api: str, text: str, ui_url: str, sandbox: bool) -> Message:
    """A source refused in words that the platform does not know: they are told, so that they can be added."""
    lines = [
        f"- 接口 API：{_inline(source)}.{_inline(api)}",
        f"- 原文 Its words：{_inline(text)}",
        "",
        "平台不认识这句拒绝，暂按临时故障重试。The platform does not know this refusal: it takes it for a passing fault, and "
        "tries again.",
        "",
        "**怎么办 What to do**",
        "",
        "1. 若是配额、权限或账号问题，先在数据源处解决。If it speaks of a quota, a permission or the account, mend that first.",
        "2. 请把原文反馈给维护者，以便归类（每句只提醒一次）。Report the words, so that they can be added; they are told once.",
        "",
        f"[打开界面 Open the UI]({ui_url})",
    ]
    return _message(f"数据源的陌生拒绝 Unknown refusal：{source}.{api}", lines, sandbox)


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Foreign text on one line, without control characters (PostgreSQL refuses some) and cut to `longest` characters."""
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _message(title: str, lines: Sequence[str], sandbox: bool) -> Message:
    marked = [_SIMULATED, "", *lines] if sandbox else lines
    return Message((_SANDBOX if sandbox else "") + one_line(_unsecret(title), _LONGEST_TITLE), "\n".join(marked))


def _hit_lines(hits: pl.DataFrame) -> list[str]:
    if hits.is_empty():
        return ["没有选出股票 No hits。"]
    return [
        "| 代码 Code | 名称 Name | 收盘 Close | 涨跌幅 Pct | 得分 Score | 指标 Figures |",
        "|---|---|--:|--:|--:|---|",
        *(_hit_line(hit) for hit in hits.head(LISTED_HITS).iter_rows(named=True)),
        *_remainder(hits.height, LISTED_HITS, "只"),
    ]


def _hit_line(hit: dict[str, Any]) -> str:
    figures = json.loads(hit["figures"] or "{}")
    cells = (
        _inline(hit["ts_code"]),
        _inline(hit["name"] or "–"),
        _number(hit["close"], ".2f"),
        _number(hit["pct_chg"], "+.2f", "%"),
        _number(hit["score"], ".4g"),
        _inline(" · ".join(f"{name} {_number(value, '.6g')}" for name, value in figures.items())),
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _remainder(count: int, listed: int, unit: str) -> list[str]:
    return ["", f"… 共 {count} {unit}"] if count > listed else []


def _run_link(ui_url: str, run_id: str) -> str:
    return f"[打开运行 Open the run]({ui_url}/runs/{run_id})"


def _inline(text: str) -> str:
    """Text that stands as it is within a line or a table's cell."""
    return _MARKUP.sub(r"\\\1", one_line(_unsecret(text)))


def _block(text: str) -> str:
    """Text of several lines, fenced by more backticks than it holds itself."""
    shown = "".join(c for c in _unsecret(text).strip().expandtabs() if c.isprintable() or c == "\n")
    if len(shown) > _LONGEST_CAUSE:
        shown = f"{shown[:_LONGEST_CAUSE]}\n…（共 {len(shown)} 字，已截断 cut）"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown or '没有说明 none given'}\n{fence}"


def _unsecret(text: str) -> str:
    """Credentials that an error's text may quote, hidden: those in URLs, and those that stand by their name."""
    return _NAMED_SECRET.sub(r"\1***", _URL_CREDENTIALS.sub("***@", text))
