"""The settings of live quotes; `.env.example` explains each."""

from __future__ import annotations

from pydantic import Field

from quant_pipeline.settings import Settings, Variables


class QuotesSettings(Variables):
    """Whether and how often quotes are asked for, and other addresses of their sites."""

    on: bool | None = Field(None, alias="QUANT_QUOTES")
    period: float = Field(3.0, ge=1.0, le=600.0, alias="QUANT_QUOTES_PERIOD")
    stored: bool = Field(False, alias="QUANT_QUOTES_STORE")
    by_tushare: bool = Field(False, alias="QUANT_QUOTES_TUSHARE")
    tencent_url: str | None = Field(None, alias="TENCENT_QUOTES_URL")
    ranks_url: str | None = Field(None, alias="TENCENT_RANKS_URL")
    sina_url: str | None = Field(None, alias="SINA_QUOTES_URL")

    def wanted(self, current: Settings) -> bool:
        """Whether `ui` and `serve` poll: in the sandbox unless told otherwise, the real sites only where told to."""
        return current.sandboxed if self.on is None else self.on
