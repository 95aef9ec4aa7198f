"""What is stored of the calendar and is not believed, and which closures are believed against the built-in one."""

from __future__ import annotations

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sync.calendar_acceptance import closures_ahead, published_days, stored_calendar
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict

_NAMED = 3
_WHAT_TO_DO = marked(
    "they change nothing; a true answer takes their place: `quant-pipeline sync --datasets trade_calendar --force`"
)
_CLOSURE = marked(
    "{day} is a session of the built-in calendar, and told closed; it is taken as that: compare it with the exchange's "
    "notice. If it is wrong: `quant-pipeline sync --datasets trade_calendar --force`, once the source is right again."
)


def _calendar_believed(scope: Scope) -> Verdict:
    today, builtin = clock.today(), xshg()
    published = published_days(scope.database)
    doubted = stored_calendar(scope.database, builtin, today).doubted
    rows = pl.DataFrame(
        [(day, int(published[day]), why) for day, why in doubted.items()],
        schema={"cal_date": pl.Date, "is_open": pl.Int64, "why": pl.String},
        orient="row",
    )
    text = told("{count} of {total} stored days are not believed", count=rows.height, total=len(published))
    if doubted:
        named = "; ".join(f"{day}: {why}" for day, why in list(doubted.items())[:_NAMED])
        text = "; ".join([text, named, *(["…"] if len(doubted) > _NAMED else []), _WHAT_TO_DO])
    news = {
        f"calendar-closure:{day}": told(_CLOSURE, day=day)
        for day in closures_ahead(published, builtin)
        if day >= today and day not in doubted
    }
    return Verdict(not doubted, text, len(published), rows.head(PAGE), news)


CALENDAR_BELIEVED = Check(
    "calendar_believed",
    "日历可信",
    "No stored day contradicts the built-in calendar, the stored bars or common sense; a message names a new closure once.",
    _calendar_believed,
    warns=True,
)
