"""The base of an adapter: what a service is, what its answers mean. All else (time, tries, circuit, counting) is the client's.

class Kuaidi(Adapter):
    kind, provider, address = "logistics", "kuaidi", "https://poll.kuaidi100.com"
    needs = ("key",)

    def track(self, number: str) -> Result:
        return self.call("track", "POST", "/poll/query.do", repeatable=True, json={"num": number, "key": self.key("key")})

    def judge(self, answered: Answered) -> Result | None:
        return by_code(answered, "status", "message", {"400": FailureClass.PERMANENT_API}, success=frozenset({"200"}))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from quant_pipeline.language import say
from quant_pipeline.services.client import Answered, Call, Client, Hooks
from quant_pipeline.services.result import Result, done, refused
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.sources.policy import RatePolicy

if TYPE_CHECKING:
    from quant_pipeline.sources.limiter import Limiter

_OK = 2


class ServiceError(ValueError):
    """A service that cannot be used as it is written; the text says what to write."""


@dataclass(frozen=True)
class Setup:
    """A service as the user's file has it. `options`: what its adapter needs (keys, accounts), never shown."""

    name: str
    kind: str
    provider: str
    enabled: bool = True
    priority: int = 1
    """1 is asked first; 0 is off."""
    timeout: float | None = None
    retry_times: int | None = None
    url: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


class Adapter:
    """A service of a kind (sms, push, logistics, maps …) and a provider; an instance is one account of it."""

    kind: ClassVar[str]
    provider: ClassVar[str]
    address: ClassVar[str]
    policy: ClassVar[RatePolicy] = RatePolicy(per_minute=None, per_second=None, retries=2, timeout=15.0)
    needs: ClassVar[Collection[str]] = ()
    """The options that it cannot do without."""
    takes: ClassVar[Collection[str]] = ()
    """Further options."""

    def __init__(self, setup: Setup, limiter: Limiter | None = None, policy: RatePolicy | None = None) -> None:
        """`policy`: instead of the adapter's own. ServiceError says what lacks, or is not known."""
        if lacking := [name for name in self.needs if not setup.options.get(name)]:
            raise ServiceError(say("[services.{name}] lacks {names}", name=setup.name, names=", ".join(lacking)))
        if strange := sorted(set(setup.options) - {*self.needs, *self.takes}):
            known = ", ".join(sorted({*self.needs, *self.takes}))
            text = say(
                "[services.{name}] has {names}, which is not known; it takes {known}",
                name=setup.name,
                names=", ".join(strange),
                known=known,
            )
            raise ServiceError(text)
        changed = {"timeout": setup.timeout, "retries": setup.retry_times}
        pace = (policy or self.policy).model_copy(update={name: value for name, value in changed.items() if value is not None})
        self.setup, self.name = setup, setup.name
        self.client = Client(
            setup.name,
            setup.url or self.address,
            pace,
            limiter,
            secrets=setup.options.values(),
            hooks=Hooks(self.before_request, self.after_request, self.handle_error),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def key(self, name: str) -> str:
        """An option's value."""
        return self.setup.options[name]

    def call(
        self, api: str, method: str, path: str, *, repeatable: bool = False, timeout: float | None = None, **asked: Any
    ) -> Result:
        """One call; `asked` are the arguments of requests. It never raises."""
        return self.client.call(api, method, path, self.judge, repeatable=repeatable, timeout=timeout, **asked)

    def judge(self, answered: Answered) -> Result | None:
        """What an answer means: by the HTTP status, where an adapter does not say more. None: not of the protocol."""
        if answered.status // 100 != _OK:
            return None
        return done(answered.text if answered.json is None else answered.json)

    def before_request(self, call: Call) -> Call:
        """The call as it goes out: here it is signed."""
        return call

    def after_request(self, _call: Call, result: Result) -> Result:
        """The result as it is given back."""
        return result

    def handle_error(self, _call: Call, error: Exception) -> Result | None:
        """What becomes of an exception of the adapter's own code; None: it is told as a fault of the adapter."""
        if isinstance(error, KeyError):
            text = say("it lacks {names}", names=", ".join(map(str, error.args)))
            return refused("parameters", text, FailureClass.PERMANENT_API, sent=False)
        return None
