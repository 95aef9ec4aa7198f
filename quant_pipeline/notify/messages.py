"""The texts that reach the user's WeChat, in HTML: escaping is exact there, and *ST names are safe from Markdown."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from dataclasses import dataclass
from typing import Any

import polars as pl

_MOST_ROWS = 20
_LONGEST_CAUSE = 600
_UP, _DOWN = "#d0342c", "#1a8f3c"
"""Red rises, green falls: the colours of the A-share market."""
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\s]+")
"""White space and what neither a page nor the database can hold."""


@dataclass(frozen=True)
class Message:
    """A message as it will be shown; `template` is PushPlus's word for the kind of its content."""

    title: str
    content: str
    template: str = "html"


def run_failed(*, job: str, step: str, run_id: str, cause: str, ui_url: str, sandbox: bool) -> Message:
    """Tells that a run failed: where, why (one line), and what to do. `step` may be empty (the run died outside one)."""
    cause = _one_line(cause)
    if len(cause) > _LONGEST_CAUSE:
        cause = cause[:_LONGEST_CAUSE] + "…"
    where = {"作业 Job": job} | ({"步骤 Step": step} if step else {}) | {"运行 Run": run_id}
    parts = [
        *(f"<p>{label}: <b>{_shown(value)}</b></p>" for label, value in where.items()),
        f"<p>原因 Cause: {_shown(cause)}</p>",
        f"<p>处理 What to do: {_link(f'{ui_url}/runs/{run_id}', '打开该运行 Open the run')}，查看失败步骤的日志；"
        "排除原因后点 Re-execute（From failure），已完成的交易日不会重新下载。</p>",
    ]
    return _message(f"运行失败 Run failed: {job}", parts, sandbox=sandbox)


def screen_ready(*, strategy: str, session: dt.date, hits: pl.DataFrame, ui_url: str, sandbox: bool) -> Message:
    """Tells the hits of a screen, best first.

    `hits`: ts_code, name, close [元], pct_chg [%], figures (JSON text), as in `screen_results`; any of their values may
    be null. Of many hits the first 20 are shown, and how many there are.
    """
    rows = [_row(hit) for hit in hits.head(_MOST_ROWS).iter_rows(named=True)]
    head = "".join(f"<th align='left'>{title}</th>" for title in ("代码 Code", "名称", "收盘 Close", "涨跌幅", "指标"))
    parts = [f"<p>{_shown(strategy)} · {session} · 共 {hits.height} 只 hits</p>"]
    if rows:
        parts.append(f"<table width='100%' cellpadding='3'><tr>{head}</tr>{''.join(rows)}</table>")
    if hits.height > _MOST_ROWS:
        parts.append(f"<p>… 共 {hits.height} 只，其余见 screen_results</p>")
    parts.append(f"<p>{_link(ui_url, '打开 Dagster UI')} · 选股结果不构成投资建议 Not investment advice</p>")
    return _message(f"{strategy} {session}: {hits.height} 只", parts, sandbox=sandbox)


def _row(hit: dict[str, Any]) -> str:
    change = hit["pct_chg"]
    colour = "" if not change else f" style='color:{_UP if change > 0 else _DOWN}'"
    figures = " · ".join(f"{name} {value}" for name, value in json.loads(hit["figures"] or "{}").items())
    cells = (
        f"<td>{_shown(hit['ts_code'])}</td>",
        f"<td>{_shown(hit['name'] or '—')}</td>",
        f"<td>{'—' if hit['close'] is None else format(hit['close'], '.2f')}</td>",
        f"<td{colour}>{'—' if change is None else format(change, '+.2f') + '%'}</td>",
        f"<td>{_shown(figures)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _message(title: str, parts: list[str], *, sandbox: bool) -> Message:
    if sandbox:
        title = f"[沙盒 SANDBOX] {title}"
        parts = ["<p><b>沙盒 SANDBOX</b>：模拟行情，并非真实数据 Simulated prices, not real ones</p>", *parts]
    return Message(_one_line(title), "\n".join(parts))


def _link(url: str, text: str) -> str:
    return f"<a href='{html.escape(url)}'>{text}</a>"


def _shown(text: str) -> str:
    return html.escape(_one_line(text))


def _one_line(text: str) -> str:
    return _NOT_TEXT.sub(" ", text).strip()
