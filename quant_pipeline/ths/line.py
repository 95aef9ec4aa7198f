"""A conversation with THS's servers: one cookie jar, a time-out on everything, failures in words without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from quant_pipeline.language import told
from quant_pipeline.sources import bounded_http
from quant_pipeline.ths.errors import DEFAULT, Failure, ThsError
from quant_pipeline.ths.hosts import Hosts

_TIMEOUT = 15.0
_LARGEST = 2**20
_LONGEST = 120
_BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
_THS = "10jqka.com.cn"


class Line:
    """The jar is sent to THS's own servers only: no redirect is followed but by `visit`, and that stays with them."""

    def __init__(self, hosts: Hosts, cookies: Mapping[str, str] | None = None, *, account: str = DEFAULT) -> None:
        """`account`: whose line it is, as its user calls him: by that name commands are told."""
        self.hosts = hosts
        self.account = account
        self.cookies: dict[str, str] = dict(cookies or {})
        self._secrets: set[str] = set()

    def hide(self, *secrets: str) -> None:
        """From now on these stand in no text of an error."""
        self._secrets.update(filter(None, secrets))

    def get(self, url: str, params: Mapping[str, str] | None = None, **headers: str) -> requests.Response:
        """ThsError (unreachable) for no answer, a redirect, or a status that is no answer (401 is one)."""
        return self._ask("GET", url, params=params, headers=headers)

    def post(self, url: str, form: Mapping[str, str], **headers: str) -> requests.Response:
        """As `get`, with a form."""
        return self._ask("POST", url, data=form, headers=headers)

    def visit(self, url: str) -> None:
        """Opens a page of THS's for the cookies that it sets, and those that it sends on to, within its hosts."""
        for _ in range(5):
            if not self._is_ours(url):
                return
            try:
                self.get(url)
            except ThsError as error:
                onward = _onward(error)
                if onward is None:
                    raise
                self.cookies |= onward.cookies.get_dict()
                url = urljoin(url, onward.headers.get("Location", ""))
            else:
                return

    def said(self, text: object) -> str:
        """A server's words on one line, without any secret of this conversation."""
        line = re.sub(r"\s+", " ", str(text or "")).strip()
        for secret in sorted({*self._secrets, *_telling(self.cookies)}, key=len, reverse=True):
            line = line.replace(secret, "***")
        return line[:_LONGEST]

    def _ask(self, method: str, url: str, *, headers: Mapping[str, str], **asked: Any) -> requests.Response:
        named = {"User-Agent": _BROWSER, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            answer = bounded_http.request(
                method, url, timeout=_TIMEOUT, largest=_LARGEST, cookies=self.cookies, headers=named, **asked
            )
        except requests.RequestException as error:
            words = bounded_http.fault_in_words(error)
            raise ThsError(Failure.UNREACHABLE, told("THS gave no answer: {why}", why=words)) from _redirect(error)
        self.cookies |= answer.cookies.get_dict()
        if answer.status_code not in (200, 401):
            text = told("THS answered with HTTP status {status}", status=answer.status_code)
            raise ThsError(Failure.UNREACHABLE, text)
        return answer

    def _is_ours(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        official = parts.scheme == "https" and (host == _THS or host.endswith("." + _THS))
        return official or any(parts[:2] == urlsplit(host)[:2] for host in vars(self.hosts).values())


def json_of(answer: requests.Response) -> dict[str, Any]:
    """An answer that has to be a JSON object. ThsError (unreadable) where it is none."""
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise unreadable()
    return content


def unreadable() -> ThsError:
    """The answer is not one of the protocol as it is known."""
    return ThsError(
        Failure.UNREADABLE,
        told("THS's answer cannot be read: its servers, which it does not document, may have changed; another login may work"),
    )


def _telling(cookies: Mapping[str, str]) -> list[str]:
    """The values that say more than a flag or a user's number does."""
    return [value for name, value in cookies.items() if len(value) > 5 and name not in ("userid", "u_name", "escapename")]


def _redirect(error: requests.RequestException) -> BaseException | None:
    """Kept as the cause only for what is needed of it: other errors of requests hold what was sent."""
    return error if isinstance(error, bounded_http.Redirected) else None


def _onward(error: ThsError) -> requests.Response | None:
    cause = error.__cause__
    return cause.response if isinstance(cause, bounded_http.Redirected) else None
