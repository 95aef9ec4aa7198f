"""`qp.watchlist`: the codes of one of the user's own lists."""

from __future__ import annotations

from quant_pipeline.notebook.errors import in_sentences
from quant_pipeline.notebook.opened import current
from quant_pipeline.warehouse import watchlists


@in_sentences
def watchlist(name: str) -> list[str]:
    """The codes of the list in their order: `qp.bars(qp.watchlist("core"))`. QueryError for a name of none."""
    return [each.code for each in watchlists.one(current().database, name)]
