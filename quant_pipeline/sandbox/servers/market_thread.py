"""The one thread in which the market answers, whichever server asks: a market need not be safe for several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from quant_pipeline.sandbox.simulation.interface import Market

Answer = TypeVar("Answer")


class MarketThread:
    """The market of a sandbox, built in its thread while the servers listen already."""

    def __init__(self, market: Callable[[], Market]) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-market")
        self._market = self._executor.submit(market)

    async def ask(self, work: Callable[[Market], Answer]) -> Answer:
        """What `work` makes of the market, in the market's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: work(self._market.result()))

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
