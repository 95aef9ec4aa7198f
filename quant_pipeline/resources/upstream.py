"""Where the upstream servers are: the sandbox's in sandbox mode, else the real ones. A URL set by hand wins."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from quant_pipeline.settings import Settings


@dataclass(frozen=True)
class Upstream:
    """A server's address and the credentials for it; `url` None means the client's own (the real service)."""

    url: str | None
    token: str | None
    secret_key: str | None = None


def tushare(settings: Settings) -> Upstream:
    """Tushare's address and token. A real token is never sent to the sandbox."""
    if settings.sandboxed and settings.tushare_url is None:
        from quant_pipeline.sandbox.service import ensure_running

        sandbox = ensure_running(settings.home)
        return Upstream(sandbox.tushare_url, sandbox.token)
    return Upstream(settings.tushare_url, _plain(settings.tushare_token))


def pushplus(settings: Settings) -> Upstream:
    """PushPlus's address and token; no token means that messages are only logged.

    Without the secret key they are sent, but PushPlus does not tell whether they arrived.
    """
    if settings.sandboxed and settings.pushplus_url is None:
        from quant_pipeline.sandbox.service import ensure_running

        sandbox = ensure_running(settings.home)
        return Upstream(sandbox.pushplus_url, sandbox.pushplus_token, sandbox.pushplus_secret)
    return Upstream(settings.pushplus_url, _plain(settings.pushplus_token), _plain(settings.pushplus_secret_key))


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
