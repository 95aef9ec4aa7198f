"""In which words a source refuses, and what it means: tables of texts, each beside its class, and how a text is looked up.

A source's own table stands beside its adapter. Words that stand in no table are a passing fault, and recorded once with
their text, so that they can be added.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from quant_pipeline.language import told
from quant_pipeline.market import clock
from quant_pipeline.sources.failures import FailureClass, SourceError

_logger = logging.getLogger(__name__)

EVENT = "unknown_refusal"
# Two processes may meet the same words at once. A statement of its own: one that waits sees only what stood there before.
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('unknown_refusal'))"
# Texts that differ in their numbers only are the same one.
_RECORD = """
INSERT INTO source_events (source, api, kind, reason)
SELECT %(source)s, %(api)s, 'unknown_refusal', %(text)s
WHERE NOT EXISTS (
    SELECT FROM source_events
    WHERE kind = 'unknown_refusal' AND source = %(source)s
      AND regexp_replace(reason, '[0-9]+', '0', 'g') = regexp_replace(%(text)s, '[0-9]+', '0', 'g')
)
"""


class Window(StrEnum):
    """What a quota counts over; its calls come back with the next one."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_WRITTEN = {"分钟": Window.MINUTE, "小时": Window.HOUR, "天": Window.DAY, "日": Window.DAY}


@dataclass(frozen=True)
class Refusal:
    """Words that a source refuses with. Groups of the pattern: `quota` is the number of calls, `window` what it is counted
    over, in the source's own word."""

    pattern: str
    failure: FailureClass
    window: Window | None = None
    """What is waited for where the text does not say it; None: nothing."""
    wait: float = 0.0
    """Seconds, where no window ends the wait."""
    whole: bool = False
    """Whether it holds for every API of the source."""


def refused(table: Sequence[Refusal], source: str, api: str, text: str, *, minute: float = 60.0) -> SourceError:
    """What the text means: the first of the table that is found in it. `minute`: the length of the quota's minute."""
    for known in table:
        if found := re.search(known.pattern, text):
            named = found.groupdict()
            window = _WRITTEN.get(named.get("window") or "", known.window)
            quota = named.get("quota")
            return SourceError(
                known.failure,
                source,
                "*" if known.whole else api,
                text,
                wait=known.wait if window is None else seconds_until_next(window, minute),
                per_minute=int(quota) if quota and window is Window.MINUTE else None,
            )
    return SourceError(FailureClass.RETRYABLE, source, api, text, unknown=True)


def seconds_until_next(window: Window, minute: float = 60.0) -> float:
    """Seconds to the next minute (at most `minute`), hour or day of the exchange's clock."""
    now = clock.now()
    match window:
        case Window.MINUTE:
            return min(minute, 60.0 - now.second)
        case Window.HOUR:
            following = (now + dt.timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
        case Window.DAY:
            following = (now + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (following - now).total_seconds()


def record_unknown(connection: psycopg.Connection[Any], source: str, api: str, text: str) -> bool:
    """Records and logs words that stand in no table, the first time that they come; whether it was that."""
    with connection.transaction():
        connection.execute(_ALONE)
        new = connection.execute(_RECORD, {"source": source, "api": api, "text": text}).rowcount
    if not new:
        return False
    _logger.warning(
        told(
            "{source}.{api} refused in words that are not known here; taken for a passing fault: {text}",
            source=source,
            api=api,
            text=text,
        )
    )
    return True
