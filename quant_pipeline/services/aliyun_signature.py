"""Aliyun's signature ACS3-HMAC-SHA256 of an RPC call (https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature)."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

_ALGORITHM = "ACS3-HMAC-SHA256"


def query_of(parameters: Mapping[str, str]) -> str:
    """The parameters as they stand in the address and under the signature: sorted, percent-encoded once."""
    return "&".join(f"{quote(name, safe='~')}={quote(parameters[name], safe='~')}" for name in sorted(parameters))


def headers(
    *,
    key_id: str,
    key_secret: str,
    host: str,
    action: str,
    version: str,
    parameters: Mapping[str, str],
    nonce: str,
    now: dt.datetime,
) -> dict[str, str]:
    """The headers of a call whose parameters stand in the address; `now` is aware, `nonce` is used once."""
    body = hashlib.sha256(b"").hexdigest()
    signed = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": body,
        "x-acs-date": now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"POST\n/\n{query_of(parameters)}\n{lines}\n{names}\n{body}"
    to_sign = f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return {**signed, "Authorization": f"{_ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"}
