"""Where the codes of a push come from: the hits of a screen, the signals of a session, a watchlist."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.language import told
from quant_pipeline.market.search import Named
from quant_pipeline.ths.planning import PushRefused
from quant_pipeline.warehouse import watchlists
from quant_pipeline.warehouse.database import Database

_RAN = "SELECT EXISTS (SELECT FROM screenings WHERE screen = %s AND trade_date = %s)"
_HITS = "SELECT ts_code, coalesce(name, '') FROM screen_results WHERE screen = %s AND trade_date = %s ORDER BY rank, ts_code"
_SIGNALS = """
SELECT ts_code, max(coalesce(name, '')) FROM signals
WHERE trade_date = %s AND direction = 'buy' AND status = 'accepted' GROUP BY ts_code ORDER BY max(strength) DESC, ts_code
"""
_DECIDED = "SELECT EXISTS (SELECT FROM signals WHERE trade_date = %s)"


class Kind(StrEnum):
    """What there is to be pushed."""

    SCREEN = "screen"
    SIGNALS = "signals"
    WATCHLIST = "watchlist"


@dataclass(frozen=True)
class Origin:
    """`screen:dual_ma`, `signals`, `watchlist:core`."""

    kind: Kind
    name: str = ""

    @classmethod
    def of(cls, text: str, screens: Collection[str]) -> Origin:
        """ValueError, a sentence, for what is none of these, or a screen that there is not."""
        kind, _, name = (part.strip() for part in text.partition(":"))
        known = {each.value: each for each in Kind}
        if kind not in known or bool(name) != (kind != Kind.SIGNALS):
            raise ValueError(
                told("{text} is nothing to push: write screen:NAME, signals or watchlist:NAME", text=text.strip() or '""')
            )
        if kind == Kind.SCREEN and name not in screens:
            raise ValueError(told("there is no screen {name}: there are {names}", name=name, names=", ".join(screens)))
        return cls(known[kind], name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind.value


def codes_of(database: Database, origin: Origin, session: dt.date) -> list[Named]:
    """The codes, the best first; none where there are none that day. PushRefused where they are not known yet.

    A watchlist is as it is now, whatever the session. Of signals, the accepted ones to buy.
    """
    if origin.kind is Kind.WATCHLIST:
        return list(watchlists.one(database, origin.name))
    with database.connect() as connection:
        if origin.kind is Kind.SCREEN:
            (ran,) = connection.execute(_RAN, (origin.name, session)).fetchone() or (False,)
            if not ran:
                raise PushRefused(
                    told(
                        "the screen {name} did not run for {session}: quant-pipeline screen {name} --date {session}",
                        name=origin.name,
                        session=session,
                    )
                )
            rows = connection.execute(_HITS, (origin.name, session)).fetchall()
        else:
            (decided,) = connection.execute(_DECIDED, (session,)).fetchone() or (False,)
            if not decided:
                return []
            rows = connection.execute(_SIGNALS, (session,)).fetchall()
    return [Named(code, name) for code, name in rows]
