"""BaoStock as a resource."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.sources.baostock import BaostockSource
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import load_policies


class BaostockResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """BaoStock, or the server given by BAOSTOCK_HOST and BAOSTOCK_PORT. Account and priority come from the settings."""

    def source(self, limiter: Limiter) -> BaostockSource:
        """The source under the shared limiter; its client runs in a process of its own from the first call on."""
        current = settings.load()
        at = upstream.baostock(current)
        policies = load_policies(current.rate_limits)
        password = current.baostock_password.get_secret_value()
        return BaostockSource(at.host, at.port, current.baostock_user, password, limiter, policies)
