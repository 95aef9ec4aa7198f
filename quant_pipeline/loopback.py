"""This machine's own addresses are asked without any web proxy: it could not reach them, and would be shown their secrets."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

ADDRESSES: Final = ("localhost", "127.0.0.1", "::1")
_VARIABLES: Final = ("NO_PROXY", "no_proxy")


def without_proxy(environment: MutableMapping[str, str] = os.environ) -> None:
    """Adds this machine's addresses to the environment's exceptions, which every HTTP client heeds (requests, aiohttp, httpx,
    obstore, those of the vendors), here and in the processes that are started from here."""
    for name in [each for each in _VARIABLES if environment.get(each)] or _VARIABLES[:1]:
        named = [each for each in environment.get(name, "").replace(" ", "").split(",") if each]
        if named != ["*"]:
            environment[name] = ",".join([*named, *(each for each in ADDRESSES if each not in named)])
