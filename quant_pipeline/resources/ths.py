"""The user's 同花顺 accounts as a resource: logins and sessions. Secrets come out of the vault, never from run config."""

from typing import TYPE_CHECKING

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.resources import upstream
from quant_pipeline.resources.warehouse import WarehouseResource

if TYPE_CHECKING:
    from quant_pipeline.ths.logins import Logins


class ThsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """同花顺 accounts. Where its servers are comes from the settings; in sandbox mode they are the sandbox's."""

    warehouse: dg.ResourceDependency[WarehouseResource]

    def logins(self) -> "Logins":
        """Logins at the servers of now."""
        from quant_pipeline.ths.logins import Logins  # here: its clients are for who logs in, not for who declares assets

        return Logins(self.warehouse.database, upstream.ths(settings.load()))
