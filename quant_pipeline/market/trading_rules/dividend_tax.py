"""The tax that a person pays on dividends, by the record date and by how long each share was held.

First in, first out: what is sold are the shares bought first. The holding runs from the purchase to the day before the sale,
in calendar months: bought on 8 January, a sale up to 8 February is one within a month; where the month has no such day, its
last one counts. Since 2013 nothing is withheld when the dividend is paid to a holder of a year or less: it is taken when the
shares are sold. Cash and bonus shares (送股, at their par of 1 元) are taxed, transferred ones (转增) are not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from quant_pipeline.market.trading_rules.rounding import Ints, Whole, half_up

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Days: TypeAlias = "npt.NDArray[np.datetime64]"

_EXCHANGE_OPENS = dt.date(1990, 12, 19)
_PAR = 100


@dataclass(frozen=True)
class DividendTax:
    """Of dividends whose record date is `since` or later: percent of them, by how long the shares were held when sold."""

    since: dt.date
    up_to_a_month: int
    up_to_a_year: int
    longer: int
    source: str


DIVIDEND_TAXES: Final = (
    DividendTax(_EXCHANGE_OPENS, 20, 20, 20, "income tax law: 20 %, withheld when paid"),
    DividendTax(dt.date(2005, 6, 13), 10, 10, 10, "财税〔2005〕102号: half of it, withheld when paid"),
    DividendTax(dt.date(2013, 1, 1), 20, 10, 5, "财税〔2012〕85号"),
    DividendTax(dt.date(2015, 9, 8), 20, 10, 0, "财税〔2015〕101号"),
)


def dividend_tax_rates(record_dates: Sequence[dt.date] | Days) -> Ints:
    """Percent for record dates x (held up to a month, up to a year, longer). Three equal ones: withheld when it is paid."""
    import numpy as np  # here: rules are loaded by every process, arrays are for backtests

    dates = np.asarray(record_dates, dtype="datetime64[D]")
    rates = np.zeros((len(dates), 3), dtype=np.int64)
    for rule in sorted(DIVIDEND_TAXES, key=lambda rule: rule.since):
        rates[dates >= np.datetime64(rule.since)] = (rule.up_to_a_month, rule.up_to_a_year, rule.longer)
    return rates


def holding_ends(bought: Sequence[dt.date] | Days) -> tuple[Days, Days]:
    """The last day on which a sale is one within a month, and one within a year, of shares bought on those days."""
    import numpy as np

    days = np.asarray(bought, dtype="datetime64[D]")
    return _months_after(days, 1), _months_after(days, 12)


def dividend_tax_rate(record_date: dt.date, bought: dt.date, sold: dt.date) -> int:
    """Percent of the dividend that those shares pay."""
    month, year = (end[0].item() for end in holding_ends([bought]))
    held = 0 if sold <= month else 1 if sold <= year else 2
    return int(dividend_tax_rates([record_date])[0, held])


def dividend_tax(cash: Whole, bonus_shares: Whole | int, percent: Whole | int) -> Whole:
    """The tax [分], half up, on a dividend before tax [分] and on bonus shares (送股 alone) at their par."""
    taxed: Whole = (cash + bonus_shares * _PAR) * percent
    return half_up(taxed, 100)


def _months_after(days: Days, months: int) -> Days:
    import numpy as np

    month = days.astype("datetime64[M]")
    later = month + months
    last = (later + 1).astype("datetime64[D]") - 1
    same_day: Days = later.astype("datetime64[D]") + (days - month.astype("datetime64[D]"))
    ends: Days = np.minimum(same_day, last)
    return ends
