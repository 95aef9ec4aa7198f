"""What the lake holds, for people and other tools: `manifest.json`. A file's own footer is what our readers go by."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake.files import Held

MANIFEST = "manifest.json"


class Manifest:
    """The files, by data set, each with the state of the table that it holds."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._of = {"mode": database.mode.value, "database": database.name}
        self._datasets: dict[str, dict[str, Any]] = {}

    def add(self, dataset: Dataset, path: Path, held: Held) -> None:
        """The file holds this."""
        columns = {column.name: column.type.value for column in dataset.stored_columns}
        known = self._datasets.setdefault(dataset.name, {"columns": columns, "files": {}})
        known["files"][path.relative_to(self._folder).as_posix()] = asdict(held) | {"bytes": path.stat().st_size}

    def save(self) -> None:
        """In the place of the former one, whole."""
        unfinished = (self._folder / MANIFEST).with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self._of | {"datasets": self._datasets}, indent=1), encoding="utf-8")
        unfinished.replace(self._folder / MANIFEST)
