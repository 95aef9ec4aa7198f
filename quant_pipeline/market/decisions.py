"""What is decided upon the screens: signals with the decision on each, and how they fared afterwards."""

from __future__ import annotations

from quant_pipeline.market.columns import date, integer, number, text
from quant_pipeline.market.dataset import CODE, TRADE_DATE, Coverage, Dataset, Partition

SIGNALS = Dataset(
    "signals",
    zh="交易信号",
    doc="What the strategies say of a session, to buy and to sell, with the latest decision on each signal and its reason. "
    "All decisions, session by session, stand in signal_decisions.",
    group="signals",
    partition=Partition.SESSION,
    key=("trade_date", "strategy", "ts_code", "direction"),
    columns=(
        TRADE_DATE,
        text("strategy", "策略", "Whose signal it is.", required=True),
        CODE,
        text("direction", "方向", "buy or sell.", required=True),
        text("name", "股票名称", "Short name."),
        number("close", "收盘价", "Last price, unadjusted.", "元"),
        number("score", "得分", "The strategy's own order: higher first."),
        number(
            "strength",
            "强度",
            "The score's percentile among the strategy's signals of the session and direction: 1 is the strongest; 0.5 where "
            "it has no score.",
            required=True,
        ),
        integer("priority", "优先级", "The strategy's rank in signals.toml: 1 goes first.", required=True),
        date("valid_until", "有效期至", "The last session on which it is decided upon.", required=True),
        text("status", "状态", "accepted, refused or expired.", required=True),
        text("conflict", "冲突", "opposite, duplicate, held or not_held; null: none."),
        text("policy", "策略冲突规则", "How conflicts were resolved: priority, strength, majority or veto.", required=True),
        text("reason", "原因", "Why it was decided so.", required=True),
        date("decided_on", "决定日", "The session of that decision.", required=True),
    ),
    coverage=Coverage.ANY,
    after=("screen_results", "daily_kline", "adj_factor", "stock_list"),
    sourced=False,
)

SIGNAL_STATISTICS = Dataset(
    "signal_statistics",
    zh="信号统计",
    doc="How the signals of each strategy fared as of a session: bought (sold) at the open of the session after the signal, "
    "valued at the close of the horizon's last session, adjusted prices, no costs. A sale's return counts the other way round.",
    group="signals",
    partition=Partition.SESSION,
    key=("trade_date", "strategy", "direction", "horizon"),
    columns=(
        TRADE_DATE,
        text("strategy", "策略", "Whose signals.", required=True),
        text("direction", "方向", "buy or sell.", required=True),
        integer("horizon", "持有期", "Sessions after the signal: 1, 5 or 20.", "交易日", required=True),
        text("benchmark", "基准指数", "The index that they are measured against.", required=True),
        integer("signals", "信号数", "Signals whose horizon is over and that could be followed.", required=True),
        integer("untradable", "无法成交", "Left out: halted in the next session, or open at its limit.", required=True),
        number("hit_rate", "胜率", "How many of them earned something.", "%"),
        number("mean_return", "平均收益", "Mean return.", "%"),
        number("mean_excess", "平均超额收益", "Mean of return less the index's in that time; null: no bars of it.", "%"),
    ),
    coverage=Coverage.ANY,
    after=("signals", "daily_kline", "adj_factor", "price_limits", "index_daily"),
    sourced=False,
)

PORTFOLIO_RISK = Dataset(
    "portfolio_risk",
    zh="组合风险",
    doc="The paper portfolio that follows the signals, after each session: what it is worth, and what it risks. Its orders "
    "stand in portfolio_orders, its holdings in portfolio_positions.",
    group="signals",
    partition=Partition.SESSION,
    key=("trade_date",),
    columns=(
        TRADE_DATE,
        number("equity", "总资产", "Cash and holdings.", "元", required=True),
        number("cash", "现金", "Cash.", "元", required=True),
        integer("positions", "持仓数", "Codes held.", "只", required=True),
        number("exposure", "仓位", "Holdings, of the equity.", "%", required=True),
        number("day_return", "当日收益", "Since the session before.", "%"),
        number("total_return", "累计收益", "Since the beginning.", "%", required=True),
        number("drawdown", "回撤", "Below the highest equity so far; 0 or less.", "%", required=True),
        number("var_95", "在险价值 95%", "Loss that 5 of 100 past sessions went beyond, had they met these holdings.", "%"),
        number("var_99", "在险价值 99%", "The same of 1 of 100.", "%"),
        number("shortfall_95", "预期亏损 95%", "Mean loss of those sessions beyond var_95.", "%"),
        integer("sessions", "样本交易日", "Past sessions that these figures count.", "交易日", required=True),
        number("beta", "贝塔", "Of the holdings' past returns against the benchmark's; null: no bars of it."),
        number("largest_weight", "最大个股权重", "Of the equity.", "%", required=True),
        text("largest", "最大持仓", "Whose weight that is."),
        number("concentration", "集中度", "Herfindahl index of the holdings: 1 is a single one."),
        number("industry_weight", "最大行业权重", "Of the equity.", "%", required=True),
        text("industry", "最大行业", "Whose weight that is."),
        integer("orders", "委托数", "Orders for the next session.", required=True),
        text("alerts", "预警", "The figures beyond their thresholds (signals.toml), with both; null: none."),
    ),
    coverage=Coverage.ANY,
    after=("signals", "daily_kline", "adj_factor", "price_limits", "index_daily", "stock_list"),
    sourced=False,
)
