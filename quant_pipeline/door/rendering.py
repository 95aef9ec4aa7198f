"""A page: a template filled in, under the header that all pages share."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from quant_pipeline.door import plotly
from quant_pipeline.door.access import Access
from quant_pipeline.look.environment import environment, style_version

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).with_name("templates")
STATIC = Path(__file__).with_name("static")
NAVIGATION = (
    ("/", "一日概览", "Day"),
    ("/k", "K线", "K-line"),
    ("/quotes", "行情", "Live quotes"),
    ("/screens", "选股", "Screens"),
    ("/signals", "信号", "Signals"),
    ("/watchlists", "自选", "Watchlists"),
    ("/backtests", "回测", "Backtests"),
    ("/sync", "同步", "Sync"),
    ("/alerts", "告警", "Alerts"),
    ("/data", "数据", "Data"),
)
"""Address, name and English name of each part; a page lights up the one that its address lies under."""


def page(request: Request, template: str, *, status_code: int = 200, **shown: Any) -> HTMLResponse:
    """The template with `shown`, and what the header needs."""
    access: Access = request.app.state.access
    text = _environment().get_template(template).render(
        **shown,
        navigation=NAVIGATION,
        here=_part_of(request.url.path),
        sandboxed=access.settings.sandboxed,
        ui_url=access.settings.ui_url.rstrip("/"),
        style_version=style_version(),
        plotly_path=plotly.PATH,
        asked=request.query_params.get("q", ""),
    )  # fmt: skip
    return HTMLResponse(text, status_code=status_code)


@cache
def _environment() -> jinja2.Environment:
    from quant_pipeline.backtest_report import document
    from quant_pipeline.overview import report

    made = environment(TEMPLATES, report.TEMPLATES, document.TEMPLATES)
    made.globals["static"] = _static
    return made


@cache
def _static(name: str) -> str:
    """The address of a file of ours, which changes with its content, so that browsers may keep it for long."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _part_of(path: str) -> str:
    if path.startswith("/day"):
        return "/"
    if path.startswith("/messages"):
        return "/alerts"
    return next((address for address, _, _ in NAVIGATION[1:] if path == address or path.startswith(f"{address}/")), path)
