"""ADBC's module for PostgreSQL, without pandas.

It imports `pyarrow.dataset`, and with that pandas, half a second of every command, for a way of writing that is not used here
(rows go in by COPY). So an empty module stands in for it while ADBC's is imported, and no longer.
"""

from __future__ import annotations

import sys
from types import ModuleType

_NEEDLESS = "pyarrow.dataset"

_stands_in = sys.modules.setdefault(_NEEDLESS, ModuleType(_NEEDLESS))
try:
    from adbc_driver_postgresql import dbapi
finally:
    if not hasattr(_stands_in, "__file__"):
        sys.modules.pop(_NEEDLESS, None)

__all__ = ["dbapi"]
