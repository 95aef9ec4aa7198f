"""The source interface: what an adapter declares (`@serves`) and what the router asks of it (`fetch`)."""

from __future__ import annotations

import datetime as dt
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import polars as pl
import psycopg
import tenacity

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.paging import MOST
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.units import Grain, Unit, is_running
from quant_pipeline.warehouse.errors import DatabaseError

Fetcher = TypeVar("Fetcher", bound="Callable[..., pl.DataFrame]")
Only = Callable[[], "pl.Expr"]
"""A condition on a data set's rows. It is made when it is needed: whoever looks at the sources alone does not load polars."""


@dataclass(frozen=True)
class Serving:
    """How a source serves a data set: the grains it can be asked in, its API's name, and the rows of a full page."""

    dataset: Dataset
    grains: tuple[Grain, ...]
    api: str
    page: int
    method: str
    running: bool = False
    """Whether it gives the week or month that is still running, too."""
    asks: int = 1
    """The questions that one answer takes (a list asked for state by state)."""
    session_calls: int | None = None
    """The calls of an answer by session, where it is not made up as the others are."""
    most: int = MOST
    """The rows that one question's answer cannot exceed: more of them, and the server does not come to an end."""
    only: Only | None = field(default=None, compare=False)
    """Which of the data set's rows the source has at all (no delisted stocks, say); None: all of them."""

    def calls_for(self, rows: int, grain: Grain) -> int:
        """The calls that an answer of so many rows costs (a full page asks for one more)."""
        if grain is Grain.SESSION and self.session_calls is not None:
            return self.session_calls
        return rows // self.page + self.asks


def serves(
    dataset: Dataset,
    *,
    by: tuple[Grain, ...],
    api: str,
    page: int,
    running: bool = False,
    asks: int = 1,
    session_calls: int | None = None,
    most: int = MOST,
    only: Only | None = None,
) -> Callable[[Fetcher], Fetcher]:
    """Marks a method `(self, unit: Unit, tally: Tally) -> pl.DataFrame` as the one that serves the data set.

    The frame has the data set's column names and units; its types and rows are checked afterwards.
    """

    def mark(method: Fetcher) -> Fetcher:
        serving = Serving(dataset, by, api, page, method.__name__, running, asks, session_calls, most, only)
        method.__serving__ = serving  # type: ignore[attr-defined]
        return method

    return mark


