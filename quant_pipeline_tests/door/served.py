"""The pages behind a real socket, for a test that asks as a browser does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from quant_pipeline.door import server
from quant_pipeline.door.app import create_app
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database


@contextmanager
def served(settings: Settings, database: Database | None = None, *, host: str = "127.0.0.1") -> Iterator[str]:
    """The URL of the pages of these settings, while the block lasts."""
    with server.listen(host, 0) as listening:
        running = uvicorn.Server(server.configured(create_app(settings, host=host, database=database)))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield server.address_of(listening)
        finally:
            running.should_exit = True
            thread.join()
