"""The lake in an object store, over real sockets: whole objects, a manifest at the end, links, and no secret anywhere."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import requests
from polars.testing import assert_frame_equal

from quant_pipeline.exports.contract import ExportError, Origin, Written
from quant_pipeline.exports.objects import ObjectStore, ObjectStoreSettings, open_store
from quant_pipeline.exports.parquet import Parquet, files_of, forget, store_of
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, STOCK_LIST
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.settings import read as read_settings
from quant_pipeline.warehouse import lake
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.exports.conftest import SECRET, day, restate

Exported = Callable[..., Written]
YEAR = "daily_kline/year=2026/data.parquet"
BARS = {"daily_kline/year=2025/data.parquet", YEAR}
NAMED = "daily_kline,stock_list"


def manifest(store: ObjectStore) -> dict[str, Any]:
    content = store.get("manifest.json")
    assert content is not None
    read_: dict[str, Any] = json.loads(content)
    return read_


def as_the_manifest_says(store: ObjectStore) -> bool:
    """What a reader who goes by the manifest finds: every object whole, and of the state that it names."""
    tags = {each.name: each.etag for each in store.list()}
    for name, each in manifest(store)["files"].items():
        content = store.get(name)
        if content is None or tags[name] != each["etag"] or hashlib.sha256(content).hexdigest() != each["sha256"]:
            return False
    return True


def test_polars_reads_back_what_is_stored(exported: Exported, origin: Origin, bucket: str, s3: str) -> None:
    done = exported(Parquet, datasets=NAMED)
    assert set(done.parts) == BARS | {"stock_list/data.parquet"}
    assert done.place == bucket
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_region": "us-east-1"}
    options = keys | {"aws_endpoint_url": s3, "aws_allow_http": "true"}
    stored = read(origin.database, DAILY_KLINE, columns=[*DAILY_KLINE.column_names, "source"])
    back = pl.scan_parquet(f"{bucket}/daily_kline/*/*.parquet", hive_partitioning=True, storage_options=options).collect()
    assert_frame_equal(back.drop("year").sort(DAILY_KLINE.key), stored)
    assert back["year"].unique().sort().to_list() == [2025, 2026]
    listed = pl.read_parquet(f"{bucket}/stock_list/data.parquet", storage_options=options)
    assert listed.height == read(origin.database, STOCK_LIST).height


def test_the_manifest_tells_of_every_object_and_comes_last(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    assert as_the_manifest_says(store)
    told = manifest(store)
    assert (told["export"], told["mode"]) == ("parquet", "sandbox")
    assert told["files"][YEAR]["rows"] == read(origin.database, DAILY_KLINE, start=dt.date(2026, 1, 1)).height
    assert told["files"][YEAR]["last"] == "2026-11-20"
    last = max(store.list(), key=lambda each: (each.at, each.name == "manifest.json"))
    assert last.name == "manifest.json"


def test_only_what_changed_is_sent_and_a_second_run_sends_nothing(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    before = {each.name: each.at for each in store_of(origin).list()}
    again = exported(Parquet)
    assert (again.changed, again.unchanged) == (False, 3)
    assert {each.name: each.at for each in store_of(origin).list()} == before, "the manifest neither"
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    done = exported(Parquet)
    assert (list(done.parts), done.unchanged) == ([YEAR], 2)
    assert as_the_manifest_says(store_of(origin))


def test_at_first_all_data_sets_are_sent(exported: Exported, bucket: str) -> None:
    del bucket
    done = exported(Parquet)
    assert {each.partition("/")[0] for each in done.parts} >= {name for name, each in DATASETS.items() if not each.dated}
    assert set(done.parts) >= BARS


def test_files_of_the_lake_are_sent_as_they_are(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    folder = lake.folder_of(origin.settings)
    lake.sync(origin.database, folder, datasets=[DAILY_KLINE])
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    assert store.get("daily_kline/year=2025/data.parquet") == (folder / "daily_kline/year=2025/data.parquet").read_bytes()
    assert store.get(YEAR) != (folder / YEAR).read_bytes(), "a file that is behind the table is not sent"
    assert [each.name for each in folder.parent.iterdir()] == ["sandbox"], "nothing is left of the sending"


def test_an_object_that_somebody_spoilt_is_sent_again(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    store.put(YEAR, b"spoilt")
    store.delete(["stock_list/data.parquet"])
    assert set(exported(Parquet).parts) == {YEAR, "stock_list/data.parquet"}
    assert as_the_manifest_says(store)


def test_a_year_without_rows_any_more_is_gone(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    restate(origin, "DELETE FROM daily_kline WHERE trade_date < '2026-01-01'")
    assert exported(Parquet).removed == 1
    assert {each.name for each in store_of(origin).list()} == {YEAR, "stock_list/data.parquet", "manifest.json"}


KILLED = """
import os, signal, sys
from quant_pipeline.exports import objects, parquet
from quant_pipeline.exports.contract import Origin
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import load
from quant_pipeline.warehouse.database import Database

left, put = [int(sys.argv[1])], objects.ObjectStore.put

def counted(self, name, content):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return put(self, name, content)

