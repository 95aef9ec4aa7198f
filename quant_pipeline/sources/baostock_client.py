"""What runs in BaoStock's own process (worker.py): the unmodified client, logged in here, with what it lacks put around it.

The client holds one global socket, waits for ever, spins when the server closes, and takes a lost page for the end. Here
its sockets time out, a closed line is an error, a lost page or another code's rows are noticed, and after any failure the
socket is dropped, so that a late reply never answers the next query.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from quant_pipeline.language import marked, told
from quant_pipeline.sources.failures import in_words

_LARGEST = 4 * 2**20
"""Bytes of one answer: the whole market's has less than one million."""
NOT_LOGGED_IN = "10001001"
_MALFORMED_PARAMETERS = "10004006"
_WHOLE = frozenset({"query_daily_history_k_AStock", "query_daily_history_k_ETF", "query_daily_adjust_factor"})
"""Queries without pages. At exactly 2000 rows the client would ask for a second one, with its number in the date's place."""

Answer = tuple[list[str], list[list[str]], int]
"""The fields, the rows, and how many requests (pages) they took."""


@dataclass(frozen=True)
class Account:
    """Where to log in, and as whom; no host or port means the client's own."""

    host: str | None
    port: int | None
    user: str
    password: str = field(repr=False)


class Refused(Exception):
    """The service or the client said an error code: the text begins with it."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code} {words}")
        self.code = code


class Unreached(Exception):
    """No connection to the server came about: the client says of that only that it received nothing."""


class LostPage(Exception):
    """The answer ends with a full page: the next one was lost."""


class EndlessAnswer(Exception):
    """A page came twice, or more rows than the market can have."""


class WrongAnswer(Exception):
    """The answer is that of another code."""


def query(account: Account, silence: float, most: int, function: str, parameters: dict[str, str]) -> Answer:
    """All rows of a call of the client; a session that the service forgot is renewed once.

    `silence`: seconds without a byte after which the server is given up; `most`: the rows that no true answer exceeds.
    Refused, LostPage, EndlessAnswer, WrongAnswer, or whatever the client raises over an answer that is none.
    """
    try:
        try:
            return _ask(account, silence, most, function, parameters)
        except Refused as refused:
            if refused.code != NOT_LOGGED_IN:
                raise
            drop()
            return _ask(account, silence, most, function, parameters)
    except Exception:
        drop()
        raise


def _ask(account: Account, silence: float, most: int, function: str, parameters: dict[str, str]) -> Answer:
    import baostock
    from baostock.common import contants, context

    if getattr(context, "default_socket", None) is None:
        _log_in(account, silence)
    reply = getattr(baostock, function)(**parameters)
    if reply is None:  # a date that cannot be read
        raise Refused(_MALFORMED_PARAMETERS, told("the client refused {parameters}", parameters=parameters))
    _check(reply)
    if "code" in parameters and reply.code != parameters["code"]:
        raise WrongAnswer(told("asked for {code}, the answer is that of {other}", code=parameters["code"], other=reply.code))
    if function in _WHOLE:
        return reply.fields, reply.data, 1
    rows: list[list[str]] = []
    pages: list[list[list[str]]] = []
    while reply.next():
        if not reply.cur_row_num:
            if reply.data in pages or len(rows) + len(reply.data) > most:
                raise EndlessAnswer(
                    told(
                        "page {number} of {function} came before, or is one too many", number=len(pages) + 1, function=function
                    )
                )
            pages.append(reply.data)
        rows.append(reply.get_row_data())
    _check(reply)
    if len(reply.data) == contants.BAOSTOCK_PER_PAGE_COUNT:
        raise LostPage(told("page {number} of {function} did not come", number=int(reply.cur_page_num) + 1, function=function))
    return reply.fields, rows, int(reply.cur_page_num)


def _check(reply: Any) -> None:
    if reply.error_code != "0":
        raise Refused(reply.error_code, reply.error_msg)


def _log_in(account: Account, silence: float) -> None:
    import baostock
    from baostock.common import contants, context
    from baostock.util import socketutil

    if account.host:
        contants.BAOSTOCK_SERVER_IP = contants.BAOSTOCK_VIP_SERVER_IP = account.host
    if account.port:
        contants.BAOSTOCK_SERVER_PORT = account.port
    socketutil.socket = SimpleNamespace(
        AF_INET=socket.AF_INET, SOCK_STREAM=socket.SOCK_STREAM, socket=partial(_GuardedSocket, silence)
    )
    reply = baostock.login(account.user, account.password)
    if (why := getattr(context.default_socket, "unconnected", None)) is not None:
        raise Unreached(in_words(why)) from why
    _check(reply)


def drop() -> None:
    """Closes the client's socket, and with it forgets the login: the next query begins anew."""
    from baostock.common import context

    line = getattr(context, "default_socket", None)
    context.default_socket = None
    if line is not None:
        line.close()


class _GuardedSocket(socket.socket):
    """A socket that gives up a silent server and one that never ends, and for which a closed line is an error."""

    def __init__(self, silence: float, family: int, kind: int) -> None:
        super().__init__(family, kind)
        self.settimeout(silence)
        self.unconnected: OSError | None = None
        self._received = 0

    def connect(self, address: Any, /) -> None:
        try:
            super().connect(address)
        except OSError as error:  # which the client swallows
            self.unconnected = error
            raise

    def send(self, question: Any, flags: int = 0, /) -> int:
        self._received = 0
        return super().send(question, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        received = super().recv(size, flags)
        if not received:
            raise ConnectionAbortedError(marked("the server closed the connection"))
        self._received += len(received)
        if self._received > _LARGEST:
            raise ConnectionAbortedError(told("the answer is larger than {count:,} bytes", count=_LARGEST))
        return received
