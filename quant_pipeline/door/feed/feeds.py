"""The clients of one application: who may be one, how many there are, and that a revoked key ends what it opened."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope as Request

from quant_pipeline.door import keys
from quant_pipeline.door.admission import Admission, NotAdmitted, NotAllowed, TooMany, forwarded
from quant_pipeline.door.entry import ADMITTED, key_in
from quant_pipeline.door.feed.client import Client, Wire
from quant_pipeline.door.feed.codes import Codes
from quant_pipeline.door.feed.switch import Off, off
from quant_pipeline.door.hosts import named_from_afar
from quant_pipeline.door.keys import Key, Scope
from quant_pipeline.quotes.hub import MOST_READERS, Hub, TooManyReaders
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database

LARGEST = 65_536
"""Bytes of a client's message: 500 codes take 6 kB."""
REVOKED = "密钥已撤销 The key was revoked"
_LOOK = 20.0
"""Seconds between two looks at whether the keys of the connected still hold."""
_logger = logging.getLogger(__name__)


class Shut(Exception):
    """A client is not let in: the HTTP status that says so, what happened, why, and what to do."""

    def __init__(self, status: int, what: str, why: str, to_do: str = "") -> None:
        super().__init__(f"{what}: {why}")
        self.status, self.what, self.why, self.to_do = status, what, why, to_do


class Feeds:
    """Opened at the first client."""

    def __init__(self, settings: Settings, database: Callable[[], Database], admission: Admission) -> None:
        """`database`: called in threads; opened at the first use."""
        self.hub = Hub(database)
        self.codes = Codes(database)
        self._settings, self._database, self._admission = settings, database, admission
        self._clients: set[Client] = set()
        self._watching: asyncio.Task[None] | None = None

    def off(self) -> Off | None:
        """Why there are no quotes; None: there are."""
        return off(self._settings)

    async def let_in(self, scope: Request, token: str, *, as_page: bool = False) -> Key | None:
        """The key of a connection that asks for quotes; None where nobody needs one. Shut says why not.

        `as_page`: by a script of our own pages, which are open to whoever may look at them.
        """
        if (why := self.off()) is not None:
            raise Shut(503, why.what, why.why, why.to_do)
        if as_page:
            found: Key | None = scope.get(ADMITTED)
            return found
        try:
            return await asyncio.to_thread(self._admitted, scope, token)
        except NotAdmitted:
            to_do = "quant-pipeline serve token add NAME"
            raise Shut(401, "需要密钥 A key is needed", "见文档“实时行情” See the docs: live quotes.", to_do) from None
        except NotAllowed as error:
            why_not = f"{error.key.scope} < {error.needed.value}"
            raise Shut(403, f"密钥“{error.key.name}”不含所需范围 The key may not do this", why_not) from None
        except TooMany as many:
            wait = f"请等待 {int(many.wait) + 1} 秒。Wait so many seconds."
            raise Shut(429, f"该密钥每分钟最多 {many.per_minute} 次 Too often", wait) from None

    def open(self, wire: Wire, key: Key | None) -> Client:
        """A client that was let in, until `closed`. Shut where there are too many."""
        try:
            client = Client(self.hub, self.codes, wire, key)
        except TooManyReaders:
            why = f"最多 {MOST_READERS} 个。So many at most; try again later."
            raise Shut(503, "行情连接已满 Too many clients of quotes", why) from None
        self._clients.add(client)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch_keys(), name="keys of quotes")
        return client

    def closed(self, client: Client) -> None:
        """Its connection is gone."""
        self._clients.discard(client)
        client.close()

    async def close(self) -> None:
        """Ends everything."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        for client in list(self._clients):
            self.closed(client)
        await self.hub.close()

    def _admitted(self, scope: Request, token: str) -> Key | None:
        headers = Headers(scope=scope)
        if ADMITTED in scope:
            key: Key = scope[ADMITTED]
            self._admission.allow(key, Scope.READ)
            return key
        from_afar = forwarded(headers) or named_from_afar(headers)
        return self._admission.admit(token or key_in(headers), Scope.READ, from_afar=from_afar)

    async def _watch_keys(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self.end_revoked()
            except Exception as error:
                _logger.info("quotes: the keys cannot be read: %s", error)

    async def end_revoked(self) -> None:
        """Closes the connections whose keys hold no more."""
        keyed = [(client, client.key) for client in self._clients if client.key is not None]
        if keyed:
            holding = await asyncio.to_thread(lambda: keys.holding(self._database()))
            for client, key in keyed:
                if key.id not in holding:
                    await client.end(REVOKED)
