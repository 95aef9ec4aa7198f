"""How an asset fails: with the cause in words, once, and above whatever Dagster adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from quant_pipeline.retelling import for_readers

if TYPE_CHECKING:
    from quant_pipeline.resources.dagster_private.names import ErrorInfo


class Failed(dg.Failure):
    """A failure that is explained already: nothing is gained by trying at once again.

    Dagster shows an error under its class, with the module before it. This one has a name for people, and no module.
    """

    def __init__(self, description: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(for_readers(description), metadata=metadata, allow_retries=False)


def why(event: dg.DagsterEvent) -> str:
    """Why a step or a run failed: the words that were written for the user where there are some, else the first cause's."""
    if not event.is_step_failure:
        return _first_cause(getattr(event.event_specific_data, "error", None)) or str(event.message)
    failure = event.step_failure_data
    described = failure.user_failure_data.description if failure.user_failure_data else None
    return described or _first_cause(failure.error) or str(event.message)


def _first_cause(error: ErrorInfo | None) -> str:
    """The first cause's words, without the name of its class."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.partition(f"{error.cls_name}: ")[2].strip() or error.message.strip() if error else ""


Failed.__module__, Failed.__qualname__ = "builtins", "失败 Failed"
