"""同花顺's official data API as a resource."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import load_policies
from quant_pipeline.sources.ths_api import ThsSource


class ThsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """THS's official API: boards, members and hot lists, for those who have a key (THS_API_KEY)."""

    def source(self, limiter: Limiter) -> ThsSource | None:
        """The source under the shared limiter; None without a key: it is optional."""
        current = settings.load()
        at = upstream.ths_api(current)
        return ThsSource(at.token, at.url, limiter, load_policies(current.rate_limits)) if at.token else None
