"""The saved copy of a day: one file that stands alone, under QUANT_HOME/reports."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from quant_pipeline.overview.parts import Day
from quant_pipeline.settings import Settings

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def path_of(settings: Settings, session: dt.date) -> Path:
    """Where the session's copy is kept."""
    return settings.home / "reports" / f"{session}.html"


def html_of(settings: Settings, day: Day, made_at: dt.datetime) -> str:
    """The day as one HTML file: styles inlined, no script, links to the pages' address."""
    from quant_pipeline.look.environment import style  # here: a code location declares assets without templates

    return _environment().get_template("report.html").render(
        day=day,
        base=settings.pages_url,
        ui_url=settings.ui_url.rstrip("/"),
        sandboxed=settings.sandboxed,
        style=style(),
        made_at=made_at,
    )  # fmt: skip


def save(settings: Settings, day: Day, made_at: dt.datetime) -> Path:
    """Writes the copy whole or not at all; OSError where the home cannot be written to."""
    path = path_of(settings, day.session)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".html", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(html_of(settings, day, made_at))
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return path


@cache
def _environment() -> jinja2.Environment:
    from quant_pipeline.look.environment import environment

    return environment(TEMPLATES)
