"""The versions that are installed together suit every Python that the platform promises: Debian 12 has 3.11.2."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet

OLDEST = "3.11.2"
PINS = [
    line.split("==")
    for line in (Path(__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line and not line.startswith("#")
]


def test_every_pin_suits_the_oldest_python() -> None:
    refusing, seen = {}, 0
    for name, version in PINS:
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # of another system
        if installed.version != version:
            continue
        seen += 1
        wanted = installed.metadata.get("Requires-Python") or ""
        if not SpecifierSet(wanted).contains(OLDEST):
            refusing[name] = wanted
    assert refusing == {}
    assert seen > len(PINS) / 2
