"""The saved copy of a report: one file that stands alone, under QUANT_HOME/reports."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from quant_pipeline.backtest_report.made import report_of
from quant_pipeline.backtest_report.parts import Report
from quant_pipeline.look.environment import environment, script, style
from quant_pipeline.market import clock
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def page_of(settings: Settings, number: str) -> str:
    """The address of the live page."""
    return f"{settings.pages_url}/backtests/{number}"


def path_of(settings: Settings, number: str) -> Path:
    """Where its copy is kept."""
    return settings.home / "reports" / "backtests" / f"{number}.html"


def html_of(settings: Settings, report: Report, made_at: dt.datetime) -> str:
    """The report as one HTML file: styles, figures and plotly inlined (4.6 MB), links to the pages' address."""
    return _environment().get_template("backtest_report.html").render(
        report=report,
        base=settings.pages_url,
        sandboxed=settings.sandboxed,
        style=style(),
        plotly=_plotly(),
        draw=script("figures.js"),
        made_at=made_at,
    )  # fmt: skip


def saved(settings: Settings, database: Database, number: str) -> Path:
    """Writes the copy of a stored backtest, whole or not at all. KeyError where there is none; OSError where it cannot be."""
    report = report_of(database, number)
    if report is None:
        raise KeyError(number)
    path = path_of(settings, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished-", suffix=".html", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(html_of(settings, report, clock.now()))
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return path


def _plotly() -> str:
    found = importlib.util.find_spec("plotly")  # not imported: it takes a second
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return environment(TEMPLATES)
