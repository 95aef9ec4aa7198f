"""Serves the pages until it is interrupted."""

from __future__ import annotations

import socket
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from quant_pipeline.door.app import create_app
from quant_pipeline.door.feed.feeds import LARGEST
from quant_pipeline.settings import Settings

_BACKLOG = 1024
"""Five hundred clients of quotes come at once when the door is started again."""
_UNREAD = 60_000
"""Milliseconds that a client may leave unread what was sent to it, before its connection is cut."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: any free one. OSError when it cannot."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    with suppress(AttributeError, OSError):  # Linux alone has it; accepted sockets inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD)
    return listening


def address_of(listening: socket.socket) -> str:
    """The URL of the socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, listening: socket.socket, host: str) -> None:
    """Answers at the socket until SIGINT or SIGTERM."""
    uvicorn.Server(configured(create_app(settings, host=host))).run(sockets=[listening])


def configured(app: FastAPI) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        ws_max_size=LARGEST,
        ws_per_message_deflate=False,  # it costs each client 30 kB here and more time than the cable does
    )
