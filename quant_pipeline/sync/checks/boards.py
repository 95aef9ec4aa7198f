"""The boards of THS: their members are shares that exist, of boards that exist."""

from __future__ import annotations

from collections.abc import Callable

from quant_pipeline.language import marked, told
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.sync.code_changes import OLD_AND_NEW
from quant_pipeline.warehouse.reads import read_sql

UNKNOWN_TOLERATED = 0.005
"""Share of the members that may be unknown: listed since the last sync of the list, or gone."""

_MEMBERS = """
WITH boards AS (SELECT ts_code FROM ths_concepts UNION SELECT ts_code FROM ths_industries)
SELECT count(*) AS members, EXISTS (SELECT FROM boards) AND EXISTS (SELECT FROM stock_list) AS known FROM ths_members
"""
_UNKNOWN = f"""
WITH boards AS (SELECT ts_code FROM ths_concepts UNION SELECT ts_code FROM ths_industries),
shares AS (
    SELECT ts_code FROM stock_list
    UNION SELECT old_code FROM ({OLD_AND_NEW}) AS change JOIN stock_list ON ts_code = new_code
)
SELECT ths_members.ts_code, con_code, con_name, concat_ws(', ',
       CASE WHEN boards.ts_code IS NULL THEN 'no such board' END,
       CASE WHEN shares.ts_code IS NULL THEN 'no such share' END) AS found
FROM ths_members
LEFT JOIN boards USING (ts_code) LEFT JOIN shares ON shares.ts_code = con_code
WHERE boards.ts_code IS NULL OR shares.ts_code IS NULL
ORDER BY ths_members.ts_code, con_code
"""


def _judge(tolerated: float) -> Callable[[Scope], Verdict]:
    def members_known(scope: Scope) -> Verdict:
        members, known = read_sql(scope.database, _MEMBERS).row(0)
        if not known:
            return Verdict(True, marked("no boards or no stock list to look the members up in"))
        unknown = read_sql(scope.database, _UNKNOWN)
        text = told("{count} of {total} members are of no known board or share", count=unknown.height, total=members)
        return Verdict(unknown.height <= tolerated * members, text, members, unknown.head(PAGE))

    return members_known


MEMBERS_KNOWN = Check(
    "members_known",
    "成分股存在",
    f"At most {UNKNOWN_TOLERATED:.1%} of the members are of no known board or share (old codes count as their new ones).",
    _judge(UNKNOWN_TOLERATED),
)
ALL_MEMBERS_KNOWN = Check(
    "all_members_known", "成分股全部存在", "Every member is of a known board, and a known share.", _judge(0.0), warns=True
)
