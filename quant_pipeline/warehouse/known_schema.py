"""Whether the tables are those of this version, told without building them: their digest is remembered with the code's.

To build them takes SQLAlchemy and half a second, of every command; and the answer is nearly always that nothing is to do.
What is remembered stands in the user's cache, and says what `schema.fingerprint` gives for these very files.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
import psycopg

from quant_pipeline.settings import Mode

_PACKAGE = Path(__file__).parents[1]
_ROOMS = ("market", "warehouse")
"""Where the tables are declared."""
_KNOWN = "SELECT to_regclass('quant_warehouse') IS NOT NULL"
_STANDS = "SELECT mode, fingerprint FROM quant_warehouse"


def is_current(connection: psycopg.Connection[Any], mode: Mode) -> bool:
    """Whether the database is known to need no upgrade. False is no answer: then the tables are asked.

    A process that has built them already asks those.
    """
    if "quant_pipeline.warehouse.schema" in sys.modules or (fingerprint := _remembered()) is None:
        return False
    known = connection.execute(_KNOWN).fetchone()
    return bool(known and known[0]) and connection.execute(_STANDS).fetchone() == (mode.value, fingerprint)


def remember(fingerprint: str) -> None:
    """For the next processes of this code; where nothing can be written, they build the tables."""
    file = _file()
    with suppress(OSError):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            for former in file.parent.glob("schema-*"):
                former.unlink(missing_ok=True)
            unfinished = file.with_suffix(f".{os.getpid()}")
            unfinished.write_text(fingerprint, encoding="ascii")
            unfinished.replace(file)


def _remembered() -> str | None:
    with suppress(OSError):
        return _file().read_text(encoding="ascii") or None
    return None


def _file() -> Path:
    digest = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((_PACKAGE / room).rglob("*.py")):
            digest.update(f"{path.name}:".encode() + path.read_bytes())
    return platformdirs.user_cache_path("quant_pipeline") / f"schema-{digest.hexdigest()[:32]}"
