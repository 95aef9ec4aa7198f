"""`python -m quant_pipeline.sandbox`: this home's sandbox in the foreground."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from quant_pipeline.market import clock
from quant_pipeline.sandbox import service
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.sandbox.assembly import CALLS_A_MINUTE
from quant_pipeline.sandbox.simulation.interface import Market
from quant_pipeline.sandbox.starter import SandboxError, token_file

CODES = 5_400
_EXAMPLE = '{"kind": "status", "status": 502, "api": "daily", "times": 2}'


def simulated(home: Path, codes: int) -> Market:
    """The simulated market of a home; its snapshots are kept there. Imported when built: the servers listen before."""
    from quant_pipeline.sandbox.simulation.exchange import Exchange
    from quant_pipeline.sandbox.simulation.sessions import SandboxTimeError
    from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

    exchange = Exchange(codes=codes, cache=home / "sandbox")
    with suppress(SandboxTimeError):  # told to who asks
        exchange.year(clock.today().year)  # a new home's takes three seconds: they pass before anybody asks
    return SimulatedMarket(exchange)


def announce(addresses: Addresses, home: Path) -> None:
    """Prints where the sandbox listens, how it is controlled, and the lines that point a pipeline at it."""
    print("SANDBOX 沙盒: a simulated exchange; every price and message is made up")
    print(f"  inbox    {addresses.inbox_url}")
    print(f"  control  {addresses.control_url}, with the token in {token_file(home)}, for example:")
    control = f"curl -H 'Authorization: Bearer {addresses.control_token}' -H 'Content-Type: application/json'"
    print(f"    {control} {addresses.control_url}/faults -d '{_EXAMPLE}'")
    print(f"    {control} {addresses.control_url}/calls")
    print(*(f"{name}={value}" for name, value in addresses.environment().items()), sep="\n", flush=True)


def announce_as_json(addresses: Addresses) -> None:
    """The same as one JSON object on one line."""
    facts = {
        "inbox": addresses.inbox_url,
        "control": addresses.control_url,
        "control_token": addresses.control_token,
        "environment": addresses.environment(),
    }
    print(json.dumps(facts), flush=True)


def foreground(home: Path, *, port: int, as_json: bool) -> int | None:
    """Serves this home's sandbox until it is interrupted, what `quant-pipeline sandbox` does; the signal that ended it."""
    return service.serve(
        lambda: simulated(home, CODES), home, port=port, announce=announce_as_json if as_json else partial(announce, home=home)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m quant_pipeline.sandbox", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".quant"), help="the home folder (default .quant)")
    parser.add_argument("--codes", type=int, default=CODES, help=f"codes alive at the present (default {CODES})")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    parser.add_argument("--calls-a-minute", type=int, default=CALLS_A_MINUTE, help="quota of each API (0: none)")
    parser.add_argument("--idle", type=float, help="end after so many seconds without a request (default: never)")
    options = parser.parse_args()
    home = options.home.expanduser().resolve()
    try:
        service.serve(
            lambda: simulated(home, options.codes),
            home,
            port=options.port,
            calls_a_minute=options.calls_a_minute,
            idle=options.idle,
            announce=partial(announce, home=home),
        )
    except SandboxError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
