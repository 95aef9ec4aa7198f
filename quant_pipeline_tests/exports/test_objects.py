"""Addresses of an object store that cannot be read: a sentence before the client has them, which would end the process and
show them, keys and all."""

from __future__ import annotations

import pytest

from quant_pipeline.exports.contract import ExportError
from quant_pipeline.exports.objects import ObjectStoreSettings, open_store

SECRET = "SEC0123456789"


@pytest.mark.parametrize(
    ("address", "endpoint", "region", "words"),
    [
        (f"s3://AKID:{SECRET}@[bucket/quant", "", "r", "no address of objects"),
        ("s3://[bucket]/quant", "", "r", "no address of objects"),
        ("s3://b/f", f"AKID:{SECRET}@[bad", "r", "QUANT_EXPORT_ENDPOINT"),
        ("s3://b/f", f"https://AKID:{SECRET}@127.0.0.1", "r", "QUANT_EXPORT_ENDPOINT"),
        ("s3://b/f", f"https://127.0.0.1/?key={SECRET}", "r", "QUANT_EXPORT_ENDPOINT"),
        ("s3://b/f", "http://127.0.0.1:99999", "r", "QUANT_EXPORT_ENDPOINT"),
        ("s3://b/f", "127.0.0.1:9000", "r", "QUANT_EXPORT_ENDPOINT"),
        ("oss://b/f", "", f"[{SECRET}", "QUANT_EXPORT_REGION"),
    ],
)
def test_an_address_that_cannot_be_read_is_a_sentence_without_it(address: str, endpoint: str, region: str, words: str) -> None:
    known = ObjectStoreSettings(
        QUANT_EXPORT_ENDPOINT=endpoint, QUANT_EXPORT_REGION=region, QUANT_EXPORT_KEY_ID="AKID", QUANT_EXPORT_SECRET=SECRET
    )
    with pytest.raises(ExportError, match=words) as refused:
        open_store(address, known)
    assert SECRET not in str(refused.value)
    assert "AKID" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://minio.example/base/", "http://[::1]:9000"])
def test_one_that_can_be_read_is_used_as_it_is(endpoint: str) -> None:
    known = ObjectStoreSettings(QUANT_EXPORT_ENDPOINT=endpoint, QUANT_EXPORT_KEY_ID="k", QUANT_EXPORT_SECRET=SECRET)
    assert open_store("s3://lake/a", known).address == "s3://lake/a"
