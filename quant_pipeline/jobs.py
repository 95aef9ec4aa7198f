"""The jobs: selections of assets that are run together. A job's assets have the same partitions, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from quant_pipeline.assets import ths_account
from quant_pipeline.assets.alerts import BY_HAND_TAG
from quant_pipeline.assets.receivers import invite
from quant_pipeline.assets.signals import clean_signals
from quant_pipeline.market.datasets import (
    AUCTION,
    INTRADAY_QUOTES,
    MONTHLY_KLINE,
    PRICE_LIMITS,
    SUSPENSIONS,
    THS_HOT,
    WEEKLY_KLINE,
)
from quant_pipeline.selections import (
    BY_MONTH,
    BY_SESSION,
    DAILY_LISTS,
    DAILY_SYNC,
    LISTS,
    MONTHLY_SYNC,
    REFERENCE_SYNC,
    SCREENS,
    WEEKLY_SYNC,
)

if TYPE_CHECKING:
    from quant_pipeline.resources.dagster_private.names import AssetJob


def _job(name: str, selection: dg.AssetSelection, description: str) -> AssetJob:
    # Waiting for the net, not computing: one process shares its threads best.
    return dg.define_asset_job(name, selection=selection, description=description, executor_def=dg.in_process_executor)


daily_sync = _job(
    DAILY_SYNC,
    dg.AssetSelection.assets(*DAILY_LISTS, *BY_SESSION, *SCREENS) | dg.AssetSelection.groups("computed", "signals"),
    "The main job 主任务: sync the session's data, check them, screen them, sum the day up, tell the user. "
    "Only one sync runs at a time (also against `quant-pipeline run` and `sync`).",
)
catch_up = _job(
    "catch_up",
    dg.AssetSelection.assets(*DAILY_LISTS, *BY_SESSION, *SCREENS) | dg.AssetSelection.groups("computed", "signals", "quality"),
    "The last sessions once more 夜间补数: what failed or was late is fetched, what is done costs nothing; then a sample "
    "is compared with a second source.",
)
reference_sync = _job(REFERENCE_SYNC, dg.AssetSelection.assets(*LISTS), "All lists, before the open 开盘前更新基础列表.")
_PRE_OPEN = (SUSPENSIONS.name, PRICE_LIMITS.name)
pre_open_sync = _job(
    "pre_open_sync",
    dg.AssetSelection.assets(*([name for name in _PRE_OPEN if name in BY_SESSION] or _PRE_OPEN)),
    "What holds for the session that is about to open: who is halted, the limit prices 开盘前：停牌与涨跌停价.",
)
auction_sync = _job("auction_sync", dg.AssetSelection.assets(AUCTION.name), "The opening auction 集合竞价.")
hot_sync = _job("hot_sync", dg.AssetSelection.assets(THS_HOT.name), "THS's hot list, as it is now 同花顺热榜.")
weekly_sync = _job(WEEKLY_SYNC, dg.AssetSelection.assets(WEEKLY_KLINE.name), "Weekly bars 周线.")
monthly_sync = _job(
    MONTHLY_SYNC,
    dg.AssetSelection.assets(*(BY_MONTH or [MONTHLY_KLINE.name])),
    "Monthly bars, members of indexes 月线、指数成分.",
)
verification = _job(
    "verification",
    dg.AssetSelection.assets(*LISTS, *BY_SESSION),
    "The whole stored history 全历史校验: what is short, breaks a check or was restated is fetched again.",
)
weekly_verification = _job(
    "weekly_verification", dg.AssetSelection.assets(WEEKLY_KLINE.name), "All stored weeks once more 周线全历史校验."
)
monthly_verification = _job(
    "monthly_verification",
    dg.AssetSelection.assets(*(BY_MONTH or [MONTHLY_KLINE.name])),
    "All stored months once more 月线全历史校验.",
)
quotes_report = _job(
    "quotes_report",
    dg.AssetSelection.assets(INTRADAY_QUOTES.name),
    "What was kept of the session's live quotes, and whether it ends as the daily bars 盘中快照汇总与核对.",
)
operations_report = _job(
    "operations_report", dg.AssetSelection.groups("operations"), "Status, history, sources and statistics 运行报告."
)

# Computing, not waiting: their mapped steps go to processes of their own, or wherever the deployment's executor sends them.
backtest_grid = dg.define_asset_job(
    "backtest_grid",
    selection=dg.AssetSelection.assets("parameter_grid"),
    description="A strategy over many parameters 参数网格回测：映射步骤并行执行.",
    executor_def=dg.multiprocess_executor,
)
backtest_walk_forward = dg.define_asset_job(
    "backtest_walk_forward",
    selection=dg.AssetSelection.assets("walk_forward"),
    description="The best parameters of each window, traded in the next 滚动验证.",
    executor_def=dg.multiprocess_executor,
)


@dg.job(description="Expired signals are marked, old ones forgotten 清理过期信号.", executor_def=dg.in_process_executor)
def signals_cleanup() -> None:
    clean_signals()


def _login(name: str, op: dg.OpDefinition, description: str, *, by_hand: bool = True) -> dg.JobDefinition:
    tags = {BY_HAND_TAG: "true"} if by_hand else None

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor, tags=tags)
    def login() -> None:
        op()

    return login


LOGINS = [
    _login(
        "ths_login_qr",
        ths_account.show_qr_code,
        "同花顺扫码登录：二维码在运行的事件里. Log in to THS by QR code: it is in the run.",
    ),
    _login(
        "ths_login_sms", ths_account.send_sms_code, "同花顺短信登录：发送验证码. Has THS send an SMS: the first of two steps."
    ),
    _login("ths_login_sms_code", ths_account.check_sms_code, "同花顺短信登录：用验证码登录. The second step: with the code."),
    _login("ths_login_password", ths_account.log_in_by_password, "同花顺密码登录. Log in to THS with the vault's password."),
    _login("ths_login_cookie", ths_account.import_cookies, "导入同花顺 Cookie. Import a browser's cookies of THS."),
    _login(
        "ths_relogin",
        ths_account.log_in_again,
        "同花顺自动重新登录. Log in to THS again, where it can be without you.",
        by_hand=False,
    ),
]


@dg.job(
    description="Binds a friend of the PushPlus account: the code to scan is in the run's events 绑定 PushPlus 好友.",
    executor_def=dg.in_process_executor,
)
def bind_receiver() -> None:
    invite()


JOBS: list[AssetJob | dg.JobDefinition] = [
    daily_sync,
    catch_up,
    reference_sync,
    pre_open_sync,
    auction_sync,
    hot_sync,
    weekly_sync,
    monthly_sync,
    verification,
    weekly_verification,
    monthly_verification,
    quotes_report,
    operations_report,
    signals_cleanup,
    bind_receiver,
    backtest_grid,
    backtest_walk_forward,
    *LOGINS,
]
