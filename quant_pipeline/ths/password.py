"""The desktop client's login: name and password under RSA, a client's session, and cookies for it. Opt-in."""

from __future__ import annotations

from typing import Final

from quant_pipeline.language import told
from quant_pipeline.ths import cookies as jar
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.line import Line, unreadable
from quant_pipeline.ths.sealing import seal, verified

_APP: Final = "2022021114090152"
# As a public client of the desktop program sends them; what they mean is not described.
_CLIENT: Final = {"qsid": "8003", "product": "S01", "version": "E065.20.90", "securities": "同花顺"}


def log_in(line: Line, name: str, password: str, device: str) -> None:
    """Fills the line's jar with the account's cookies. ThsError; `device`: this installation's own id, always the same."""
    line.hide(name, password)
    lock = seal(line)
    account = verified(
        line,
        reqtype="unified_login",
        account=lock.sealed(name),
        passwd=lock.sealed(password),
        msg="1",
        rsa_version=lock.version,
        ta_appid=_APP,
    )
    if not account.get("userid") or not account.get("sessionid"):
        raise unreadable()
    line.hide(account["sessionid"])
    client = verified(
        line,
        reqtype="mainverify",
        userid=account["userid"],
        sessionid=account["sessionid"],
        imei=device,
        sdsn="",
        rsa_version=lock.version,
        nohqlist="0",
        **_CLIENT,
    )
    passport = dict(pair.split("=", 1) for pair in client.get("passport", "").split("|") if "=" in pair)
    if not passport.get("signvalid"):
        raise unreadable()
    line.hide(passport["signvalid"])
    given = {"userid": account["userid"], "sessionid": account["sessionid"], "signvalid": passport["signvalid"]}
    line.get(line.hosts.upass + "/docookie2.php", given)
    if not all(line.cookies.get(each) for each in jar.NEEDED):
        raise ThsError(Failure.REFUSED, told("THS took the password and gave no cookies: log in another way"))
