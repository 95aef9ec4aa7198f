"""Tushare's own module, pointed at our door: `import quant_pipeline.tushare as ts` in place of `import tushare as ts`.

It is the real one, with two things set: where its clients ask (QUANT_TUSHARE_URL, else the door that answers on this machine:
that of `quant-pipeline serve`, or of `ui`), and the token that they show where none is given (QUANT_TUSHARE_TOKEN; without it
any word, which opens a door that has no keys). A process that imports this sends no call to Tushare itself any more.
"""

from __future__ import annotations

import http.client
import os
from typing import Any, Final
from urllib.parse import urlsplit

import tushare as _tushare
from tushare.pro import client as _client
from tushare.util import upass as _upass

URL: Final = "QUANT_TUSHARE_URL"
TOKEN: Final = "QUANT_TUSHARE_TOKEN"
_ANY = "quant-pipeline"
_PATIENCE = 2.0


def address() -> str:
    """Where the door is: as QUANT_TUSHARE_URL says, else of the addresses of the settings the first that answers."""
    if given := os.environ.get(URL):
        return given.rstrip("/")
    from quant_pipeline import settings

    current = settings.load(or_here=True)
    offered = (f"http://{current.serve_host}:{current.serve_port}", current.pages_url)
    return next((each for each in offered if _answers(each)), offered[0]) + "/dataapi"


def _answers(base: str) -> bool:
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/look/style.css")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def __getattr__(name: str) -> Any:
    return getattr(_tushare, name)


def __dir__() -> list[str]:
    return dir(_tushare)


_client.DataApi._DataApi__http_url = address()
_upass.get_token = lambda: os.environ.get(TOKEN) or _ANY
