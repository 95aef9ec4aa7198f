"""The BaoStock protocol over TCP, as the unmodified `baostock` client speaks it."""

from __future__ import annotations

import asyncio

from quant_pipeline.sandbox.calls import CallLog
from quant_pipeline.sandbox.faults import Faults
from quant_pipeline.sandbox.room import MarketRoom

SERVER = "baostock"


class BaostockServer:
    """Serves the simulated exchange (without the BSE, which BaoStock does not have)."""

    def __init__(self, room: MarketRoom, calls: CallLog, faults: Faults) -> None:
        self._room, self._calls, self._faults = room, calls, faults
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.start_server(self._converse, host, port)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.close()
