"""Tencent Cloud's signature TC3-HMAC-SHA256 of a JSON call (https://cloud.tencent.com/document/api/1110/34740)."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

_ALGORITHM = "TC3-HMAC-SHA256"
_SIGNED = "content-type;host;x-tc-action"
CONTENT_TYPE = "application/json; charset=utf-8"


def headers(
    *,
    secret_id: str,
    secret_key: str,
    service: str,
    host: str,
    action: str,
    version: str,
    region: str,
    body: bytes,
    now: dt.datetime,
) -> dict[str, str]:
    """The headers of a call; `now` is aware. The vendor refuses what is more than five minutes off its own clock."""
    moment, day = str(int(now.timestamp())), now.astimezone(dt.UTC).strftime("%Y-%m-%d")
    scope = f"{day}/{service}/tc3_request"
    canonical = "\n".join(
        (
            "POST\n/\n",
            f"content-type:{CONTENT_TYPE}\nhost:{host}\nx-tc-action:{action.lower()}\n",
            _SIGNED,
            hashlib.sha256(body).hexdigest(),
        )
    )
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"TC3{secret_key}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        "Authorization": f"{_ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}",
        "Content-Type": CONTENT_TYPE,
        "Host": host,
        "X-TC-Action": action,
        "X-TC-Timestamp": moment,
        "X-TC-Version": version,
        "X-TC-Region": region,
    }
