"""The pace of each API: how many calls a minute, a second, at once, and how often a passing failure is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_pipeline.configuration import ConfigurationError, read_toml
from quant_pipeline.language import say
from quant_pipeline.wrong_values import first_problem


class RatePolicy(BaseModel):
    """Limits of one API. `per_minute=None` means that the source sets no quota (a private server)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_minute: int | None = Field(200, ge=1, description="Calls in any 60 seconds")
    per_second: float | None = Field(5.0, gt=0, description="Sustained pace")
    burst: int = Field(10, ge=1, description="Calls that may start at once before per_second holds")
    concurrency: int = Field(3, ge=1, le=64, description="Calls under way at once, over all processes")
    one_account: bool = Field(False, description="Whether `concurrency` holds over all APIs of the source together")
    retries: int = Field(3, ge=0, le=20, description="How often a passing failure is tried again")
    backoff: float = Field(0.5, ge=0, description="Seconds before the first retry; each further one waits twice as long")
    minute: float = Field(60.0, gt=0, description="Length of the quota's window in seconds")
    timeout: float = Field(30.0, gt=0, description="Seconds to wait for one answer; a client that hangs longer is killed")
    trip: int = Field(5, ge=1, description="Failed calls in a row that open the circuit")
    cool_down: float = Field(60.0, ge=0, description="Seconds for which an open circuit refuses calls before it tries one")


class PolicyError(ConfigurationError):
    """A rate-limit file that cannot be used."""


Policies = dict[str, dict[str, RatePolicy]]
"""source -> api -> policy; the api `*` holds for the source's other APIs."""


def policy_for(policies: Policies, source: str, api: str) -> RatePolicy:
    """The policy of that API: its own, else the source's `*`, else the general default."""
    of_source = policies.get(source, {})
    return of_source.get(api) or of_source.get("*") or RatePolicy()


def load_policies(path: Path | None, defaults: Mapping[str, Mapping[str, RatePolicy]]) -> Policies:
    """The sources' defaults with the user's TOML file (`QUANT_RATE_LIMITS`) laid over them.

    A table per API: `[tushare.daily]` with any of RatePolicy's fields (`quota = false` lifts the quota and the pace).
    ConfigurationError names the file and what is wrong in it.
    """
    policies = {source: dict(apis) for source, apis in defaults.items()}
    if path is None:
        return policies
    written = read_toml(path, say("the rate limits"))
    for source, apis in written.items():
        if not isinstance(apis, dict) or not all(isinstance(fields, dict) for fields in apis.values()):
            text = say(
                "{path}: {source!r} stands alone; write a table per API, such as [tushare.daily]", path=path, source=source
            )
            raise PolicyError(text)
        for api, fields in apis.items():
            base = policy_for(policies, source, api).model_dump()
            if fields.pop("quota", True) is False:
                base |= {"per_minute": None, "per_second": None}
            try:
                policies.setdefault(source, {})[api] = RatePolicy(**base | fields)
            except ValidationError as error:
                raise PolicyError(f"{path}, [{source}.{api}]: {first_problem(error)}") from None
    return policies
