"""How an asset fails: with the cause in words, once, and above whatever Dagster adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from quant_pipeline.retelling import for_readers


class Failed(dg.Failure):
    """A failure that is explained already: nothing is gained by trying at once again.

    Dagster shows an error under its class, with the module before it. This one has a name for people, and no module.
    """

    def __init__(self, description: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(for_readers(description), metadata=metadata, allow_retries=False)


Failed.__module__, Failed.__qualname__ = "builtins", "失败 Failed"
