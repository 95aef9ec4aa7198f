"""Where the upstream servers are: the sandbox's in sandbox mode, else the real ones. A URL set by hand wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from quant_pipeline.language import say
from quant_pipeline.quotes.hosts import Hosts as QuoteHosts
from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.settings import Settings, SettingsError, read
from quant_pipeline.sources import registry
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.context import SourceSettings
from quant_pipeline.sources.tushare import TushareSettings
from quant_pipeline.sources.tushare_client import OFFICIAL
from quant_pipeline.ths.hosts import Hosts

if TYPE_CHECKING:
    from quant_pipeline.sandbox.addresses import Addresses


_QUOTE_SITES = {"tencent": "tencent_quotes", "ranks": "tencent_ranks", "sina": "sina_quotes"}
"""What of `quotes.hosts.Hosts` is which site of the sandbox."""
_SIMULATED_HOSTS = ("upass", "auth", "ugc", "t")


def settings_of(source: type[Source], current: Settings) -> SourceSettings | None:
    """What the source needs of the environment; SettingsError names a variable that cannot be used.

    In sandbox mode a source whose address is not set by hand gets the sandbox's values, and nothing of the user's: a real
    token is never sent to the sandbox. None for a source that the sandbox does not simulate: real data never meet its own.
    """
    if not _simulated(source, current):
        return read(source.settings)
    return _of_sandbox(source, _sandbox(current))


def settings_now(source: type[Source], current: Settings) -> SourceSettings | None:
    """The same of a source in use whose server may have moved: of the sandbox as it runs now (it is not started for that).
    None where it does not run, and for all other servers: these stay where they are."""
    from quant_pipeline.sandbox.starter import running_at

    addresses = running_at(current.home) if _simulated(source, current) else None
    return None if addresses is None else _of_sandbox(source, addresses)


def start_ahead(current: Settings) -> None:
    """Begins to start the sandbox, where it stands in for a source in use, beside what is done before that is asked."""
    from quant_pipeline.sandbox import starter

    ranks = registry.priorities()
    if any(ranks[name] and _simulated(kind, current) for name, kind in registry.registered().sources.items()):
        starter.start_ahead(current.home)


def lacking(current: Settings) -> dict[str, str]:
    """Of each source in use that cannot be asked with the settings as they are: why. In sandbox mode nothing lacks."""
    if current.sandboxed:
        return {}
    ranks = registry.priorities()
    kinds = {name: kind for name, kind in registry.registered().sources.items() if ranks[name]}
    found = {name: kind.lacking(read(kind.settings)) for name, kind in kinds.items()}
    return {name: why for name, why in found.items() if why is not None}


def _simulated(source: type[Source], current: Settings) -> bool:
    """Whether the sandbox stands in for the source's server: in sandbox mode, where its address is not set by hand."""
    kind = source.settings
    if not current.sandboxed or kind.address is None:
        return False
    written = read(kind)
    return written.model_dump(by_alias=True)[kind.address] is None or not written.is_a_server


def _of_sandbox(source: type[Source], addresses: Addresses) -> SourceSettings | None:
    kind, simulated = source.settings, addresses.environment()
    if kind.address not in simulated:
        return None
    defaults = {field.alias: field.get_default() for field in kind.model_fields.values() if field.alias}
    return read(kind, {alias: simulated.get(alias, default) for alias, default in defaults.items()})


@dataclass(frozen=True)
class Upstream:
    """A server's address and the credentials for it; `url` None means the client's own (the real service)."""

    url: str | None
    token: str | None
    secret_key: str | None = None


def pushplus(settings: Settings) -> Upstream:
    """PushPlus's address and token; no token means that messages are only logged.

    Without the secret key they are sent, but PushPlus does not say whether they arrived.
    """
    if settings.sandboxed and settings.pushplus_url is None:
        sandbox = _sandbox(settings)
        return Upstream(sandbox.pushplus_url, sandbox.pushplus_token, sandbox.pushplus_secret)
    return Upstream(settings.pushplus_url, _plain(settings.pushplus_token), _plain(settings.pushplus_secret_key))


def simulated_channels(settings: Settings) -> Callable[[], dict[str, dict[str, Any]]] | None:
    """Gives, by kind of channel, the lines that point it at the sandbox, which is started for that; None in live mode."""
    return (lambda: _sandbox(settings).channels()) if settings.sandboxed else None


def inbox(settings: Settings) -> str | None:
    """Where the sandbox shows the messages that it took; None where they go to another service. It is started if need be."""
    return _sandbox(settings).inbox_url if settings.sandboxed and settings.pushplus_url is None else None


def ths(settings: Settings) -> Hosts:
    """The hosts of the THS account: in sandbox mode the sandbox's, but for those that are set by hand."""
    written = {name: getattr(settings, f"ths_{name}_url") for name in _SIMULATED_HOSTS}
    by_hand = {name: url.rstrip("/") for name, url in written.items() if url is not None}
    if settings.sandboxed and len(by_hand) < len(_SIMULATED_HOSTS):
        sandbox = _sandbox(settings)
        by_hand = {name: getattr(sandbox, f"ths_{name}_url") for name in _SIMULATED_HOSTS} | by_hand
    return Hosts(**by_hand)


def quotes(settings: Settings) -> QuoteHosts:
    """The sites of live quotes: in sandbox mode the sandbox's, but for those that are set by hand. SettingsError for a variable
    that cannot be used."""
    own = read(QuotesSettings)
    written = {"tencent": own.tencent_url, "ranks": own.ranks_url, "sina": own.sina_url}
    found = {name: url for name, url in written.items() if url is not None}
    if settings.sandboxed and len(found) < len(written):
        sandbox = _sandbox(settings)
        simulated = {name: getattr(sandbox, f"{site}_url") for name, site in _QUOTE_SITES.items()}
        found = simulated | found
    if own.by_tushare:
        found |= _rt_k(settings)
    return QuoteHosts(**found)


def _rt_k(settings: Settings) -> dict[str, str]:
    if settings.sandboxed and read(TushareSettings).url is None:
        return {"tushare": _sandbox(settings).tushare_url, "token": _sandbox(settings).token}
    own = read(TushareSettings)
    token = _plain(own.token)
    if token is None:
        raise SettingsError(say("QUANT_QUOTES_TUSHARE=1 needs TUSHARE_TOKEN: set it, or remove QUANT_QUOTES_TUSHARE"))
    return {"tushare": (own.url or OFFICIAL).rstrip("/"), "token": token}


def _sandbox(settings: Settings) -> Addresses:
    from quant_pipeline.sandbox.starter import ensure_running

    return ensure_running(settings.home)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
