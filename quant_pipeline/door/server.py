"""Serves the pages until it is interrupted."""

from __future__ import annotations

import socket

import uvicorn

from quant_pipeline.door.app import create_app
from quant_pipeline.settings import Settings


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: any free one. OSError when it cannot."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=128)


def address_of(listening: socket.socket) -> str:
    """The URL of the socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(settings: Settings, listening: socket.socket, host: str) -> None:
    """Answers at the socket until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        create_app(settings, host=host), log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listening])