objects.ObjectStore.put = counted
settings = load()
parquet.Parquet(parquet.Parquet.Parameters(datasets="daily_kline")).run(
    Origin(settings, Database.from_settings(settings), xshg())
)
"""


@pytest.mark.parametrize("after", [0, 1, 2], ids=["before the first", "between two", "before the manifest"])
def test_killed_in_the_midst_the_manifest_names_no_state_that_is_not_whole(
    exported: Exported, origin: Origin, bucket: str, after: int
) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    before = manifest(store)
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01")
    environment = os.environ | {"QUANT_HOME": str(origin.settings.home), "QUANT_DATABASE_URL": origin.database.url}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(after)], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert manifest(store) == before
    for name in BARS:  # each is the old one or the new one
        content = store.get(name)
        assert content is not None
        assert pl.read_parquet(content).height == before["files"][name]["rows"]
    assert as_the_manifest_says(store) is (after == 0), "who goes by the manifest notices"
    assert set(exported(Parquet).parts) >= BARS
    assert as_the_manifest_says(store)
    assert [each.name for each in lake.folder_of(origin.settings).parent.iterdir()] == [], "what it left is cleared away"


def test_a_signed_link_is_read_without_keys_and_not_longer_than_it_may(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    url = store.link(YEAR, dt.timedelta(hours=2))
    assert requests.get(url, timeout=10).content == store.get(YEAR)
    assert "X-Amz-Expires=7200" in url
    assert SECRET not in url
    with pytest.raises(ExportError, match="168 hours"):
        store.link(YEAR, dt.timedelta(days=8))


def test_what_is_deleted_is_what_the_manifest_names(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    exported(Parquet, datasets=NAMED)
    store = store_of(origin)
    store.put("notes.txt", b"somebody else's")
    assert set(forget(store, origin, ["daily_kline"])) == BARS
    assert as_the_manifest_says(store)
    assert set(files_of(store, origin)) == {"stock_list/data.parquet"}
    assert forget(store, origin, []) == ["stock_list/data.parquet"]
    assert [each.name for each in store.list()] == ["notes.txt"]
    assert forget(store, origin, []) == []


def test_sandbox_and_live_have_a_place_each(origin: Origin, bucket: str) -> None:
    live = Origin(Settings(QUANT_HOME=origin.settings.home, QUANT_MODE=Mode.LIVE), origin.database, origin.calendar)
    assert store_of(live).address == bucket.replace("sandbox", "live")


def test_a_manifest_that_is_not_ours_is_left_alone(exported: Exported, origin: Origin, bucket: str) -> None:
    del bucket
    for content in (b"[1]", b'{"export": "other", "mode": "sandbox", "files": {}}'):
        store_of(origin).put("manifest.json", content)
        with pytest.raises(ExportError, match="name another"):
            exported(Parquet)
        assert store_of(origin).get("manifest.json") == content


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"QUANT_EXPORT_URL": "s3://not-there/quant"}, "no such bucket"),
        ({"QUANT_EXPORT_ENDPOINT": "http://127.0.0.1:9"}, "no connection"),
        ({"QUANT_EXPORT_URL": ""}, "QUANT_EXPORT_URL"),
        ({"QUANT_EXPORT_SECRET": ""}, "QUANT_EXPORT_SECRET"),
        ({"QUANT_EXPORT_ENDPOINT": ""}, "QUANT_EXPORT_REGION"),
        ({"QUANT_EXPORT_URL": "ftp://bucket/quant"}, "no address of objects"),
        ({"QUANT_EXPORT_URL": f"s3://AKID:{SECRET}@bucket/quant"}, "no address of objects"),
    ],
    ids=["bucket", "network", "no address", "no secret", "no region", "scheme", "keys in the address"],
)
def test_what_cannot_be_used_is_told_in_words_without_keys(
    exported: Exported, bucket: str, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], words: str
) -> None:
    del bucket
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ExportError, match=words) as refused:
        exported(Parquet)
    assert SECRET not in str(refused.value)
    assert "AKID" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_no_key_is_shown_and_none_of_another_account_is_used(
    origin: Origin, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another-token")
    store, known = store_of(origin), read_settings(ObjectStoreSettings)
    assert SECRET not in repr(known) + repr(vars(store)) + str(store)
    url = store.link("x", dt.timedelta(hours=1))
    assert "AKID-test" in url
    assert "another" not in url


@pytest.mark.parametrize(
    ("address", "region", "host"),
    [
        ("oss://lake/a", "cn-hangzhou", "https://lake.oss-cn-hangzhou.aliyuncs.com/a/x?"),
        ("cos://lake-125/a", "ap-guangzhou", "https://lake-125.cos.ap-guangzhou.myqcloud.com/a/x?"),
        ("s3://lake/a", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/lake/a/x?"),
        ("s3://lake/a", "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn/lake/a/x?"),
    ],
)
def test_each_service_is_asked_at_its_own_host(address: str, region: str, host: str) -> None:
    known = ObjectStoreSettings(QUANT_EXPORT_REGION=region, QUANT_EXPORT_KEY_ID="k", QUANT_EXPORT_SECRET="s")
    url = open_store(address, known).link("x", dt.timedelta(hours=1))
    assert url.startswith(host)
    assert f"%2F{region}%2Fs3%2F" in url
