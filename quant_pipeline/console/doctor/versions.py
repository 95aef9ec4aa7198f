"""What is installed."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from quant_pipeline.console.doctor.findings import Finding, Patient, State
from quant_pipeline.language import say

_TOLD = ("quant-pipeline", "dagster", "polars", "akshare", "tushare", "baostock")
_UI = "dagster-webserver"


def look(patient: Patient) -> Finding:
    """Versions of Python, of the platform and of what it stands on."""
    del patient
    found = {name: _version(name) for name in (*_TOLD, _UI)}
    words = ", ".join([f"Python {platform.python_version()}", *(f"{name} {found[name]}" for name in _TOLD)])
    facts = {"python": sys.version.split()[0], **found}
    if found[_UI] is None:
        advice = say("the UI is not installed: pip install 'quant-pipeline[ui]'")
        return Finding("versions", State.WARNING, words, advice, facts)
    if found[_UI] != found["dagster"]:
        pair = {"dagster": found["dagster"], "webserver": found[_UI]}
        advice = say("Dagster {dagster} and its webserver {webserver} belong together: install them in one version", **pair)
        return Finding("versions", State.WARNING, words, advice, facts)
    return Finding("versions", State.OK, words, facts=facts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
