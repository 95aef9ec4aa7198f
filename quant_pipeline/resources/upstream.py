"""Where the upstream servers are: the sandbox's in sandbox mode, else the real ones. A URL set by hand wins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import SecretStr

from quant_pipeline.settings import Settings

if TYPE_CHECKING:
    from quant_pipeline.sandbox.addresses import Addresses


@dataclass(frozen=True)
class Upstream:
    """A server's address and the credentials for it; `url` None means the client's own (the real service)."""

    url: str | None
    token: str | None
    secret_key: str | None = None


def tushare(settings: Settings) -> Upstream:
    """Tushare's address and token. A real token is never sent to the sandbox."""
    if settings.sandboxed and settings.tushare_url is None:
        sandbox = _sandbox(settings)
        return Upstream(sandbox.tushare_url, sandbox.token)
    return Upstream(settings.tushare_url, _plain(settings.tushare_token))


@dataclass(frozen=True)
class Endpoint:
    """A server's host and port; None means the client's own (the real service)."""

    host: str | None
    port: int | None


def baostock(settings: Settings) -> Endpoint:
    """BaoStock's address."""
    if settings.sandboxed and settings.baostock_host is None:
        sandbox = _sandbox(settings)
        return Endpoint(sandbox.host, sandbox.baostock_port)
    return Endpoint(settings.baostock_host, settings.baostock_port)


def web(settings: Settings) -> dict[str, str]:
    """The environment in which AKShare's client finds its web sites: in sandbox mode the sandbox's, behind its proxy.

    Empty in live mode, and where HTTPS_PROXY was set by hand: the process's own environment holds.
    """
    if settings.sandboxed and "HTTPS_PROXY" not in os.environ:
        return _sandbox(settings).web_environment()
    return {}


def ths_api(settings: Settings) -> Upstream:
    """THS's official API; no token means that it is not in use."""
    if settings.sandboxed and settings.ths_api_url is None:
        sandbox = _sandbox(settings)
        return Upstream(sandbox.ths_api_url, sandbox.token)
    return Upstream(settings.ths_api_url, _plain(settings.ths_api_key))


def pushplus(settings: Settings) -> Upstream:
    """PushPlus's address and token; no token means that messages are only logged.

    Without the secret key they are sent, but PushPlus does not tell whether they arrived.
    """
    if settings.sandboxed and settings.pushplus_url is None:
        sandbox = _sandbox(settings)
        return Upstream(sandbox.pushplus_url, sandbox.pushplus_token, sandbox.pushplus_secret)
    return Upstream(settings.pushplus_url, _plain(settings.pushplus_token), _plain(settings.pushplus_secret_key))


def _sandbox(settings: Settings) -> Addresses:
    from quant_pipeline.sandbox.service import ensure_running

    return ensure_running(settings.home)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
