"""The client: one call of a service, with an end in time, tried again where that can help, counted for all processes.

Calls are leased from the sources' limiter, so quota, pace, circuit and metrics of a service stand in `source_calls` and
`source_state` under its name, and hold for every process. A call never raises: what went wrong is its Result.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from quant_pipeline.language import marked, told
from quant_pipeline.services.result import (
    FAULTY,
    HELD_BACK,
    NO_ANSWER,
    NOT_ITS_PROTOCOL,
    UNREACHED,
    Result,
    refused,
    seconds,
)
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words
from quant_pipeline.sources.policy import RatePolicy

if TYPE_CHECKING:
    import requests

    from quant_pipeline.sources.limiter import Limiter

LARGEST = 2**20
"""Bytes of an answer: a true one has some thousand."""
PATIENCE = 2.0
"""Seconds that a call waits for its place within a pace; a used-up quota is not waited for."""
_SHORTEST_SECRET = 4
_LONGEST_PAUSE = 10.0
_LONGEST_TEXT, _LONGEST_CODE = 300, 60
_LEFT_ALONE = 60.0
"""Seconds, where it asks for fewer calls and names no time."""
_TOO_MANY, _SERVERS_FAULT = 429, 500
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """What is asked: `api` is what it is counted under; `asked` are the arguments of requests (json, params, headers …)."""

    api: str
    method: str
    url: str
    asked: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answered:
    """What came over HTTP: the status, the JSON (None where it is none), the text, and the bytes that it was read from."""

    status: int
    json: Any
    text: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


Judge = Callable[[Answered], Result | None]
"""What an answer of the service means; None: it is not of its protocol."""


@dataclass(frozen=True)
class Hooks:
    """What an adapter does before each call and after each answer."""

    before: Callable[[Call], Call] = lambda call: call
    after: Callable[[Call, Result], Result] = lambda _call, result: result
    error: Callable[[Call, Exception], Result | None] = lambda _call, _error: None


class _Failed(SourceError):
    """A failed call on its way through the limiter, which counts it."""

    def __init__(self, name: str, api: str, result: Result) -> None:
        failure = result.failure or FailureClass.RETRYABLE
        text = f"{result.error_code} {result.error_message}".strip()
        super().__init__(failure, name, api, text, wait=result.wait, unknown=result.unfamiliar)
        self.result = result


class Client:
    """Calls of one service under one name; threads may share it.

    `secrets` are taken out of every text and answer. `public`: private addresses are never connected to.
    """

    def __init__(
        self,
        name: str,
        address: str,
        policy: RatePolicy,
        limiter: Limiter | None = None,
        *,
        secrets: Iterable[str] = (),
        hooks: Hooks = Hooks(),
        public: bool = False,
        proxy: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.name, self.address, self.policy = name, address.rstrip("/"), policy
        self.hooks = hooks
        self.limiter = limiter
        self._public, self._proxy, self._patience = public, proxy, patience
        # What is asked about is not what a quota counts.
        self._of_questions = policy.model_copy(update={"per_minute": None, "per_second": None})
        self._secrets: list[str] = []
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """A secret that no text may hold from now on. Of a few signs it is none that could be told from other words."""
        if len(secret) >= _SHORTEST_SECRET:
            self._secrets = sorted({*self._secrets, secret}, key=len, reverse=True)

    def call(
        self,
        api: str,
        method: str,
        path: str,
        judge: Judge,
        *,
        repeatable: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
        **asked: Any,
    ) -> Result:
        """One call over HTTP, as the service's answer says it went.

        `repeatable`: asking twice does no harm (a question): then what was not answered is tried again too; else only what
        never reached the service. `timeout` (seconds for the whole answer) and `retries`: in the place of the policy's.
        """
        call = Call(api, method, self.address + path, asked)
        seconds = timeout or self.policy.timeout
        return self.attempt(api, lambda: self._exchanged(call, judge, seconds), repeatable=repeatable, retries=retries)

    def attempt(
        self, api: str, exchange: Callable[[], Result], *, repeatable: bool = False, retries: int | None = None
    ) -> Result:
        """The same for what is no HTTP (mail): `exchange` makes the call, and says how it went."""
        from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

        def again(result: Result) -> bool:
            return result.failure in (FailureClass.RETRYABLE, FailureClass.BANNED) and (
                not result.sent or (repeatable and not result.answered)
            )

        retrying = Retrying(
            stop=stop_after_attempt((self.policy.retries if retries is None else retries) + 1),
            wait=wait_exponential(multiplier=self.policy.backoff, max=_LONGEST_PAUSE),
            retry=retry_if_result(again),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        policy = self._of_questions if repeatable else self.policy
        result: Result = retrying(self._counted, api, policy, exchange)
        return result

    def _counted(self, api: str, policy: RatePolicy, exchange: Callable[[], Result]) -> Result:
        """One attempt under the limiter."""
        place = nullcontext() if self.limiter is None else self.limiter.call(self.name, api, policy, patience=self._patience)
        try:
            with place:
                result = self._clean(exchange())
                if not result.success:
                    raise _Failed(self.name, api, result)
                return result
        except _Failed as failed:
            return failed.result
        except SourceError as error:  # it got no place
            return refused(HELD_BACK, error.text, error.failure, wait=error.wait, sent=False)

    def _exchanged(self, call: Call, judge: Judge, timeout: float) -> Result:
        try:
            call = self.hooks.before(call)
            result = self._over_http(call, judge, timeout)
            return self.hooks.after(call, result)
        except Exception as error:  # an adapter's own code: its fault is this call's, and no other's
            told_by_adapter = self.hooks.error(call, error)
            if told_by_adapter is not None:
                return told_by_adapter
            text = told("the adapter {name} failed: {why}", name=self.name, why=in_words(error))
            return refused(FAULTY, text, FailureClass.PERMANENT_API)

    def _over_http(self, call: Call, judge: Judge, timeout: float) -> Result:
        import requests

        from quant_pipeline.sources import bounded_http

        asked = dict(call.asked)
        if (body := asked.pop("json", None)) is not None:  # as UTF-8: services count bytes, and an escape has twice as many
            asked["data"] = json.dumps(body, ensure_ascii=False).encode()
            asked["headers"] = {"Content-Type": "application/json; charset=utf-8", **asked.get("headers", {})}
        if self._proxy:
            asked["proxies"] = {"http": self._proxy, "https": self._proxy}
        try:
            answer = bounded_http.request(
                call.method, call.url, timeout=timeout, largest=LARGEST, public=self._public and not self._proxy, **asked
            )
        except requests.RequestException as error:
            return _unanswered(error)
        answered = _read(answer)
        judged = judge(answered)
        if judged is not None:
            return replace(judged, raw=answered.text) if judged.raw is None else judged
        return _no_protocol(answered)

    def _clean(self, result: Result) -> Result:
        """Without secrets, on lines of a length that can be read."""
        text = self.clean(" ".join(result.error_message.split()))
        return replace(
            result,
            error_code=_printable(self.clean(result.error_code))[:_LONGEST_CODE],
            error_message=_printable(text)[:_LONGEST_TEXT],
            raw=self._cleaned(result.raw),
        )

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            for form in (secret, quote(secret, safe=""), quote(secret)):
                text = text.replace(form, "***")
        return text

    def _cleaned(self, raw: Any) -> Any:
        match raw:
            case str():
                return self.clean(raw)
            case dict():
                return {name: self._cleaned(value) for name, value in raw.items()}
            case list() | tuple():
                return [self._cleaned(value) for value in raw]
        return raw


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())


def by_code(
    answered: Answered,
    code: str,
    text: str,
    known: Mapping[str, FailureClass],
    *,
    success: frozenset[str],
    waits: Mapping[str, float] | None = None,
) -> Result | None:
    """The verdict on an answer that tells by a code in its JSON: `known` says what codes mean.

    A code that stands nowhere is a passing fault, and told as one that nobody knows. None: it is no answer of that form.
    """
    if not isinstance(answered.json, dict) or answered.json.get(code) is None:
        return None
    said, words = str(answered.json[code]), str(answered.json.get(text) or "")
    if said in success:
        return Result(True, answered.json, raw=answered.json)
    failure = known.get(said)
    return refused(
        said,
        words,
        failure or FailureClass.RETRYABLE,
        raw=answered.json,
        wait=(waits or {}).get(said, 0.0),
        unfamiliar=failure is None,
    )


def _read(answer: requests.Response) -> Answered:
    try:
        content = answer.json()
    except ValueError:
        content = None
    return Answered(answer.status_code, content, answer.text, answer.headers, answer.content)


def _unanswered(error: requests.RequestException) -> Result:
    from quant_pipeline.sources import bounded_http

    words = bounded_http.fault_in_words(error)
    if isinstance(error, bounded_http.PrivateAddress):
        return refused("private_address", words, FailureClass.PERMANENT_SOURCE, sent=False)
    if isinstance(error, bounded_http.Redirected):
        return refused("redirected", words, FailureClass.RETRYABLE)
    if bounded_http.never_sent(error):
        return refused(UNREACHED, words, FailureClass.RETRYABLE, sent=False)
    return refused(NO_ANSWER, words, FailureClass.RETRYABLE)


def _no_protocol(answered: Answered) -> Result:
    """An HTTP answer that is not the service's: of a gateway, a proxy, another service."""
    if answered.status == _TOO_MANY:
        wait = seconds(answered.headers.get("Retry-After")) or _LEFT_ALONE
        return refused(answered.status, marked("too many calls"), FailureClass.RATE_LIMITED, wait=wait)
    if answered.status < _SERVERS_FAULT and answered.status // 100 != 2:
        text = told("it answered with HTTP status {status}: the address or the access is wrong", status=answered.status)
        return refused(answered.status, text, FailureClass.RETRYABLE)
    text = told("it answered with HTTP status {status} and nothing of its protocol", status=answered.status)
    return refused(NOT_ITS_PROTOCOL, text, FailureClass.RETRYABLE)
