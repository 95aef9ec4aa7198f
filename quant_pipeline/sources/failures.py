"""Every failure of a source has a class: it decides what is done next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from quant_pipeline.language import marked, told


class FailureClass(StrEnum):
    """What a failed call means for the next one."""

    RETRYABLE = "retryable"
    """The net, the gateway, a passing fault: the same call may succeed."""
    UNREACHABLE = "unreachable"
    """No connection came about: the network, a name, the proxy or the server cannot be reached; nothing was asked."""
    RATE_LIMITED = "rate_limited"
    """The quota is used up: it may succeed after a known wait."""
    BANNED = "banned"
    """A block page, or the line cut as sites do that ban an address: one more try, then its circuit opens for long."""
    CIRCUIT_OPEN = "circuit_open"
    """The call was not made: the API failed too often, and is left alone for a while."""
    EMPTY = "empty"
    """An answer that is empty or too short for what was asked: tried again, then the next source."""
    PERMANENT_API = "permanent_api"
    """This API will not answer this account (permission, points, parameters)."""
    PERMANENT_SOURCE = "permanent_source"
    """No API of the source will (token, account, blacklist)."""


class SourceError(Exception):
    """A failed call: its class, the source and API, and a text for a person (never a secret).

    `wait` (seconds) comes with RATE_LIMITED; `per_minute` is the quota that the source named, when it named one.
    `unknown`: the source refused in words that stand in no table of ours.
    """

    def __init__(
        self,
        failure: FailureClass,
        source: str,
        api: str,
        text: str,
        *,
        wait: float = 0.0,
        per_minute: int | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(f"{source}.{api}: {text}")
        self.failure = failure
        self.source = source
        self.api = api
        self.text = text
        self.wait = wait
        self.per_minute = per_minute
        self.unknown = unknown

    @property
    def passing(self) -> bool:
        """Whether the same call is worth trying again at once. (What was empty the router asks again, when it was judged.)"""
        return self.failure in _PASSING

    @property
    def outage(self) -> bool:
        """Whether the source could not be reached: another time it may answer."""
        return self.failure in _OUTAGES


def in_words(error: BaseException) -> str:
    """What an exception says, on one line of a length that can be read; a mere key or nothing is named for what it is."""
    said = " ".join(str(error).split())[:_LONGEST]
    if isinstance(error, KeyError):
        return told("it lacks {names}", names=said)
    return said or marked("no reason was given")


def causes_of(error: BaseException) -> Iterator[str]:
    """The names of the exception's class and of those that it comes from, the outermost first."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield type(cause).__name__
        cause = cause.__cause__ or cause.__context__


def unreached(causes: Iterable[str]) -> str | None:
    """In words that no connection came about, where one of the causes (names of classes) is that; else None.

    By name: clients in processes of their own, and libraries below libraries, hand on nothing more.
    """
    names = frozenset(causes)
    if names & _NO_NAME:
        return marked("the network cannot be reached: the server's name is not found")
    if names & _NO_LINE:
        return marked("the network or the server cannot be reached: no connection came about")
    return None


_NO_NAME = frozenset({"NameResolutionError", "gaierror"})
_NO_LINE = frozenset({"NewConnectionError", "ConnectTimeoutError", "NoConnection", "Unreached", "ConnectionRefusedError"})
_LONGEST = 300
AWAY = frozenset({FailureClass.CIRCUIT_OPEN, FailureClass.UNREACHABLE})
"""Nobody could be asked: no line came about, or had come about for a while. It says nothing about what was asked for."""
_OUTAGES = AWAY | {FailureClass.RETRYABLE, FailureClass.BANNED}
_PASSING = frozenset({FailureClass.RETRYABLE, FailureClass.UNREACHABLE, FailureClass.RATE_LIMITED, FailureClass.BANNED})


class Incomplete(Exception):
    """An answer that came, and cannot be all there is: the text says what is missing."""


class Implausible(Incomplete):
    """An answer that keeps every rule and contradicts what is known: the text says what.

    `impossible`: it cannot be true (a whole session that repeats the one before), and is taken on nobody's word alone.
    `answer` is what would be taken, if every source that can be asked says the same; `claim` is what they must say alike,
    where two answers may be doubted for different things (days of a calendar).
    """

    def __init__(self, text: str, answer: object, *, impossible: bool, claim: object = None) -> None:
        super().__init__(text)
        self.answer = answer
        self.impossible = impossible
        self.claim = claim


class Unanswered(Exception):
    """No source answered a unit. `failures` holds each source's last word, in the order in which they were asked.

    `unasked`: the sources that serve such units, and cannot have this one.
    """

    def __init__(
        self, what: str, failures: list[SourceError], *, unasked: Sequence[str] = (), calls: int = 0, attempts: int = 0
    ) -> None:
        said = "; ".join(f"{error} [{error.failure}]" for error in failures) or told("no source serves it")
        if unasked and not failures:
            said = told(
                "{sources} cannot have it: not ready yet, not kept that long, or not of its markets", sources=", ".join(unasked)
            )
        super().__init__(f"{what}: {said}")
        self.failures = failures
        self.outage = any(error.outage for error in failures)
        """Whether a source could not be reached."""
        self.calls = calls
        self.attempts = attempts

    @property
    def decisive(self) -> SourceError | None:
        """What became of the unit: that a source could not be reached, where the others had nothing (what is derived lacks
        what was not fetched, and some sites never have a past day); else the last source's word."""
        away = [error for error in self.failures if error.failure in AWAY]
        if away and all(error.failure in AWAY or error.failure is FailureClass.EMPTY for error in self.failures):
            return away[-1]
        return self.failures[-1] if self.failures else None
