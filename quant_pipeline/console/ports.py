"""The ports that a server is about to listen on: free, or a sentence that says who has them."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

import psutil

from quant_pipeline.forked import titled
from quant_pipeline.language import say
from quant_pipeline.warehouse.presence import Taken


class PortTaken(Taken):
    """Another program listens there; the text says which, and what to do."""


class AddressError(ValueError):
    """An address that this machine cannot listen on."""


def refuse_taken(host: str, port: int, *, wanted_for: str) -> None:
    """Nothing when `host:port` can be listened on. PortTaken when another program does, AddressError when nobody could.

    It binds the port for a moment, with the option that servers use, so that one in its last seconds of closing is free.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise AddressError(
            say("there is no host {host}: write an address of this machine, such as --host 127.0.0.1", host=host)
        ) from None
    with socket.socket(family, kind, protocol) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(address)
        except OSError as error:
            raise _refusal(error, host, port, wanted_for) from None


def _refusal(error: OSError, host: str, port: int, wanted_for: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            say(
                "port {port}, for {what}, is taken by {holder}: stop that program, or choose another port with --port",
                port=port, what=wanted_for, holder=_holder(port),
            )
        )  # fmt: skip
    if error.errno == errno.EACCES:
        return AddressError(say("port {port} may only be used by root: choose one above 1023 with --port", port=port))
    return AddressError(say("{host} is no address of this machine: write one of its own, such as --host 127.0.0.1", host=host))


def _holder(port: int) -> str:
    """Who listens there, as far as this user may know."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("inet"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"{_name(psutil.Process(connection.pid))} (pid {connection.pid})"
    return say("another program")


def _name(process: psutil.Process) -> str:
    """The script's name where it is one of Python's: "python" says nothing."""
    scripts = (part for part in titled(process)[1:] if part.endswith(("dagster-webserver", "quant-pipeline")))
    return next((part.rpartition("/")[2] for part in scripts), process.name())
