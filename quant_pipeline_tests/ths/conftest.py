"""The sandbox's THS over real sockets, and a session of an account there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import pytest

from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.ths.groups import Groups
from quant_pipeline.ths.hosts import Hosts

TICKET = "sandbox-ticket-7f3a91"
"""Found wherever it leaks to."""
_users = count(100_001)


@dataclass(frozen=True)
class Session:
    """A session as the vault gives one."""

    account: str
    cookies: Mapping[str, str]


@dataclass(frozen=True)
class Phone:
    """An account on the sandbox's THS: what another device sees and does."""

    sandbox: Rehearsal
    user: str

    @property
    def session(self) -> Session:
        return Session("mine", {"userid": self.user, "ticket": TICKET})

    @property
    def hosts(self) -> Hosts:
        return Hosts(ugc=self.sandbox.ths_ugc_url, t=self.sandbox.ths_t_url)

    def groups(self, ticket: str = TICKET) -> Groups:
        return Groups(Session("mine", {"userid": self.user, "ticket": ticket}), self.hosts)

    def arrange(self, default: tuple[tuple[str, str], ...] = (), **groups: list[tuple[str, str]]) -> None:
        """Groups by name, with ids in their order, as of another device; beside them a dynamic one."""
        listed = [{"id": f"0_{at}", "name": name, "content": held} for at, (name, held) in enumerate(groups.items(), start=1)]
        dynamic = {"id": "1_1", "name": "涨停板", "content": [("600519", "17")]}
        self.sandbox.ths_groups(self.user, {"groups": [*listed, dynamic], "default": list(default)})

    def held(self, name: str) -> list[tuple[str, str]] | None:
        """What the group holds, as the server has it; None: there is none."""
        groups = self.sandbox.ths_groups(self.user)["groups"]
        return next(([(code, market) for code, market in each["content"]] for each in groups if each["name"] == name), None)

    def default(self) -> list[tuple[str, str]]:
        return [(code, market) for code, market in self.sandbox.ths_groups(self.user)["default"]]

    def calls(self, api: str) -> int:
        return len(self.sandbox.calls(api, server="ths_groups"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Rehearsal]:
    with running(Exchange(codes=60, first_year=2025)) as rehearsal:
        yield rehearsal


@pytest.fixture
def phone(sandbox: Rehearsal) -> Iterator[Phone]:
    """A new account, whose calls are not interrupted."""
    yield Phone(sandbox, str(next(_users)))
    sandbox.clear_faults()


Order = Callable[..., None]


@pytest.fixture
def order(sandbox: Rehearsal) -> Order:
    """Orders a fault of the THS groups."""
    return lambda kind, **how: sandbox.order_fault(kind, server="ths_groups", **how)
