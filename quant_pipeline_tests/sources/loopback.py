"""A web server of a few lines, for answers that no service would give: the test says what it does with each request."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Respond = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]
"""Answers one request; the second argument is its JSON body (empty without one)."""


@contextmanager
def serving(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The server's address while it runs. A client that hangs up in the middle is no fault of the server's."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with suppress(OSError):
                respond(self, json.loads(body or "{}"))

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send_json(handler: BaseHTTPRequestHandler, content: Any, status: int = 200) -> None:
    """One whole JSON answer."""
    body = json.dumps(content, ensure_ascii=False).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def tushare_rows(fields: Sequence[str], items: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """An answer of Tushare's protocol."""
    return {"code": 0, "msg": "", "data": {"fields": list(fields), "items": [list(item) for item in items], "has_more": False}}


def tushare_refusal(text: str) -> dict[str, Any]:
    """A refusal of Tushare's protocol."""
    return {"code": 40203, "msg": text, "data": None}
