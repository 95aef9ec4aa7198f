"""An answer on the wire: Tushare's JSON, or the same rows as an Arrow stream for whoever asks for it."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator

import orjson
import polars as pl
from starlette.responses import Response

from quant_pipeline.door.tushare.errors import Refusal
from quant_pipeline.door.tushare.reading import Rows

ARROW = "application/vnd.apache.arrow.stream"
_JSON = "application/json; charset=utf-8"
_SLICE = 20_000
"""Rows that are Python objects at a time."""


def accepted(rows: Rows, note: str, accept: str) -> Response:
    """The rows, in the form that the header Accept asks for. `note`: what is to be known about them, beside them."""
    if ARROW in accept:
        buffer = io.BytesIO()
        rows.frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
        return Response(buffer.getvalue(), media_type=ARROW, headers={"X-Has-More": str(rows.more).lower()})
    return Response(b"".join(_json(rows, note)), media_type=_JSON)


def refused(refusal: Refusal) -> Response:
    """The refusal, in HTTP 200."""
    body = {"request_id": secrets.token_hex(16), "code": refusal.code, "msg": refusal.text, "data": None}
    return Response(orjson.dumps(body), media_type=_JSON)


def _json(rows: Rows, note: str) -> Iterator[bytes]:
    head = orjson.dumps({"request_id": secrets.token_hex(16), "code": 0, "msg": note})
    fields, more = orjson.dumps(rows.frame.columns), orjson.dumps(rows.more)
    yield head[:-1] + b',"data":{"fields":' + fields + b',"items":['
    for place, part in enumerate(rows.frame.iter_slices(_SLICE)):
        if part.height:
            yield (b"," if place else b"") + orjson.dumps(part.rows())[1:-1]
    yield b'],"has_more":' + more + b',"count":' + str(rows.frame.height).encode() + b"}}"
