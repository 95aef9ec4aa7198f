"""AKShare over its own client, which reads public web sites: a filler of gaps, not a source for the whole market."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.sources.akshare.bars import TENCENT, AkshareBars
from quant_pipeline.sources.akshare.concept_pages import ConceptPages
from quant_pipeline.sources.akshare.lists import AkshareLists
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.context import Context, SourceSettings
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words, unreached
from quant_pipeline.sources.frames import to_polars
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, RatePolicy, policy_for
from quant_pipeline.sources.worker import ClientDied, ClientFailed, ClientHung, ClientProcess
from quant_pipeline.warehouse.database import Database

_WEB = RatePolicy(
    per_minute=30, per_second=0.5, burst=2, concurrency=1, retries=1, backoff=3.0, timeout=60, trip=2, cool_down=1800
)
_CLIENT = "quant_pipeline.sources.akshare.client"
_SANDBOX_AUTHORITY = "quant_pipeline SANDBOX"
"""As `sandbox/servers/web/proxy.py` calls it, which nothing here may import."""
_BLOCK_PAGES = frozenset(
    {"JSONDecodeError", "JSONParseException", "IndexError", "KeyError", "AttributeError", "SyntaxError", "JSEvalException"}
)
"""What the client stumbles over where it expects data and gets a page for people."""


class AkshareSettings(SourceSettings):
    """The way to the web: the standard variables, of which none need be set."""

    address = "HTTPS_PROXY"
    https_proxy: str | None = Field(None, alias="HTTPS_PROXY")
    http_proxy: str | None = Field(None, alias="HTTP_PROXY")
    no_proxy: str | None = Field(None, alias="NO_PROXY")
    requests_ca_bundle: str | None = Field(None, alias="REQUESTS_CA_BUNDLE")
    curl_ca_bundle: str | None = Field(None, alias="CURL_CA_BUNDLE")

    @property
    def environment(self) -> dict[str, str]:
        """Those that are set, as a process finds them."""
        return self.model_dump(by_alias=True, exclude_none=True)

    @property
    def is_a_server(self) -> bool:
        """Only a sandbox's proxy answers in the web sites' place: it is known by the authority that they are signed by."""
        bundle = self.requests_ca_bundle or self.curl_ca_bundle
        try:
            authorities = ssl.create_default_context(cafile=bundle).get_ca_certs() if bundle else []
        except OSError:  # no such file, or none of certificates
            return False
        return bool(authorities) and all(_SANDBOX_AUTHORITY in str(each["issuer"]) for each in authorities)


class AkshareSource(AkshareBars, AkshareLists):
    """AKShare; `environment` (a proxy, a certificate authority) is its client's own, `database` remembers concepts' pages."""

    name = "akshare"
    default_priority = 3
    # By web site, not by function: a site bans an address, whatever it was asked for.
    default_policies: ClassVar = {"*": _WEB, "jisilu": RatePolicy(**_WEB.model_dump() | {"per_minute": 6})}
    settings = AkshareSettings
    shares = False

    def __init__(
        self,
        database: Database,
        environment: Mapping[str, str],
        calendar: Calendar,
        limiter: Limiter,
        policies: Policies,
        *,
        patience: float = 120.0,
    ) -> None:
        super().__init__(calendar, limiter, policies, patience=patience)
        self.concept_pages = ConceptPages(database.pool)
        self._client = ClientProcess(_CLIENT, environment)

    @classmethod
    def build(cls, settings: AkshareSettings, context: Context) -> AkshareSource:
        given = (context.calendar, context.limiter, context.policies)
        return cls(context.database, settings.environment, *given, patience=context.patience)

    def move(self, settings: AkshareSettings) -> None:
        self._client.restart(settings.environment)

    def close(self) -> None:
        self._client.close()

    def ask(self, site: str, function: str, *arguments: str, tally: Tally, longer: float = 0.0) -> pl.DataFrame:
        timeout = policy_for(self._policies, self.name, site).timeout + longer
        return self.call(site, lambda: to_polars(self._client.ask(function, *arguments, timeout=timeout)), tally)

    def classify(self, api: str, error: Exception) -> SourceError:
        if isinstance(error, ClientHung | ClientDied):
            return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))
        if not isinstance(error, ClientFailed):
            text = told("the answer has not the expected form: {error}", error=in_words(error))
            return SourceError(FailureClass.BANNED, self.name, api, text)
        failure, words = _class_of(api, error)
        return SourceError(failure, self.name, api, words)


def _class_of(api: str, error: ClientFailed) -> tuple[FailureClass, str]:
    """By the classes' names: a proxy in between turns a cut line into another class of the same family."""
    kinds = set(error.kinds)
    if (words := unreached(error.causes)) is not None:
        return FailureClass.UNREACHABLE, words
    if "Timeout" in kinds or "TimeoutError" in kinds:
        return FailureClass.RETRYABLE, marked("no answer in time")
    if kinds & {"ConnectionError", "ProxyError", "RemoteDisconnected", "ChunkedEncodingError"}:
        return FailureClass.BANNED, marked("the site cut the line, as it does when it bans an address")
    if "RemoteCode" in kinds:
        return FailureClass.BANNED, error.text
    if "ValueError" in kinds and "Excel file format" in error.text:
        return FailureClass.RETRYABLE, marked("the reply is no workbook")
    if "IndexError" in kinds and api == TENCENT:
        return FailureClass.EMPTY, marked("the site has no bars")  # a page for people is a JSONDecodeError there
    if "ValueError" in kinds and "factor not available" in error.text:
        return FailureClass.EMPTY, marked("the site has no factors")
    if "TypeError" in kinds and "NoneType" in error.text:
        return FailureClass.EMPTY, marked("the answer has no data")
    if kinds & _BLOCK_PAGES or ("ValueError" in kinds and "Length mismatch" in error.text):
        return FailureClass.BANNED, marked("a page for people came in place of data: blocked")
    return FailureClass.RETRYABLE, error.text
