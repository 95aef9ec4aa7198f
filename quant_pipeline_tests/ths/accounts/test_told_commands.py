"""What a login that fails tells to type names the account, where it is not the user's only one."""

from __future__ import annotations

import pytest

from quant_pipeline.ths import qr, sms
from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.groups import SessionExpired
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.line import Line
from quant_pipeline.ths.logins import Logins

NOWHERE = Hosts(*("http://127.0.0.1:1",) * 4)


@pytest.mark.parametrize(("account", "behind"), [("default", "`"), ("lao wang", " --account 'lao wang'`")])
def test_the_command_is_that_of_the_account(logins: Logins, monkeypatch: pytest.MonkeyPatch, account: str, behind: str) -> None:
    line = Line(NOWHERE, account=account)
    with pytest.raises(ThsError) as mistyped:
        sms.check(line, "13800000000", "12")
    assert f"`quant-pipeline ths login sms --code{behind}" in str(mistyped.value)
    monkeypatch.setattr(qr, "CODES", 0)
    with pytest.raises(ThsError) as unseen:
        qr.log_in(line, "device", print)
    assert f"`quant-pipeline ths login qr{behind}" in str(unseen.value)
    assert f"`quant-pipeline ths login qr{behind}" in str(SessionExpired("HTTP 401", account))
    for begin, method in ((logins.by_password, "password"), (logins.by_cookies, "cookie"), (logins.send_code, "sms")):
        with pytest.raises(ThsError) as lacking:
            begin(account)
        assert f"`quant-pipeline ths login {method}{behind}" in str(lacking.value)
