"""How the workers of `pytest --numprocesses` share the files: the longest first, and what one fixture serves to one of them."""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

_TOGETHER = ("door/tushare/",)
"""Folders whose files share what takes long to make: a worker that got one of them only would make it anew."""
_LONGEST = (
    "test_cli.py",
    "door/tushare/",
    "test_readme.py",
    "sync/test_syncer.py",
    "sync/test_outage.py",
    "console/test_interruption.py",
    "sync/test_reconcile.py",
    "sync/test_false_data.py",
    "assets/test_dataset_asset.py",
    "warehouse/test_server.py",
    "sync/test_faults.py",
    "backtest/test_command.py",
    "sync/test_processes.py",
    "door/test_pages.py",
    "assets/test_daily_sync.py",
    "assets/test_checks.py",
    "door/test_kline_pages.py",
    "door/rest/test_rest.py",
    "notify/test_delivery.py",
    "sandbox/test_service.py",
    "sync/test_peers.py",
    "notify/test_load.py",
    "notebook/test_bars.py",
    "console/test_ui_place.py",
    "strategies/test_classic_screens.py",
    "sync/test_calendar_acceptance.py",
    "door/test_keys.py",
)
"""In the order of their time (the first ones a minute and a half, the last ones 20 seconds): a new one that takes as long
belongs here, for what is begun last is what one worker ends alone. All others follow by the number of their tests."""
_HERE = "quant_pipeline_tests/"


class LongestFirst(LoadFileScheduling):
    """A file to a worker, as `--dist loadfile` has it, but ordered by time and not by the number of tests alone."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((_HERE + folder for folder in _TOGETHER if file.startswith(_HERE + folder)), file)


def rank(nodeid: str) -> int:
    """The place of a test's file among the longest; after all of them that of any other."""
    path = nodeid.removeprefix(_HERE)
    return next((place for place, begin in enumerate(_LONGEST) if path.startswith(begin)), len(_LONGEST))


def longest_first(items: list[pytest.Item]) -> None:
    """Puts the longest files first, then those of the most tests; the order within a file stays."""
    files = [item.nodeid.split("::", 1)[0] for item in items]
    size = Counter(files)
    order = {item: (rank(file), -size[file], file) for item, file in zip(items, files, strict=True)}
    items.sort(key=order.__getitem__)
