"""The tables of backtests: what was run, and every order, trade, session and position of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

BACKTESTS = sa.MetaData()


def _of_a_backtest() -> sa.Column[object]:
    return sa.Column("backtest", sa.Text, sa.ForeignKey("backtests.id", ondelete="CASCADE"), primary_key=True)


def _money(name: str, comment: str | None = None, *, required: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.Double, nullable=not required, comment=comment)


RUNS = sa.Table(
    "backtests",
    BACKTESTS,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="The strategy, or what was replayed: weights, orders"),
    sa.Column("parameters", JSONB, nullable=False, comment="The strategy's"),
    sa.Column("settings", JSONB, nullable=False, comment="Account, fills, costs: see quant-pipeline backtest --help"),
    sa.Column("universe", sa.Text, nullable=False),
    sa.Column("start_date", sa.Date, nullable=False, comment="First session"),
    sa.Column("end_date", sa.Date, nullable=False, comment="Last session"),
    sa.Column("total_return", sa.Double, nullable=False, comment="0.12 is 12 %, as all of these"),
    sa.Column("annual_return", sa.Double, nullable=False),
    sa.Column("volatility", sa.Double),
    sa.Column("sharpe", sa.Double),
    sa.Column("max_drawdown", sa.Double, nullable=False, comment="0 or less"),
    sa.Column("excess", sa.Double, comment="Over the benchmark's total return"),
    sa.Column("figures", JSONB, nullable=False, comment="All of them"),
    sa.Column("notes", JSONB, nullable=False, comment="What a reader should know: what was assumed, and how often"),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("backtests_name", "name", "created_at"),
    comment="回测. A row per backtest: its settings and figures",
)
ORDERS = sa.Table(
    "backtest_orders",
    BACKTESTS,
    _of_a_backtest(),
    sa.Column("order_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("made_on", sa.Date, nullable=False, comment="First session in which it could trade"),
    sa.Column("done_on", sa.Date, nullable=False, comment="Last session in which it was tried"),
    sa.Column("ts_code", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False, comment="buy|sell"),
    sa.Column("wanted", sa.BigInteger, nullable=False, comment="Shares"),
    sa.Column("filled", sa.BigInteger, nullable=False, comment="Shares"),
    sa.Column("status", sa.Text, nullable=False, comment="filled|part_filled|refused|expired|withdrawn|waiting"),
    sa.Column(
        "reason", sa.Text, nullable=False, comment="Why it was not filled whole: halted, limit_up, cash, … (none: it was)"
    ),
    comment="回测委托. Every order of a backtest: what became of it, and why",
)
TRADES = sa.Table(
    "backtest_trades",
    BACKTESTS,
    _of_a_backtest(),
    sa.Column("trade_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("order_no", sa.BigInteger, comment="null: a dividend or a factor step"),
    sa.Column("trade_date", sa.Date, nullable=False),
    sa.Column("ts_code", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="buy|sell|dividend|step (of the factor, as cash)|write_off"),
    sa.Column("shares", sa.BigInteger, nullable=False, comment="Traded; of a dividend the new ones"),
    _money("price", "元, unadjusted"),
    _money("value", "元; of a dividend its cash before tax"),
    _money("commission"),
    _money("stamp_duty"),
    _money("transfer_fee"),
    _money("handling_fee"),
    _money("regulatory_fee"),
    _money("dividend_tax", "Withheld, or due at this sale"),
    _money("profit", "元, of a sale: after costs and tax, dividends of these shares counted"),
    sa.Column("sessions_held", sa.BigInteger, nullable=False, comment="Of a sale: since its oldest shares were bought"),
    _money("cash", "元 in the account after it"),
    comment="回测成交. Fills, dividends, factor steps and write-offs of a backtest",
)
EQUITY = sa.Table(
    "backtest_equity",
    BACKTESTS,
    _of_a_backtest(),
    sa.Column("trade_date", sa.Date, primary_key=True),
    _money("cash"),
    _money("holdings", "At the close; halted ones at their last"),
    _money("equity"),
    sa.Column("positions", sa.BigInteger, nullable=False, comment="Codes held"),
    _money("bought", "Turnover of the session"),
    _money("sold"),
    _money("drawdown", "From the highest equity so far, 0 or less"),
    _money("benchmark", "Close of the index", required=False),
    comment="回测净值. A row per session of a backtest",
)
POSITIONS = sa.Table(
    "backtest_positions",
    BACKTESTS,
    _of_a_backtest(),
    sa.Column("trade_date", sa.Date, primary_key=True),
    sa.Column("ts_code", sa.Text, primary_key=True),
    sa.Column("shares", sa.BigInteger, nullable=False),
    _money("price", "元, unadjusted close"),
    _money("value"),
    _money("cost", "What they cost with fees, less the dividends received"),
    comment="回测持仓. What a backtest held at each session's close",
)
