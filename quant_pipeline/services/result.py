"""What a call of a service came to: one form for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from quant_pipeline.sources.failures import FailureClass

LONGEST_WAIT = 86_400.0
"""Seconds: no service is left alone for longer than a day because it says so."""


@dataclass(frozen=True)
class Result:
    """A call that succeeded (`data`), or did not (`error_code`, `error_message`, and `failure`: what it means).

    `raw` is the service's answer as it came, without secrets. `wait`: seconds after which another call may succeed, a day at
    most.
    `sent`: whether the service may have had the call. `unfamiliar`: it refused with a code that the adapter does not know.
    `for_the_day`: no call of the account is to be made before the next day.
    """

    success: bool
    data: Any = None
    error_code: str = ""
    error_message: str = ""
    raw: Any = field(default=None, repr=False)
    failure: FailureClass | None = None
    wait: float = 0.0
    sent: bool = True
    unfamiliar: bool = False
    for_the_day: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "wait", seconds(self.wait))

    @property
    def answered(self) -> bool:
        """Whether the service has spoken: taken it, or refused it in its own protocol."""
        return self.success or (self.sent and self.error_code not in UNANSWERED)


def seconds(named: object) -> float:
    """The wait that a service named, within 0 and LONGEST_WAIT; 0.0 where it is no time that has an end."""
    try:
        wait = float(named)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), LONGEST_WAIT) if math.isfinite(wait) else 0.0


def done(data: Any = None, raw: Any = None) -> Result:
    """The service did it."""
    return Result(True, data, raw=raw)


def refused(
    code: object,
    message: str,
    failure: FailureClass,
    *,
    raw: Any = None,
    wait: float = 0.0,
    sent: bool = True,
    unfamiliar: bool = False,
) -> Result:
    """The service did not do it."""
    return Result(False, None, str(code), message, raw=raw, failure=failure, wait=wait, sent=sent, unfamiliar=unfamiliar)


UNREACHED = "unreachable"
"""No connection: the service never had the call."""
NO_ANSWER = "no_answer"
"""The call went out, and no whole answer came."""
NOT_ITS_PROTOCOL = "not_its_protocol"
"""A gateway's page, a block page: not the service's own words."""
HELD_BACK = "held_back"
"""The call was not made: a quota is used up, or the circuit is open."""
FAULTY = "faulty"
"""The adapter itself failed."""
UNANSWERED = frozenset({NO_ANSWER, NOT_ITS_PROTOCOL})
