"""The lake in an object store: the files of the lake under the same names, and a manifest, which is written last.

    s3://bucket/prefix/sandbox/daily_kline/year=2026/data.parquet
    s3://bucket/prefix/sandbox/manifest.json     per object: its state, rows, sessions, bytes, sha256, entity tag

Each object is replaced as a whole. Names do not change, so that one address serves for ever; while an export is under way (or
was killed) objects may be of two moments: who must not see that reads those whose entity tag the manifest has.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from quant_pipeline import settings
from quant_pipeline.exports.chosen import Part, chosen, parts_of, rows_of
from quant_pipeline.exports.contract import Export, ExportError, Origin, Parameters, Progress, Told, Written
from quant_pipeline.exports.folders import MANIFEST, refuse_another_s
from quant_pipeline.exports.objects import ObjectStore, ObjectStoreSettings, open_store
from quant_pipeline.language import marked, say
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import OF_THE_LAKE
from quant_pipeline.warehouse.lake import Snapshot, folder_of
from quant_pipeline.warehouse.lake.files import file_of, opened, write

NAME = "parquet"


class ParquetParameters(Parameters):
    """Which, and where to."""

    datasets: str = Field(
        "",
        description=marked("Comma-separated data sets, beside those that were exported before (default: those; at first all)."),
    )
    to: str = Field(
        "", description=marked("Address, s3://bucket/folder, oss:// or cos:// (default: QUANT_EXPORT_URL). Keys: .env.example.")
    )


class Parquet(Export):
    """Tables as Parquet objects."""

    name = NAME
    zh = "Parquet（对象存储）"
    doc = marked(
        "The lake in S3, OSS or COS: Parquet by data set and year, and a manifest that is written last. Only objects that "
        "changed are sent. The commands export list, link and delete look after what is there."
    )
    examples = (
        "quant-pipeline export parquet",
        "quant-pipeline export parquet --to s3://bucket/quant --datasets daily_kline,adj_factor",
        "quant-pipeline export list",
        "quant-pipeline export link daily_kline/year=2026/data.parquet --hours 24",
    )
    reading = "polars.scan_parquet('{place}/daily_kline/*/*.parquet', storage_options=…)"
    kinds = frozenset({"parquet", "s3"})
    Parameters: ClassVar = ParquetParameters

    def place(self, origin: Origin) -> str:
        return store_of(origin, self.asked.to).address

    def write(self, origin: Origin, progress: Told) -> Written:
        store = store_of(origin, self.asked.to)
        known = files_of(store, origin)
        tags = {each.name: each.etag for each in store.list()}
        datasets = chosen(self.asked.datasets, {each["dataset"] for each in known.values()}, tuple(OF_THE_LAKE))
        with _staging(origin, store) as staged:
            with origin.rows() as stored:
                parts = {_name(part): part for part in parts_of(stored, datasets)}
                # The tag tells what the label cannot: an upload that was killed before its manifest, or another's hand.
                current = {
                    name
                    for name, part in parts.items()
                    if name in known and known[name]["label"] == part.label and known[name]["etag"] == tags.get(name)
                }
                new = [(name, part) for name, part in parts.items() if name not in current]
                for number, (name, part) in enumerate(new):
                    progress(Progress(number, 2 * len(new), part.shown))
                    _stage(stored, origin, part, staged / name)
            gone = sorted(known.keys() - parts.keys())
            files = {name: known[name] for name in parts if name in current}
            for number, (name, part) in enumerate(new):
                progress(Progress(len(new) + number, 2 * len(new), name))
                files[name] = _sent(store, name, part, staged / name)
        if new or gone:
            _put_manifest(store, origin, {name: files[name] for name in parts})
            store.delete(gone)
        rows, size = (sum(files[name][figure] for name, _ in new) for figure in ("rows", "bytes"))
        return Written(store.address, [name for name, _ in new], len(current), len(gone), rows, size)


def store_of(origin: Origin, wanted: str = "") -> ObjectStore:
    """The place of the mode: sandbox and live never share one. ExportError where no address or key is set."""
    known = settings.read(ObjectStoreSettings)
    address = wanted or known.url
    if not address:
        raise ExportError(
            say("where to is not known: set QUANT_EXPORT_URL in .env (s3://bucket/folder, oss:// or cos://), or write --to")
        )
    return open_store(f"{address.rstrip('/')}/{origin.settings.mode.value}", known)


def files_of(store: ObjectStore, origin: Origin) -> dict[str, Any]:
    """What the manifest there says: name -> dataset, label, rows, first, last, bytes, sha256, etag. Empty: there is none."""
    content = store.get(MANIFEST)
    if content is None:
        return {}
    try:
        manifest = dict(json.loads(content))
        refuse_another_s(manifest, store.address, NAME, origin)
        files: dict[str, Any] = manifest["files"]
    except (ValueError, KeyError, TypeError):
        words = say("{place} has a manifest.json that is not ours: name another folder of the bucket", place=store.address)
        raise ExportError(words) from None
    return files


def forget(store: ObjectStore, origin: Origin, datasets: Sequence[str]) -> list[str]:
    """Deletes the objects of these data sets (none named: of all); the manifest knows first. Names of what was deleted.

    Objects that the manifest does not name are not touched: they are somebody else's.
    """
    known = files_of(store, origin)
    kept = {name: each for name, each in known.items() if datasets and each["dataset"] not in datasets}
    gone = [name for name in known if name not in kept]
    if gone and kept:
        _put_manifest(store, origin, kept)
    elif gone:
        store.delete([MANIFEST])
    store.delete(gone)
    return gone


def _put_manifest(store: ObjectStore, origin: Origin, files: Mapping[str, Any]) -> None:
    at = clock.now().isoformat(timespec="seconds")
    text = json.dumps({"export": NAME, **origin.of, "written_at": at, "files": dict(files)}, indent=1, ensure_ascii=False)
    store.put(MANIFEST, text.encode())


def _name(part: Part) -> str:
    return file_of(Path(), part.dataset, part.year).as_posix()


@contextmanager
def _staging(origin: Origin, store: ObjectStore) -> Iterator[Path]:
    """An empty folder for what is to be sent there, on the disk of the lake: its files are linked, not copied."""
    lake = folder_of(origin.settings)
    folder = lake.parent / f".sending-{hashlib.sha256(store.address.encode()).hexdigest()[:16]}"
    try:
        shutil.rmtree(folder, ignore_errors=True)  # a killed one's
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise ExportError(
            say(
                "{place} cannot be written ({why}): free what it needs, or name another folder",
                place=lake.parent,
                why=error.strerror or error,
            )
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stage(stored: Snapshot, origin: Origin, part: Part, path: Path) -> None:
    """The part's file: the lake's where that is current, else made of the rows of the same moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    in_lake = file_of(folder_of(origin.settings), part.dataset, part.year)
    _share(in_lake, path)
    found = opened(path)
    if found is not None:
        found[0].close()
        if found[1].label == part.label:
            return
    path.unlink(missing_ok=True)
    write(path, part.dataset, rows_of(stored, part), part.label)


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        return
    except OSError:  # a disk without hard links
        shutil.copy2(source, target)


def _sent(store: ObjectStore, name: str, part: Part, path: Path) -> dict[str, Any]:
    """Uploads the file; what the manifest says of it."""
    found = opened(path)
    assert found is not None
    found[0].close()
    held = found[1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "dataset": part.dataset.name,
        "label": held.label,
        "rows": held.rows,
        "first": held.first,
        "last": held.last,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "etag": store.put(name, path),
    }
