"""Tushare as a resource."""

import dagster as dg
from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import load_policies
from quant_pipeline.sources.tushare import TushareSource


class TushareResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Tushare, or the server given by TUSHARE_URL. Token, address and priority come from the settings."""

    patience: float = Field(
        default=120.0, ge=0, description="Longest wait (seconds) for a place under the quota. 配额用尽时最多等待（秒）"
    )

    def source(self, limiter: Limiter) -> TushareSource:
        """The source under the shared limiter."""
        current = settings.load()
        at = upstream.tushare(current)
        policies = load_policies(current.rate_limits)
        return TushareSource(at.token, at.url, limiter, policies, patience=self.patience)
