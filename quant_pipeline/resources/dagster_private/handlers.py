"""Where Dagster's runs log to, besides its event log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import dagster as dg

_making = threading.Lock()
_made = list[Sequence[logging.Handler]]()


def share_handlers(instance: dg.DagsterInstance) -> None:
    """The handlers that dagster.yaml configures (`dagster_handler_config`) are made once for all runs of this process.

    Dagster makes them as each run begins, by logging's dictConfig, none or many: that closes every handler of the process under
    logging's own lock, and waits for each to be idle. A run beside it that just then writes an event holds its handler, and may
    want that lock: both stand still for ever, and the command with them.

    Changed name of the method: runs of one command that begin side by side can wait for each other
    (quant_pipeline_tests/resources/test_run_logs.py).
    """
    configured, make = instance.get_python_log_dagster_handler_config(), instance.get_yaml_python_handlers

    def handlers() -> Sequence[logging.Handler]:
        if not configured:
            return ()
        with _making:
            if not _made:
                _made.append(make())
            return _made[0]

    instance.get_yaml_python_handlers = handlers  # type: ignore[method-assign]
