"""The adapters that there are: our own, and those of installed packages (entry-point group `quant_pipeline.services`)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from quant_pipeline.language import say
from quant_pipeline.services.adapter import Adapter, ServiceError
from quant_pipeline.services.aliyun_sms import AliyunSms
from quant_pipeline.services.tencent_sms import TencentSms

GROUP = "quant_pipeline.services"
BUILT_IN: tuple[type[Adapter], ...] = (TencentSms, AliyunSms)
Key = tuple[str, str]


@dataclass(frozen=True)
class Registry:
    """`adapters` by (kind, provider); `broken`: entry point -> why its adapter cannot be used."""

    adapters: Mapping[Key, type[Adapter]]
    broken: Mapping[str, str]


@lru_cache(maxsize=1)
def registered() -> Registry:
    """Our own adapters, then the plug-ins. A broken plug-in stops no other: it is named in `broken`."""
    adapters: dict[Key, type[Adapter]] = {(each.kind, each.provider): each for each in BUILT_IN}
    broken: dict[str, str] = {}
    for plug_in in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        try:
            added = _adapter_of(plug_in)
            key = (added.kind, added.provider)
            if adapters.setdefault(key, added) is not added:
                raise ServiceError(
                    say("there is another one of kind {kind} and provider {provider}", kind=key[0], provider=key[1])
                )
        except Exception as error:  # whatever a stranger's module does when it is imported
            broken[plug_in.name] = f"{plug_in.value}: {error}"
    return Registry(adapters, broken)


def _adapter_of(plug_in: EntryPoint) -> type[Adapter]:
    adapter = plug_in.load()
    if not (inspect.isclass(adapter) and issubclass(adapter, Adapter)):
        raise ServiceError(say("it is no subclass of {base}", base="quant_pipeline.services.adapter.Adapter"))
    if missing := [name for name in ("kind", "provider", "address") if not hasattr(adapter, name)]:
        raise ServiceError(say("it lacks {names}", names=", ".join(missing)))
    return adapter
