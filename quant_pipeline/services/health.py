"""How services do: their circuits, and the calls of the last day, out of the tables that the sources' stand in too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from quant_pipeline.warehouse.database import Database

_HEALTH = """
SELECT
    state.source, state.api, state.circuit, state.failures,
    greatest(extract(epoch FROM greatest(state.retry_at, state.blocked_until) - clock_timestamp()), 0)::float8,
    state.reason, recent.calls, recent.good, recent.seconds
FROM source_state AS state CROSS JOIN LATERAL (
    SELECT count(*) AS calls, count(*) FILTER (WHERE outcome = 'ok') AS good,
           avg(extract(epoch FROM finished_at - started_at))::float8 AS seconds
    FROM source_calls
    WHERE source = state.source AND api = state.api AND finished_at > clock_timestamp() - interval '1 day'
) AS recent
WHERE state.source = ANY(%s) AND state.api <> '*' ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Health:
    """How an API of a service does. `held`: seconds until it is asked again; `seconds`: the mean of an answer's."""

    name: str
    api: str
    circuit: str
    failures: int
    held: float
    reason: str | None
    calls: int
    good: int
    seconds: float | None

    @property
    def available(self) -> bool:
        return self.held <= 0

    @property
    def success_rate(self) -> float | None:
        """Of the last day's calls; None: there were none."""
        return self.good / self.calls if self.calls else None


def health_of(database: Database, names: Collection[str]) -> list[Health]:
    """An entry for each API of these services that was ever called."""
    with database.connect() as connection:
        return [Health(*row) for row in connection.execute(_HEALTH, (list(names),)).fetchall()]
