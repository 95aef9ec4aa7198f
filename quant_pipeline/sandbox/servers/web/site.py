"""What a web site of the sandbox is: its hosts, and how it answers a request out of the market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from quant_pipeline.sandbox.simulation.interface import Market

JSON = "application/json;charset=utf-8"
HTML_GBK = "text/html; charset=gbk"
SCRIPT = "application/javascript"
TEXT = "text/plain"
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class Request:
    """A request as a site sees it; `asked`: its query's parameters, and those of a form in its body."""

    method: str
    host: str
    path: str
    asked: Mapping[str, str]

    @classmethod
    def read(cls, method: str, target: str, host: str, body: bytes) -> Request:
        """From the request line, the Host header and the body."""
        url = urlsplit(target)
        form = parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True) if b"=" in body[:200] else []
        return cls(method, (url.hostname or host).split(":")[0], url.path, dict([*parse_qsl(url.query), *form]))


@dataclass(frozen=True)
class Page:
    """A site's answer."""

    body: bytes
    rows: int = 0
    type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Market, Request], Page | None]
"""The page for a request; None where the site has none."""


@dataclass(frozen=True)
class Site:
    """A web site: the name under which its calls are logged and its faults ordered, and the ends of its hosts' names."""

    name: str
    hosts: tuple[str, ...]
    answer: Answer

    def has(self, host: str) -> bool:
        return any(host == own or host.endswith(f".{own}") for own in self.hosts)
