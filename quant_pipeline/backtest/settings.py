"""What a backtest is told: the account, how orders are made and traded, what they cost. Every field bears its description."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quant_pipeline.language import say
from quant_pipeline.wrong_values import problems


class BacktestError(ValueError):
    """A backtest that cannot be run; the text says why, and what to do."""


class Fill(StrEnum):
    """At which price orders trade. All but CLOSE trade in the session after the signal."""

    NEXT_OPEN = "next_open"
    NEXT_CLOSE = "next_close"
    VWAP = "vwap"
    CLOSE = "close"


class Sizing(StrEnum):
    """How the money of a session's new positions is divided."""

    EQUAL = "equal"
    SCORE = "score"


class Settings(BaseModel):
    """The account, the orders and their costs. A rate that is None follows the exchange's tables by date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    capital: float = Field(1_000_000.0, gt=0, le=1e11, description="Cash at the beginning, 元. 初始资金")
    fill: Fill = Field(
        Fill.NEXT_OPEN,
        description="next_open, next_close, vwap (amount / volume): of the session after the signal; close: of the signal's "
        "own session, as if its close had been known before it. 成交价",
    )
    max_positions: int = Field(10, ge=1, le=10_000, description="Codes held at most, of signals. 最多持仓数")
    sizing: Sizing = Field(
        Sizing.EQUAL, description="equal: equity / max_positions each; score: the same sum, by score. 仓位分配"
    )
    slippage_bp: float = Field(0.0, ge=0, le=1000, description="Basis points that a trade is worse than its price. 滑点(基点)")
    slippage_ticks: int = Field(0, ge=0, le=1000, description="Ticks that it is worse, besides. 滑点(跳)")
    volume_share: float | None = Field(
        0.1, gt=0, le=1, description="Part of the session's volume that an order may be; None: any. 成交量占比上限"
    )
    buy_patience: int = Field(
        0, ge=0, le=250, description="Sessions that a buy order goes on after one in which it could not trade. 买单等待交易日数"
    )
    sell_patience: int = Field(
        20, ge=0, le=250, description="The same of a sell order: halted, at its down limit, thin volume. 卖单等待交易日数"
    )
    delisted_at: float = Field(
        1.0, ge=0, le=1, description="Part of its last close that a delisted share is written off at. 退市按末价折算比例"
    )
    lots: bool = Field(True, description="Whether orders are in the board's lots; else by single shares. 整手规则")
    price_limits: bool = Field(True, description="Whether nobody buys at the up limit, nor sells at the down limit. 涨跌停规则")
    t_plus_1: bool = Field(
        True, description="Whether shares can be sold the session after they were bought, at first. T+1 规则"
    )
    commission: float = Field(0.00025, ge=0, le=0.05, description="Of the turnover, both sides. 佣金费率")
    minimum_commission: float = Field(5.0, ge=0, le=1000, description="元 an order at least. 最低佣金")
    commission_all_in: bool = Field(
        True, description="Whether handling and regulatory fees are inside the commission (全佣), or on top. 规费含在佣金内"
    )
    stamp_duty_buy: float | None = Field(None, ge=0, le=0.05, description="Of bought turnover; None: by date. 买入印花税率")
    stamp_duty_sell: float | None = Field(None, ge=0, le=0.05, description="Of sold turnover; None: by date. 卖出印花税率")
    transfer_fee: float | None = Field(None, ge=0, le=0.05, description="Of turnover, both sides; None: by date. 过户费率")
    handling_fee: float | None = Field(None, ge=0, le=0.05, description="Where on top; None: by date. 经手费率")
    regulatory_fee: float | None = Field(None, ge=0, le=0.05, description="Where on top; None: by date. 证管费率")
    dividend_tax: bool = Field(True, description="Whether dividends are taxed by holding period, first in first out. 红利税")
    rounding: bool = Field(True, description="Whether money is rounded to cents (分); else to 0.0001 元. 金额按分取整")
    sessions_a_year: int = Field(244, ge=1, le=366, description="For annual figures. 每年交易日数")
    risk_free: float = Field(
        0.0, ge=-0.1, le=0.5, description="Yearly rate that Sharpe, Sortino and alpha count from. 无风险利率"
    )
    benchmark: str = Field("000300.SH", description="Index that it is compared with; empty: none. 比较基准")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """These settings, the others by default; BacktestError names the one that cannot be used, and why."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise BacktestError(say("these settings cannot be used: {problems}", problems=problems(error))) from None

    @property
    def delay(self) -> int:
        """Sessions between a signal and its trade."""
        return 0 if self.fill is Fill.CLOSE else 1
