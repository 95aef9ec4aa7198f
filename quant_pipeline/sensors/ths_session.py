"""Watches the logins of 同花顺: probes them, has an expired one renewed, and tells the user where only he can do it."""

import dagster as dg

from quant_pipeline import settings
from quant_pipeline.alerts.rules import SESSION_EXPIRED
from quant_pipeline.assets.ths_account import AccountConfig
from quant_pipeline.language import chinese
from quant_pipeline.market import clock
from quant_pipeline.notify.messages import session_expired
from quant_pipeline.resources.notifier import NotifierResource
from quant_pipeline.resources.ths import ThsResource
from quant_pipeline.resources.warehouse import WarehouseResource
from quant_pipeline.ths.accounts import STATES, Account, Accounts, State
from quant_pipeline.ths.errors import login_command

JOB = "ths_relogin"


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Probes the logins of 同花顺 every half hour, has an expired one renewed, and tells where you are needed. "
    "同花顺登录巡检与续登",
)
def ths_session(warehouse: WarehouseResource, ths: ThsResource, notifier: NotifierResource) -> dg.SensorResult | dg.SkipReason:
    """A run for each account that can be logged in again without its owner; its owner is told once of each state that needs
    him."""
    from quant_pipeline.ths.relogin import Relogin  # here, as its clients are for who logs in

    accounts = Accounts(warehouse.database)
    if not (known := accounts.all()):
        notifier.over(SESSION_EXPIRED, lambda _: True)  # who logged out is not waited for
        return dg.SkipReason("未登录同花顺 nobody is logged in to THS: quant-pipeline ths login qr")
    machine = Relogin(ths.logins())
    for row in known:
        machine.look(row)
    known = accounts.all()
    for row in known:
        if row.state.asks_for_a_person and row.was_logged_in:
            _tell(accounts, row, notifier)
    away = {row.account for row in known if row.state is not State.ACTIVE}
    notifier.over(SESSION_EXPIRED, lambda account: account not in away)
    due = [row for row in known if machine.due(row)]
    if not due:
        return dg.SkipReason("; ".join(f"{row.account} {chinese(STATES[row.state])} {row.state}" for row in known))
    return dg.SensorResult(run_requests=[_request(row) for row in due])


def _request(row: Account) -> dg.RunRequest:
    """One run for a state that lasts; where it came to nothing (it died, the queue was stopped), another after five minutes."""
    now = clock.now()
    key = f"{JOB}:{row.account}:{row.state_since:%Y%m%d%H%M%S%f}:{row.state}:{now:%d%H}{now.minute // 5}"
    return dg.RunRequest(run_key=key, run_config=dg.RunConfig(ops={"log_in_again": AccountConfig(account=row.account)}))


def _tell(accounts: Accounts, row: Account, notifier: NotifierResource) -> None:
    """The event is the message's key: however often the sensor looks, it is told once. Who had the SMS sent by hand sits there
    and waits for it."""
    (event,) = accounts.events(row.account, limit=1)
    code = row.state is State.WAITING_FOR_CODE
    if code and not event.by_itself:
        return
    current = settings.load()
    message = session_expired(
        account=row.nickname or row.account,
        reason=event.why,
        ui_url=current.ui_url,
        sandbox=current.sandboxed,
        command=login_command("sms --code" if code else "qr", row.account),
        code=code,
    )
    notifier.alert(SESSION_EXPIRED, row.account, event.why, key=f"ths-login:{event.id}", message=message)
