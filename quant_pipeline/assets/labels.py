"""What stands beside a figure's English name in Dagster's pages: its Chinese one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ZH: Final = {
    "accepted": "采纳",
    "alerts": "预警",
    "amount_yi": "成交额（亿元）",
    "annual_return_pct": "年化收益%",
    "as_of": "截至",
    "attempts": "尝试次数",
    "backtest": "回测编号",
    "bars_screened": "参与选股的行情",
    "by_source": "按数据源",
    "calls": "调用次数",
    "calls_last_day": "近 24 小时调用",
    "calls_last_hour": "近 1 小时调用",
    "candlesticks": "K 线图",
    "charts": "图",
    "codes": "代码",
    "compared": "对账明细",
    "comparison": "对比",
    "conflicts": "冲突",
    "contents": "存量",
    "costs": "交易成本（元）",
    "curve": "净值曲线",
    "data_sets": "数据集",
    "decisions": "决定",
    "differences": "差异",
    "differing": "不一致",
    "down": "下跌",
    "equity": "总资产",
    "events": "事件",
    "excess_pct": "超额收益%",
    "exposure": "仓位 %",
    "failed": "失败",
    "fetched": "获取方式",
    "files": "文件",
    "files_written": "写入文件数",
    "flat": "平盘",
    "gone": "消失",
    "hits": "命中",
    "holdings": "持仓",
    "inserted": "新增",
    "kept": "保留",
    "last_syncs": "最近同步",
    "latest_session": "最新交易日",
    "left_out": "未能判断的股票",
    "limit_down": "跌停",
    "limit_up": "涨停",
    "longest_limit_up_run": "最高连板",
    "looked_at": "检查行数",
    "max_drawdown_pct": "最大回撤%",
    "megabytes": "占用 MB",
    "missing": "缺失",
    "more_columns": "其余列",
    "new": "新出现",
    "not_whole": "不完整",
    "note": "说明",
    "notes": "提示",
    "offending": "问题行数",
    "orders": "委托",
    "orders_refused": "未成交委托",
    "origin": "数据性质",
    "page": "页面",
    "parameters": "参数",
    "passed_over": "无空位的买入",
    "parts": "写入的部分",
    "parts_written": "写入份数",
    "path": "路径",
    "policy": "冲突规则",
    "preview": "预览",
    "pruned_calls": "清理的旧调用",
    "quotas": "配额",
    "reading": "读取方式",
    "rejected": "拒收",
    "removed": "移除",
    "report": "报告",
    "rows": "行数",
    "running": "正在进行",
    "second_sources": "第二数据源",
    "seconds": "耗时（秒）",
    "sessions": "交易日",
    "sharpe": "夏普比率",
    "skipped": "已跳过",
    "source": "来源",
    "sources": "数据源",
    "stale": "滞后",
    "summary": "摘要",
    "synced_at": "同步时间",
    "syncs": "同步次数",
    "this_run": "本次合计",
    "total_return_pct": "总收益%",
    "troubles": "异常",
    "unchanged": "未变",
    "unfilled": "未全部成交的委托",
    "unhealthy": "异常数",
    "universe": "股票池",
    "unreadable": "无法解析",
    "up": "上涨",
    "updated": "变更",
    "values_compared": "比对数值",
    "values_differing": "不一致数值",
    "var_95": "在险价值 95%",
    "win_rate_pct": "胜率%",
}


def labelled(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata under both names: `calls` is shown as `calls 调用次数`. Dagster's own keys stay as they are; the link to
    our own page stands first.

    The names stay the same from event to event: the UI plots figures over time by them.
    """
    ordered = sorted(metadata.items(), key=lambda pair: pair[0] != "page")
    return {label(name): value for name, value in ordered}


def label(name: str) -> str:
    """A figure's name with the Chinese one behind it, where there is one (`rows_daily_kline` has none)."""
    return f"{name} {ZH[name]}" if name in ZH else name
