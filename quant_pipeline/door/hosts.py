"""Who may be asked for, and from where: a page of another site that calls its own name 127.0.0.1 (DNS rebinding) is refused,
and one that sends what changes something here (cross-site requests)."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from quant_pipeline.door.tushare import answers
from quant_pipeline.door.tushare.errors import WRONG_REQUEST, Refusal
from quant_pipeline.door.tushare.route import is_call
from quant_pipeline.settings import Settings

_LOCAL = frozenset({"localhost", "ip6-localhost"})
_OF_TUSHARE = frozenset({"api.waditu.com", "api.tushare.pro"})
"""Names that Tushare's client asks for where we are its HTTP_PROXY, or stand in the hosts file: for its calls alone."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSAL = (
    "This name is not served here. 不接受该主机名。Open the address that `quant-pipeline serve` prints, or name yours in "
    "QUANT_PAGES_URL."
)
_FOREIGN = "Pages of other sites may not send anything here. 不接受来自其他网站页面的请求。"


def served_names(settings: Settings, host: str) -> frozenset[str]:
    """The names that the pages are asked for by: this machine's, and those of the settings' addresses."""
    names = {host, socket.gethostname(), urlsplit(settings.pages_url).hostname, urlsplit(settings.ui_url).hostname}
    return _LOCAL | {name.lower() for name in names if name}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in _LOCAL


class HostCheck:
    """Answers 421 to a Host header that is neither an IP address nor one of `names`, and 403 to what a page of another origin
    sends, but for the `origins` that the settings name. Tushare's client is told the same in its own form: it takes a status
    for an empty answer.

    An address cannot be rebound: only names can be made to point here.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], origins: frozenset[str] = frozenset()) -> None:
        self._app, self._names, self._origins = app, names, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            _direct(scope)
            if (refusal := self._refusal(scope)) is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, call = Headers(scope=scope), is_call(scope)
        host = _name(headers.get("host", ""))
        if not self._served(host) and not (call and host in _OF_TUSHARE):
            return answers.refused(Refusal(WRONG_REQUEST, _REFUSAL)) if call else PlainTextResponse(_REFUSAL, 421)
        origin = headers.get("origin")
        sends = origin is not None and origin.lower() not in self._origins and scope.get("method") not in _SAFE
        if sends and _name_of_origin(origin or "") not in self._names | {host}:
            return answers.refused(Refusal(WRONG_REQUEST, _FOREIGN)) if call else PlainTextResponse(_FOREIGN, 403)
        return None

    def _served(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def named_from_afar(headers: Headers) -> bool:
    """Whether the request's Host is none of the loopback's names: then it was not asked for on this machine."""
    return not is_loopback(_name(headers.get("host", "")))


def _direct(scope: Scope) -> None:
    """What came as to a proxy (`POST http://api.waditu.com/dataapi/daily`) as if it had come straight here: the target names
    the host, whatever the header says."""
    target = scope.get("raw_path", b"").decode("latin-1")
    if target.startswith("http://"):
        parts = urlsplit(target)
        scope["path"], scope["raw_path"] = parts.path or "/", (parts.path or "/").encode("latin-1")
        MutableHeaders(scope=scope)["host"] = parts.netloc


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _name_of_origin(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""
