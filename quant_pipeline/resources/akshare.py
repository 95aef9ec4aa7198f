"""AKShare as a resource."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import load_policies
from quant_pipeline.warehouse.database import Database


class AkshareResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """AKShare, which reads public web sites, through HTTPS_PROXY where it is set. Priority comes from the settings."""

    def source(self, database: Database, limiter: Limiter) -> AkshareSource:
        """The source under the shared limiter; its client runs in a process of its own from the first call on."""
        current = settings.load()
        return AkshareSource(database, upstream.web(current), limiter, load_policies(current.rate_limits))
