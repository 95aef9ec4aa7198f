"""The hosts that the THS account is asked at. None of what they answer is documented by their owner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hosts:
    """`upass` logins by QR and SMS · `auth` by password · `ugc` the groups of watchlists · `t` the default list, the user."""

    upass: str = "https://upass.10jqka.com.cn"
    auth: str = "https://auth.10jqka.com.cn"
    ugc: str = "https://ugc.10jqka.com.cn"
    t: str = "https://t.10jqka.com.cn"
