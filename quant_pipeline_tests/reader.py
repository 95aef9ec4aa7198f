"""What a reader of the documents has beside the sandbox: accounts, a friend, a file, alerts, a door that is running."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from quant_pipeline.notify import binding
from quant_pipeline.notify.binding import Invitation
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.logins import Logins
from quant_pipeline.vault import keys
from quant_pipeline_tests.assets.platform import LATEST, Platform

_ALERTS = """
INSERT INTO alerts (rule, subject, severity, cause, opened_at, seen_at)
SELECT 'slow', 'source ' || number, 'info', 'slow', clock_timestamp(), clock_timestamp() FROM generate_series(1, 12) AS number
"""


@dataclass
class Reader:
    """He reads page after page; `door` is the address of the `serve` that he has left running."""

    platform: Platform
    folder: Path
    patch: pytest.MonkeyPatch
    door: str
    _read: set[str] = field(default_factory=set)

    def comes_to(self, page: str) -> None:
        """Before the first block of a page he has what it takes for granted."""
        needs = {
            "docs/watchlists.md": [self._has_a_file, self._logs_in],
            "docs/notifications.md": [self._has_a_friend],
            "docs/alerts.md": [self._has_alerts],
            "docs/rest.md": [self._has_bars],
        }
        for need in [] if page in self._read else needs.get(page, []):
            need()
        self._read.add(page)

    def names(self) -> dict[str, str]:
        """What the documents type -> the same of a share that the small market has."""
        shares = self.platform.rows("SELECT symbol, name, cnspell FROM stock_list WHERE list_status = 'L' ORDER BY ts_code")
        if not shares:
            return {}
        shanghai, shenzhen = ([share for share in shares if share[0].startswith(begins)] for begins in ("60", "00"))
        return {
            "600000": shanghai[0][0],
            "000001": shenzhen[0][0],
            "600519": shanghai[1][0],
            "宁德时代": shenzhen[1][1],
            "zsyh": shenzhen[2][2],
        }

    def _has_alerts(self) -> None:
        """Number 12 is one of them."""
        self.platform.execute(_ALERTS)

    def _has_a_file(self) -> None:
        """As a trading program writes it: a table of no Excel, in GBK."""
        text = f"代码\t名称\nSH{self.names()['600000']}\t浦发银行\n"
        (self.folder / "Table.xls").write_text(text, encoding="gbk")

    def _logs_in(self) -> None:
        """At 同花顺, where a group of his holds a share."""
        self.patch.setenv("SECRET_KEY", keys.made().reveal())
        self.patch.setattr(keys, "ITERATIONS", 1_000)
        there = self.platform.sandbox
        hosts = Hosts(there.ths_upass_url, there.ths_auth_url, there.ths_ugc_url, there.ths_t_url)
        logins = Logins(self.platform.database, hosts)
        logins.entrust_password("default", "sandbox-reader", "sandbox-of-a-reader", keep=False)
        group = {"id": "0_1", "name": "我的持仓", "content": [(self.names()["600000"], "17")]}
        there.ths_groups(logins.by_password("default").user_id, {"groups": [group], "default": []})

    def _has_a_friend(self) -> None:
        """Who scans a code as soon as it is shown."""
        invite = binding.invite

        def scanned(*given: Any) -> Invitation:
            invitation = invite(*given)
            requests.get(invitation.picture.replace("/qr/", "/scan/").removesuffix(".png"), timeout=10).raise_for_status()
            return invitation

        self.patch.setattr(binding, "invite", scanned)

    def _has_bars(self) -> None:
        """Of the two months that he asks for."""
        sessions = self.platform.sessions(34)
        assert sessions[-1] == LATEST
        self.platform.fill(sessions, "suspensions", "daily_kline", "adj_factor")
