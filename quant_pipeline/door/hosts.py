"""Who may be asked for: a page of another site that calls its own name 127.0.0.1 (DNS rebinding) is refused."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from quant_pipeline.settings import Settings

_LOCAL = frozenset({"localhost", "ip6-localhost"})


def served_names(settings: Settings, host: str) -> frozenset[str]:
    """The names that the pages are asked for by: this machine's, and those of the settings' addresses."""
    names = {host, socket.gethostname(), urlsplit(settings.pages_url).hostname, urlsplit(settings.ui_url).hostname}
    return _LOCAL | {name.lower() for name in names if name}


class HostCheck:
    """Answers 421 to a Host header that is neither an IP address nor one of `names`.

    An address cannot be rebound: only names can be made to point here.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._served(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse(
                "This name is not served here. 不接受该主机名。Open the address that `quant-pipeline serve` prints, or name "
                "yours in QUANT_PAGES_URL.",
                421,
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _served(self, header: str) -> bool:
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
