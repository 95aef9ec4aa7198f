"""Read-through, where it is switched on: what a call asks for and the database lacks is fetched, stored, and answered."""

from __future__ import annotations

import logging
import threading

from quant_pipeline.door.access import Access
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sync.held import Lack

TRIGGER = "read-through"
MOST_CALLS = 40
"""Of one answer: who needs more waits for a sync."""
_PATIENCE = 15.0
"""Seconds for a place under a quota: the client gives the whole answer 30."""
_one_at_a_time = threading.Lock()
_logger = logging.getLogger(__name__)


def fetched(access: Access, lack: Lack) -> str | None:
    """Fetches what lacks; None when something came, else why nothing did (in words)."""
    from quant_pipeline.resources.at_once import TooMuch, fetch
    from quant_pipeline.retelling import retold
    from quant_pipeline.switches import switched_off
    from quant_pipeline.sync.plan import PlanError
    from quant_pipeline.sync.syncer import Request

    dataset = lack.dataset
    if dataset.name not in SOURCED or dataset.name in switched_off():
        return f"{dataset.name} 已在 QUANT_WITHOUT 中关闭。It is switched off."
    request = Request(sessions=lack.labels, codes=lack.codes or ())
    with _one_at_a_time:  # a second call for the same finds it stored
        try:
            outcome = fetch(
                access.database,
                access.calendar(),
                dataset,
                request,
                trigger=TRIGGER,
                patience=_PATIENCE,
                most=MOST_CALLS,
            )
        except TooMuch as much:
            return f"需约 {much.calls} 次请求，超过即时获取的上限 {MOST_CALLS}。Too many calls to be made while you wait."
        except PlanError as error:
            return retold(str(error))
    if outcome.failed and not outcome.synced:
        return retold(str(next(iter(outcome.failed.values())).error))
    _logger.info("read-through: %s %s units of %s", dataset.name, len(outcome.synced), request.codes or "the market")
    return None
