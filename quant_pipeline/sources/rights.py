"""What an account may not ask for, as its last calls told: a missing right (points) lasts, so it is known before the next."""

from __future__ import annotations

from collections.abc import Sequence

from quant_pipeline.language import told
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.failures import FailureClass
from quant_pipeline.warehouse.database import Database

# The call that was refused for its own parameters' sake is followed by one that goes through.
_LAST = """
SELECT DISTINCT ON (source, api) source, api, finished_at, outcome FROM source_calls
WHERE finished_at IS NOT NULL AND source = ANY(%s) ORDER BY source, api, finished_at DESC
"""


def refused_before(database: Database, sources: Sequence[Source], datasets: Sequence[Dataset]) -> list[str]:
    """Of each source that refused a data set's API for good when it was last asked: a line that names the setting.

    It is asked again all the same: rights can be bought. DatabaseError.
    """
    with database.connect() as connection:
        rows = connection.execute(_LAST, ([source.name for source in sources],)).fetchall()
    refused = {(source, api): at for source, api, at, outcome in rows if outcome == FailureClass.PERMANENT_API}
    return [
        told(
            "{source} {api} was refused when last asked, {at} (the account has no right to it, or too few points): it is asked "
            "once more, then the next source is; where there is none, QUANT_WITHOUT={dataset} leaves it out",
            source=source.name,
            api=source.servings[dataset.name].api,
            at=f"{refused[key].astimezone(EXCHANGE_ZONE):%Y-%m-%d %H:%M}",
            dataset=dataset.name,
        )
        for source in sources
        for dataset in datasets
        if dataset.name in source.servings and (key := (source.name, source.servings[dataset.name].api)) in refused
    ]
