"""The object store: S3 and what speaks its protocol (MinIO, R2), OSS, COS. One client, whose keys come from the environment.

OSS and COS want the bucket in the host's name and no checksums behind a body: that is what obstore sends.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr

from quant_pipeline import settings
from quant_pipeline.exports.contract import ExportError
from quant_pipeline.language import marked, say

if TYPE_CHECKING:
    from obstore.store import S3Credential, S3Store

_ENDPOINTS = {
    "s3": "https://s3.{region}.amazonaws.com",
    "oss": "https://{bucket}.oss-{region}.aliyuncs.com",
    "cos": "https://{bucket}.cos.{region}.myqcloud.com",
}
"""By the scheme of the address. Those with the bucket in their name are asked by host, the others by path."""
_CODE, _WORDS = re.compile(r"<Code>([^<]+)</Code>"), re.compile(r"<Message>([^<]+)</Message>")
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?", re.ASCII)
_STATUS = re.compile(r"status code: (\d{3})")
_REASONS = {
    "NoSuchBucket": marked("there is no such bucket: make it, or correct QUANT_EXPORT_URL"),
    "InvalidAccessKeyId": marked("the key is not known there: correct QUANT_EXPORT_KEY_ID"),
    "SignatureDoesNotMatch": marked("the signature is refused: correct QUANT_EXPORT_SECRET, or QUANT_EXPORT_REGION"),
    "AccessDenied": marked("the key may not do that: give it the rights to list, read, write and delete below the prefix"),
    "RequestTimeTooSkewed": marked("this machine's clock is wrong: set it"),
}
_LONGEST_LINK = dt.timedelta(days=7)
"""What signatures allow."""
_ATTEMPTS, _PATIENCE = 3, dt.timedelta(seconds=60)


class ObjectStoreSettings(settings.Variables):
    """Where the objects go, and with which keys. `.env.example` explains each."""

    url: str | None = Field(None, alias="QUANT_EXPORT_URL")
    region: str = Field("", alias="QUANT_EXPORT_REGION")
    endpoint: str = Field("", alias="QUANT_EXPORT_ENDPOINT")
    key_id: SecretStr | None = Field(None, alias="QUANT_EXPORT_KEY_ID")
    secret: SecretStr | None = Field(None, alias="QUANT_EXPORT_SECRET")
    token: SecretStr | None = Field(None, alias="QUANT_EXPORT_TOKEN")


@dataclass(frozen=True)
class Object:
    """An object: its name below the place, its size in bytes, its entity tag (which changes with its content), its age."""

    name: str
    bytes: int
    etag: str
    at: dt.datetime


class ObjectStore:
    """A prefix of a bucket. What fails says so in words, without keys."""

    def __init__(self, address: str, store: S3Store) -> None:
        self.address = address
        """s3://bucket/prefix."""
        self._store = store

    def put(self, name: str, content: bytes | Path) -> str:
        """Writes the object, whole or not at all; its entity tag."""
        with self._in_words():
            return self._store.put(name, content)["e_tag"] or ""

    def get(self, name: str) -> bytes | None:
        """The object's content; None where there is none."""
        with self._in_words():
            try:
                return bytes(self._store.get(name).bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def list(self) -> Iterator[Object]:
        """Every object below the prefix."""
        with self._in_words():
            for batch in self._store.list():
                for each in batch:
                    yield Object(each["path"], each["size"], each["e_tag"] or "", each["last_modified"])

    def delete(self, names: Sequence[str]) -> None:
        """What is not there any more is no error."""
        with self._in_words():
            for name in names:  # one by one: OSS and COS want a checksum of a list that S3 does not
                self._store.delete(name)

    def link(self, name: str, lasting: dt.timedelta) -> str:
        """An address from which anybody may read the object while it lasts; it holds the key's id, and no secret."""
        import obstore

        if not dt.timedelta() < lasting <= _LONGEST_LINK:
            raise ExportError(say("a link lasts up to 168 hours: write fewer"))
        with self._in_words():
            return obstore.sign(self._store, "GET", name, lasting)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise ExportError(
                say("{place} cannot be used: {why}", place=self.address, why=_why(str(error), self.address))
            ) from None


def open_store(address: str, known: ObjectStoreSettings) -> ObjectStore:
    """The store of an address: s3://bucket/prefix, oss://bucket/prefix, cos://bucket-appid/prefix. Nothing is asked yet.

    ExportError where the address cannot be read or a setting lacks; the text names it.
    """
    parts = _parts(address)
    if parts is None or parts.scheme not in _ENDPOINTS:
        raise ExportError(
            say("{address} is no address of objects: write s3://bucket/folder, oss:// or cos://", address=_shown(address))
        )
    needed = {"QUANT_EXPORT_KEY_ID": known.key_id, "QUANT_EXPORT_SECRET": known.secret}
    if not (parts.scheme == "s3" and known.endpoint):
        needed["QUANT_EXPORT_REGION"] = SecretStr(known.region) if known.region else None
    if lacking := [name for name, value in needed.items() if value is None]:
        words = say("the object store needs {names}: put them into .env (see .env.example)", names=", ".join(lacking))
        raise ExportError(words)
    from obstore.store import S3Store

    bucket, template = parts.netloc, _ENDPOINTS[parts.scheme]
    endpoint = known.endpoint.rstrip("/") or template.format(bucket=bucket, region=known.region)
    if parts.scheme == "s3" and not known.endpoint and known.region.startswith("cn-"):
        endpoint += ".cn"
    if _parts(endpoint) is None or not endpoint.startswith(("http://", "https://")):
        raise ExportError(  # the client would end this process, with the address in its last words
            say(
                "the address of the object store cannot be read: write QUANT_EXPORT_ENDPOINT as https://host or "
                "https://host:9000, without a key in it, and QUANT_EXPORT_REGION as cn-hangzhou"
            )
        )
    store = S3Store(
        bucket,
        prefix=parts.path.strip("/") or None,
        endpoint=endpoint,
        region=known.region or "us-east-1",
        virtual_hosted_style_request="{bucket}" in template,
        # Given by hand: keys of another account that stand in the environment (AWS_…) are not mixed with these.
        credential_provider=lambda: _credential(known),
        client_options={"allow_http": endpoint.startswith("http://"), "connect_timeout": "10s", "timeout": "300s"},
        retry_config={"max_retries": _ATTEMPTS, "retry_timeout": _PATIENCE},
    )
    return ObjectStore(f"{parts.scheme}://{bucket}/{parts.path.strip('/')}".rstrip("/"), store)


def _parts(address: str) -> SplitResult | None:
    """The parts of an address that has a host, no user in front of it and nothing behind it; None of any other."""
    try:
        parts = urlsplit(address)
        readable = _HOST.fullmatch(parts.netloc) is not None and parts.port != 0
    except ValueError:  # brackets, a port that is none
        return None
    return parts if readable and not parts.query else None


def _credential(known: ObjectStoreSettings) -> S3Credential:
    return {
        "access_key_id": _plain(known.key_id),
        "secret_access_key": _plain(known.secret),
        "token": _plain(known.token) or None,
        "expires_at": None,
    }


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


def _shown(address: str) -> str:
    """The address without what somebody may have written before an @, or behind a ?."""
    return re.sub(r"//[^/@]*@", "//***@", address.partition("?")[0])


def _why(text: str, address: str) -> str:
    """The reason in a client's error: the service's code and message, never the request, which names keys."""
    code, words, status = _CODE.search(text), _WORDS.search(text), _STATUS.search(text)
    if code is not None and code[1] in _REASONS:
        return say(_REASONS[code[1]])
    if code is not None:
        return f"{code[1]}: {words[1]}" if words is not None else code[1]
    if status is not None:
        return say("it answered HTTP {status}", status=status[1])
    if "HTTP error" in text or "Connect" in text:
        host = urlsplit(address).netloc
        return say("no connection: look at the network, QUANT_EXPORT_ENDPOINT and QUANT_EXPORT_REGION ({host})", host=host)
    return say("the file or the answer cannot be read")
