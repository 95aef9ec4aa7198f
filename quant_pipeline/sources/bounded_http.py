"""HTTP for calls that carry a secret: an end in time and in size, and no redirect.

`requests` bounds the wait for each byte, not for an answer: a server that drips a byte a second holds it for days, and one
that never stops fills the memory. Here the whole answer, its headers too, has one deadline and one greatest size; and an
answer that sends the caller elsewhere is an error, for the token would go there.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import logging
import socket
import time
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from quant_pipeline.language import marked, told
from quant_pipeline.sources.failures import causes_of, unreached

LARGEST = 64 * 2**20
"""Bytes of an answer, unpacked. The largest true one (15,000 funds) has less than a tenth of that."""
_PIECE = 2**16
_deadline: ContextVar[float] = ContextVar("_deadline")
_public: ContextVar[bool] = ContextVar("_public", default=False)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")
"""Of 6to4: an address of nobody."""


# It logs each call's address, and a robot's address holds its key.
logging.getLogger("urllib3.connectionpool").addFilter(
    lambda record: record.levelno > logging.DEBUG or _deadline.get(None) is None
)


class TooSlow(requests.exceptions.Timeout):
    """The answer did not come whole in time."""


class TooLarge(requests.exceptions.RequestException):
    """The answer is larger than any true one."""


class Redirected(requests.exceptions.RequestException):
    """The server sends the caller to another address."""


class NoConnection(TooSlow):
    """Nobody took the connection in time: nothing was sent."""


class PrivateAddress(requests.exceptions.RequestException):
    """The address leads into a private network, and only public ones are allowed."""


class _Private(Exception):
    """The same inside of urllib3, which takes requests' exceptions for faults of the line."""


def request(
    method: str, url: str, *, timeout: float, largest: int | None = None, public: bool = False, **asked: Any
) -> requests.Response:
    """The answer, read whole. `timeout`: seconds for all of it, from the connection on; `largest`: bytes, LARGEST unless told.

    `public`: nothing is sent to an address of a private network, whatever name it hides behind, nor through the
    environment's proxy. TooSlow, TooLarge, Redirected, PrivateAddress, or any other of requests' exceptions; proxies and
    authorities as requests has them.
    """
    token, guard = _deadline.set(time.monotonic() + timeout), _public.set(public)
    try:
        with requests.Session() as session:
            session.trust_env = not public
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter())
            answer = session.request(method, url, timeout=timeout, stream=True, allow_redirects=False, **asked)
            with answer:
                if 300 <= answer.status_code < 400:
                    where = urlsplit(answer.headers.get("Location", "")).hostname or marked("another address")
                    raise Redirected(
                        told(
                            "the server sends us on to {where} (HTTP {status}); nothing is sent there",
                            where=where,
                            status=answer.status_code,
                        ),
                        response=answer,
                    )
                answer._content = _read(answer, largest or LARGEST)
            return answer
    except _Private:
        raise PrivateAddress(marked("the address is one of a private network: nothing is sent there")) from None
    except requests.exceptions.ConnectTimeout:
        raise NoConnection(told("no whole answer within {seconds:g} s", seconds=timeout)) from None
    except requests.RequestException as error:
        late = time.monotonic() >= _deadline.get() or isinstance(error, requests.exceptions.Timeout)
        if late and not isinstance(error, TooLarge | Redirected):
            raise TooSlow(told("no whole answer within {seconds:g} s", seconds=timeout)) from None
        raise
    finally:
        _deadline.reset(token)
        _public.reset(guard)


def never_sent(error: requests.RequestException) -> bool:
    """Whether it is certain that the server had nothing of the call."""
    match error:
        case NoConnection() | PrivateAddress():
            return True
        case requests.exceptions.SSLError() | requests.exceptions.ProxyError():
            return True
        case requests.exceptions.ConnectionError():
            reason = getattr(error.args[0] if error.args else None, "reason", None)
            return isinstance(reason, NewConnectionError)
    return isinstance(error, ValueError)  # an address that is none


def is_public(address: str) -> bool:
    """Whether an IP address is a host of the public network.

    Of IPv6 that wraps IPv4, the mapped form and NAT64's are looked into; tunnels (6to4, Teredo) are none.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip not in _GLOBAL_UNICAST or ip.sixtofour is not None or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and ip not in _RELAYS


def fault_in_words(error: requests.RequestException) -> str:
    """What went wrong on the way, for the user: requests' own words hold addresses and what was sent."""
    match error:
        case TooLarge() | Redirected() | PrivateAddress():
            return str(error)
        case requests.exceptions.SSLError() | requests.exceptions.ProxyError():
            pass
        case requests.exceptions.ConnectionError() | requests.exceptions.Timeout():
            if (words := unreached(causes_of(error))) is not None:
                return words
    match error:
        case requests.exceptions.JSONDecodeError():
            return marked("the answer is not JSON (a gateway's or a block page)")
        case requests.exceptions.Timeout():
            return marked("no answer in time")
        case requests.exceptions.SSLError():
            return marked("the connection failed: the server has no certificate that can be trusted")
        case requests.exceptions.ProxyError():
            return marked("the connection failed at the web proxy")
    return marked("the connection failed")


def _read(answer: requests.Response, largest: int) -> bytes:
    content = bytearray()
    for piece in answer.iter_content(_PIECE):
        content += piece
        if len(content) > largest:
            raise TooLarge(told("the answer is larger than {count:,} bytes: no true one is", count=largest))
    return bytes(content)


class _Timed(io.RawIOBase):
    """The receiving end of a socket, on which no read waits beyond the deadline of the call."""

    def __init__(self, raw: io.RawIOBase, line: socket.socket) -> None:
        self._raw = raw
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _deadline.get() - time.monotonic()
        if left <= 0:
            raise TimeoutError(marked("the deadline of the call has passed"))
        self._line.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *options: Any, **named: Any) -> None:
        super().__init__(sock, *options, **named)
        self.fp: Any = io.BufferedReader(_Timed(self.fp.detach(), sock))


def _allowed(line: socket.socket) -> socket.socket:
    """The connection, if it leads where one may; it is looked at once it stands, so no name can change its meaning."""
    if _public.get() and not is_public(line.getpeername()[0]):
        line.close()
        raise _Private
    return line


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _allowed(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _allowed(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """requests' own, over connections that keep the deadline, through a web proxy too."""

    def init_poolmanager(self, *options: Any, **named: Any) -> None:
        super().init_poolmanager(*options, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):  # whose connections are of another kind
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
