"""AKShare over its own client, which reads public web sites: a filler of gaps, not a source for the whole market."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quant_pipeline.sources.akshare.bars import TENCENT, AkshareBars
from quant_pipeline.sources.akshare.concept_pages import ConceptPages
from quant_pipeline.sources.akshare.lists import AkshareLists
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError, in_words
from quant_pipeline.sources.frames import to_polars
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import Policies, policy_for
from quant_pipeline.sources.worker import ClientDied, ClientFailed, ClientHung, ClientProcess
from quant_pipeline.warehouse.database import Database

_CLIENT = "quant_pipeline.sources.akshare.client"
_BLOCK_PAGES = frozenset(
    {"JSONDecodeError", "JSONParseException", "IndexError", "KeyError", "AttributeError", "SyntaxError", "JSEvalException"}
)
"""What the client stumbles over where it expects data and gets a page for people."""


class AkshareSource(AkshareBars, AkshareLists):
    """AKShare; `environment` (a proxy, a certificate authority) is its client's own, `database` remembers concepts' pages."""

    name = "akshare"

    def __init__(
        self,
        database: Database,
        environment: Mapping[str, str],
        limiter: Limiter,
        policies: Policies,
        *,
        patience: float = 120.0,
    ) -> None:
        super().__init__(limiter, policies, patience=patience)
        self.concept_pages = ConceptPages(database.pool)
        self._client = ClientProcess(_CLIENT, environment)

    def unavailable(self) -> str | None:
        return None

    def close(self) -> None:
        self._client.close()

    def ask(self, site: str, function: str, *arguments: str, tally: Tally, longer: float = 0.0) -> pl.DataFrame:
        timeout = policy_for(self._policies, self.name, site).timeout + longer
        return self.call(site, lambda: to_polars(self._client.ask(function, *arguments, timeout=timeout)), tally)

    def classify(self, api: str, error: Exception) -> SourceError:
        if isinstance(error, ClientHung | ClientDied):
            return SourceError(FailureClass.RETRYABLE, self.name, api, str(error))
        if not isinstance(error, ClientFailed):
            text = f"the answer has not the expected form: {in_words(error)}"
            return SourceError(FailureClass.BANNED, self.name, api, text)
        failure, words = _class_of(api, error)
        return SourceError(failure, self.name, api, words)


def _class_of(api: str, error: ClientFailed) -> tuple[FailureClass, str]:
    """By the classes' names: a proxy in between turns a cut line into another class of the same family."""
    kinds = set(error.kinds)
    if "Timeout" in kinds or "TimeoutError" in kinds:
        return FailureClass.RETRYABLE, "no answer in time"
    if kinds & {"ConnectionError", "ProxyError", "RemoteDisconnected", "ChunkedEncodingError"}:
        return FailureClass.BANNED, "the site cut the line, as it does when it bans an address"
    if "RemoteCode" in kinds:
        return FailureClass.BANNED, error.text
    if "ValueError" in kinds and "Excel file format" in error.text:
        return FailureClass.RETRYABLE, "the reply is no workbook"
    if "IndexError" in kinds and api == TENCENT:
        return FailureClass.EMPTY, "the site has no bars"  # a page for people is a JSONDecodeError there
    if "ValueError" in kinds and "factor not available" in error.text:
        return FailureClass.EMPTY, "the site has no factors"
    if "TypeError" in kinds and "NoneType" in error.text:
        return FailureClass.EMPTY, "the answer has no data"
    if kinds & _BLOCK_PAGES or ("ValueError" in kinds and "Length mismatch" in error.text):
        return FailureClass.BANNED, "a page for people came in place of data: blocked"
    return FailureClass.RETRYABLE, error.text
