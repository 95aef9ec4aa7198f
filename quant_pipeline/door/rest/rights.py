"""What a route demands of who asks: a key of a scope, where keys are demanded at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request

from quant_pipeline.door.access import Access
from quant_pipeline.door.admission import NotAdmitted, NotAllowed, TooMany
from quant_pipeline.door.entry import ADMITTED, key_in
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.traffic import CALLER

_MAKE = "quant-pipeline serve token add NAME --scope"


def needs(scope: Scope) -> Any:
    """A dependency of routes: PageError 401 without a key, 403 with one that may not, 429 with one that asked too often."""
    return Depends(_checked(scope))


def _checked(scope: Scope) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        access: Access = request.app.state.access
        try:
            if ADMITTED in request.scope:
                key = request.scope[ADMITTED]
                access.admission.allow(key, scope)
            else:
                key = access.admission.admit(key_in(request.headers), scope)
            request.scope[CALLER] = key.name if key is not None else ""
        except NotAdmitted:
            raise PageError(
                401,
                "需要密钥 A key is needed",
                why="请求头 Authorization: Bearer KEY 或 X-API-Key: KEY。",
                command=f"{_MAKE} {scope.value}",
            ) from None
        except NotAllowed as error:
            raise PageError(
                403,
                f"密钥“{error.key.name}”的范围不含 {scope.value} The key may not do this",
                why=f"它的范围是 {error.key.scope}。",
                command=f"{_MAKE} {scope.value}",
            ) from None
        except TooMany as many:
            raise PageError(
                429, f"该密钥每分钟最多 {many.per_minute} 次 Too often", why=f"请等待 {int(many.wait) + 1} 秒。"
            ) from None

    return check
