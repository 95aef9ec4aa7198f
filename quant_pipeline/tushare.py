"""Tushare's own module, pointed at our door: `import quant_pipeline.tushare as ts` in place of `import tushare as ts`.

It is the real one, with three things set: where its clients ask (QUANT_TUSHARE_URL, else the door that answers on this machine:
that of `quant-pipeline serve`, or of `ui`), and the token that they show where none is given (QUANT_TUSHARE_TOKEN; without it
any word, which opens a door that has no keys), and what is said where nothing answers: NoDoor, in a sentence. A process that
imports this sends no call to Tushare itself any more.
"""

from __future__ import annotations

import os
from functools import wraps
from types import SimpleNamespace
from typing import Any, Final

import requests
import tushare as _tushare
from tushare.pro import client as _client
from tushare.util import upass as _upass

from quant_pipeline.answering import pages_answer
from quant_pipeline.language import say

URL: Final = "QUANT_TUSHARE_URL"
TOKEN: Final = "QUANT_TUSHARE_TOKEN"
_ANY = "quant-pipeline"
_UNDER = "/dataapi"
"""Where calls go, under the address at which our pages answer."""


class NoDoor(ConnectionError):
    """Nothing answers where the calls go; the text says where that is, and what to start."""


def address() -> str:
    """Where the door is: as QUANT_TUSHARE_URL says, else of the addresses of the settings the first that answers."""
    if given := os.environ.get(URL):
        return given.rstrip("/")
    from quant_pipeline import settings

    current = settings.load(or_here=True)
    offered = (f"http://{current.serve_host}:{current.serve_port}", current.pages_url)
    return next((each for each in offered if pages_answer(each)), offered[0]) + _UNDER


def _asked(url: str, **call: Any) -> requests.Response:
    """The door's answer; where nothing answers any more, that of the door that does now. NoDoor where there is none."""
    former = _client.DataApi._DataApi__http_url
    try:
        return requests.post(url, **call)
    except requests.exceptions.ConnectionError:
        now = address()
        if now == former or not url.startswith(former):
            raise NoDoor(_nobody(url.rpartition("/")[0])) from None
    _client.DataApi._DataApi__http_url = now
    try:
        return requests.post(now + url.removeprefix(former), **call)
    except requests.exceptions.ConnectionError:
        raise NoDoor(_nobody(now)) from None


def _nobody(tried: str) -> str:
    if os.environ.get(URL):
        return say(
            "nothing answers at {url}, where {variable} leads: start it there, or correct the address", url=tried, variable=URL
        )
    from quant_pipeline import settings

    return say(
        "nothing answers at {url}: start `quant-pipeline serve` or `quant-pipeline ui` over the data in {home} "
        "(another folder: set QUANT_HOME), or name a door with {variable}",
        url=tried,
        home=settings.load(or_here=True).home,
        variable=URL,
    )


@wraps(_tushare.pro_bar)
def pro_bar(*asked: Any, **named: Any) -> Any:
    """Tushare's own, which prints why each of its attempts failed and then says ERROR: here why, where nothing answers."""
    try:
        return _tushare.pro_bar(*asked, **named)
    except OSError:
        where = _client.DataApi._DataApi__http_url
        if pages_answer(where.removesuffix(_UNDER)):
            raise
    raise NoDoor(_nobody(where))


def __getattr__(name: str) -> Any:
    return getattr(_tushare, name)


def __dir__() -> list[str]:
    return dir(_tushare)


_client.DataApi._DataApi__http_url = address()
_client.requests = SimpleNamespace(post=_asked)
_upass.get_token = lambda: os.environ.get(TOKEN) or _ANY
