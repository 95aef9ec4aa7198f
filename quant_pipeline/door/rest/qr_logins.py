"""QR logins that were begun over REST: each waits in a thread of the door for the phone, and is asked how it stands."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from quant_pipeline.market import clock
from quant_pipeline.ths import qr
from quant_pipeline.ths.errors import ThsError
from quant_pipeline.ths.qr import Shown
from quant_pipeline.vault.errors import VaultError

_FIRST_CODE = 30.0
"""Seconds until THS has to have made the first code."""
_KEPT = 100


@dataclass
class QrLogin:
    """`status`: waiting, scanned, confirmed or failed (with its `error`) · `address`: what the code of now says."""

    id: str
    account: str
    status: str = "waiting"
    address: str = ""
    expires_at: dt.datetime | None = None
    error: str = ""
    moved: threading.Event = field(default_factory=threading.Event)

    def tell(self, news: Shown | str) -> None:
        """What becomes of the codes; an expired one is followed by the next."""
        if isinstance(news, Shown):
            self.status, self.address = "waiting", news.address
            self.expires_at = clock.now() + dt.timedelta(seconds=qr.LIFE)
            self.moved.set()
        elif news == "scanned":
            self.status = "scanned"


class QrLogins:
    """Those of this door. They end with it: a login that was not confirmed leaves the account as it was."""

    def __init__(self) -> None:
        self._known: dict[str, QrLogin] = {}
        self._changing = threading.Lock()

    def begin(self, account: str, log_in: Callable[[qr.Look], object]) -> QrLogin:
        """Begins one, and waits for its first code."""
        login = QrLogin(secrets.token_hex(12), account)
        with self._changing:
            while len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[login.id] = login

        def run() -> None:
            try:
                log_in(login.tell)
                login.status = "confirmed"
            except (ThsError, VaultError) as error:
                login.error, login.status = str(error), "failed"
            except Exception:
                login.error, login.status = "the login was broken off", "failed"
                raise  # into the log
            finally:
                login.moved.set()

        threading.Thread(target=run, name=f"qr-login-{account}", daemon=True).start()
        login.moved.wait(_FIRST_CODE)
        return login

    def find(self, number: str) -> QrLogin | None:
        return self._known.get(number)