@dataclass
class Tally:
    """What a unit cost so far."""

    calls: int = 0
    seconds: float = 0.0
    leases: list[int] = field(default_factory=list)
    """The calls of the answer that is being looked at, as `source_calls` numbers them."""
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when nobody wants the answer any more: the call under way ends, and no other is made."""
    once: bool = False
    """Whether a call that fails is not made again: it only tries whether there is a line."""


class Source(ABC):
    """An upstream source. Adapters name it, declare what it serves, and translate its failures.

    Threads may share one; each call waits for its place under the shared limiter and is tried again by class.
    """

    name: ClassVar[str]
    shares: ClassVar[bool] = True
    """Whether it takes its share of a long plan beside others; a source that bans is only asked for what they lack."""
    local: ClassVar[bool] = False
    """Whether it answers out of what is stored: that it does says nothing about the network."""
    default_priority: ClassVar[int]
    """Where the environment does not rank it (`<NAME>_PRIORITY`): 1 is first, 0 is off."""
    default_policies: ClassVar[Mapping[str, RatePolicy]]
    """The pace that each of its APIs bears, as far as it is known; `*` holds for the others."""
    settings: ClassVar[type[SourceSettings]] = SourceSettings
    """The variables of the environment that it needs."""
    servings: ClassVar[dict[str, Serving]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        members = (member for kind in reversed(cls.__mro__) for member in vars(kind).values())
        marked = (getattr(member, "__serving__", None) for member in members)
        cls.servings = {serving.dataset.name: serving for serving in marked if serving is not None}

    @classmethod
    def build(cls, settings: Any, context: Context) -> Source | None:
        """The source, with its settings (of the type that it declares); None where it is optional and not set up."""
        del settings
        return cls(context.calendar, context.limiter, context.policies, patience=context.patience)

    def __init__(self, calendar: Calendar, limiter: Limiter, policies: Policies, *, patience: float = 120.0) -> None:
        """`patience`: the longest wait (seconds) for a place under the quota before the next source is asked."""
        self._calendar = calendar
        self._limiter = limiter
        self._policies = policies
        self._patience = patience
        self._settings: Any = None
        self._settings_now: Callable[[], Any] = lambda: None
        self._looking = threading.Lock()

    def follow(self, settings: Any, settings_now: Callable[[], Any]) -> None:
        """Has the source look where its server is when a call did not reach it: a sandbox that was started again may listen
        elsewhere. `settings`: those that it was built with · `settings_now`: those of now; None where nobody knows."""
        self._settings, self._settings_now = settings, settings_now

    def move(self, settings: Any) -> None:
        """Goes on with the server that these settings (of the type that it declares) name. Most ask none."""
        del settings

    def _look_again(self) -> None:
        with self._looking:
            found = self._settings_now()
            if found is not None and found != self._settings:
                self._settings = found
                self.move(found)

    @classmethod
    def lacking(cls, settings: Any) -> str | None:
        """Why it cannot be used with these settings (of the type that it declares): no token, say; None where it can."""
        del settings
        return None

    def unavailable(self) -> str | None:
        """Why this source cannot be used (no token, say), in words for the user; None when it can."""
        return None

    def reaches(self, dataset: Dataset, unit: Unit) -> bool:
        """Whether the source can have this very unit: if not, it is not asked. Most do not have the running week or month."""
        return self.servings[dataset.name].running or not is_running(dataset, unit.end, self._calendar)

    def lacks(self, dataset: Dataset, ts_code: str) -> bool:
        """Whether the source does not have this code at all (BaoStock has no BSE): its absence is no short answer."""
        del dataset, ts_code
        return False

    def gives_not(self, dataset: Dataset, unit: Unit) -> frozenset[dt.date]:
        """The days of the unit that the source knows it cannot give, though it gives the others: their absence is no short
        answer."""
        del dataset, unit
        return frozenset()

    def close(self) -> None:  # noqa: B027  (most hold nothing)
        """Ends what the source holds open (a client's process, a connection)."""

    @abstractmethod
    def classify(self, api: str, error: Exception) -> SourceError:
        """What an exception out of the client means."""

    def can_serve(self, dataset: Dataset, grain: Grain) -> bool:
        serving = self.servings.get(dataset.name)
        return serving is not None and grain in serving.grains

    def policy(self, dataset: Dataset) -> RatePolicy:
        """The pace of the API that serves the data set."""
        return policy_for(self._policies, self.name, self.servings[dataset.name].api)

    def secrets(self) -> tuple[str, ...]:
        """What may stand in no text of this source: its token, its password."""
        return ()

    def without_secrets(self, text: str) -> str:
        """The text with every secret of the source blotted out; the longest first, for one may hold another."""
        for secret in sorted(filter(None, self.secrets()), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def fetch(self, dataset: Dataset, unit: Unit, tally: Tally) -> pl.DataFrame:
        """The unit's rows as the source gives them, all pages. SourceError says why there are none.

        Whatever goes wrong on the way is this source's failure for this unit, and nothing else's: an answer that the
        adapter cannot make rows of too. Only the platform's own database is no source.
        """
        serving = self.servings[dataset.name]
        tally.leases.clear()
        started = time.monotonic()
        try:
            frame: pl.DataFrame = getattr(self, serving.method)(unit, tally)
        except (SourceError, psycopg.Error, DatabaseError):
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            # The calls went well as calls: it is what they brought that cannot be used.
            self._limiter.record(tally.leases, FailureClass.RETRYABLE.value)
            text = told(
                "what it answered for {unit} cannot be used: {error}", unit=unit, error=self.without_secrets(in_words(error))
            )
            raise SourceError(FailureClass.RETRYABLE, self.name, serving.api, text) from None
        finally:
            tally.seconds += time.monotonic() - started
        return frame

    def disown(self, tally: Tally) -> None:
        """Records the calls of the last answer as `empty`: it was judged, and cannot be taken."""
        self._limiter.record(tally.leases, FailureClass.EMPTY.value)

    def call(self, api: str, request: Callable[[], pl.DataFrame], tally: Tally) -> pl.DataFrame:
        """One call at the source's pace, tried again while its failure is a passing one."""
        policy = policy_for(self._policies, self.name, api)
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(1 if tally.once else policy.retries + 1)
            | tenacity.stop_when_event_set(tally.stopped),
            wait=_pause(policy),
            sleep=tenacity.sleep_using_event(tally.stopped),
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, SourceError) and error.passing),
            reraise=True,
        )
        return retrying(self._once, api, policy, request, tally)

    def _once(self, api: str, policy: RatePolicy, request: Callable[[], pl.DataFrame], tally: Tally) -> pl.DataFrame:
        with self._limiter.call(self.name, api, policy, patience=self._patience, stopped=tally.stopped) as lease:
            tally.calls += 1
            tally.leases.append(lease.id)
            try:
                frame = request()
            except SourceError:
                raise
            except Exception as error:
                failure = self.classify(api, error)
                if failure.outage:
                    self._look_again()
                raise failure from None
            lease.rows = frame.height
            return frame


def _pause(policy: RatePolicy) -> Callable[[tenacity.RetryCallState], float]:
    exponential = tenacity.wait_exponential_jitter(multiplier=policy.backoff, max=16.0, jitter=policy.backoff / 2)

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, SourceError) and error.failure is FailureClass.RATE_LIMITED:
            return 0.0  # the limiter holds every process back until the source will answer again
        return exponential(state)

    return pause
