"""The tables of the paper portfolio: what it was told to trade, and what it held after each session."""

from __future__ import annotations

import sqlalchemy as sa

PORTFOLIO = sa.MetaData()

ORDERS = sa.Table(
    "portfolio_orders",
    PORTFOLIO,
    sa.Column(
        "trade_date", sa.Date, primary_key=True, comment="The session at whose close it was decided: it trades in the next"
    ),
    sa.Column("ts_code", sa.Text, primary_key=True),
    sa.Column("side", sa.Text, primary_key=True, comment="buy|sell"),
    sa.Column("shares", sa.BigInteger, nullable=False, comment="Wanted, in the board's lots; 0: no order, see reason"),
    sa.Column("price", sa.Double, nullable=False, comment="元. The close that it was counted with"),
    sa.Column("weight", sa.Double, nullable=False, comment="Target, % of the equity"),
    sa.Column("strategy", sa.Text, comment="Whose signal; null: none, the weights were brought back"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, comment="planned, none, or what became of it: filled|part_filled|refused|…"),
    sa.Column("filled", sa.BigInteger, nullable=False, server_default="0", comment="Shares"),
    sa.Column("outcome", sa.Text, comment="Why it was not filled whole: halted, limit_up, cash, …"),
    comment="模拟组合委托. Orders of the paper portfolio, and what became of them under the exchange's rules",
)
POSITIONS = sa.Table(
    "portfolio_positions",
    PORTFOLIO,
    sa.Column("trade_date", sa.Date, primary_key=True, comment="Session"),
    sa.Column("ts_code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("industry", sa.Text),
    sa.Column("shares", sa.BigInteger, nullable=False),
    sa.Column("price", sa.Double, nullable=False, comment="元. Last close"),
    sa.Column("value", sa.Double, nullable=False, comment="元"),
    sa.Column("weight", sa.Double, nullable=False, comment="% of the equity"),
    sa.Column("cost", sa.Double, nullable=False, comment="元. What was paid for it, costs included"),
    comment="模拟组合持仓. What the paper portfolio held after each session",
)
