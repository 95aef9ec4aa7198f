"""qlib's form: what is read back is what is stored, only what changed is written, and nobody ever sees half of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.exports.contract import Export, ExportError, Origin, Progress, Written
from quant_pipeline.exports.qlib import FIELDS, Qlib
from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, INDEX_WEIGHTS
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.exports import qlib_reader
from quant_pipeline_tests.exports.conftest import DAYS, EX_DATE, LATE, SHARES, day, restate
from quant_pipeline_tests.sync.stored import bars, store

Exported = Callable[..., Written]
PRICES = ("open", "high", "low", "close")
PYTHON = os.environ.get("QUANT_QLIB_PYTHON", "")
"""A Python that has pyqlib: it brings a gigabyte, and is no part of the tests' environment."""


def place(origin: Origin) -> Path:
    return origin.settings.home / "exports" / "sandbox" / "qlib"


def files(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def features(written: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in written.items() if name.startswith("features/")}


@pytest.mark.parametrize("code", SHARES)
def test_what_is_read_back_are_our_bars_raw_and_adjusted(exported: Exported, origin: Origin, code: str) -> None:
    exported(Qlib)
    raw = read(origin.database, DAILY_KLINE, codes=[code])
    factors = read(origin.database, ADJ_FACTOR, codes=[code])
    back = qlib_reader.features(place(origin), f"{code[7:]}{code[:6]}", *FIELDS)
    assert back["trade_date"].to_list() == raw["trade_date"].to_list()
    close, factor, volume = pl.col("close"), pl.col("factor"), pl.col("volume")
    hfq = adjust(raw, factors, "hfq").select((pl.col(name) / factors["adj_factor"][0]) for name in PRICES)
    assert_frame_equal(back.select(PRICES), hfq, rel_tol=1e-6)
    assert_frame_equal(back.select(pl.col(name) / factor for name in PRICES), raw.select(PRICES), rel_tol=1e-6)
    traded = raw.select(volume=pl.col("vol") * 100, amount=pl.col("amount") * 1000)
    assert_frame_equal(back.select(volume=volume * factor, amount="amount"), traded, rel_tol=1e-6)
    vwap = raw.select(vwap=pl.col("amount") * 10 / pl.col("vol"))
    assert_frame_equal(back.select(vwap=pl.col("vwap") / factor), vwap, rel_tol=1e-6)
    changes = raw.select(change=pl.col("close") / pl.col("pre_close") - 1)
    assert_frame_equal(back.select("change"), changes, abs_tol=1e-6)
    assert back.select(close.is_finite().all()).item()


def test_instruments_have_their_lives_and_memberships_their_spells(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    assert qlib_reader.calendar(place(origin)) == list(DAYS)
    future = (place(origin) / "calendars/day_future.txt").read_text().splitlines()
    assert future[: len(DAYS)] == [str(each) for each in DAYS]
    assert future[-1] == str(origin.calendar.sessions[-1])
    first, last = str(DAYS[0]), str(DAYS[-1])
    assert qlib_reader.instruments(place(origin), "all") == [
        ("SZ000001", first, last),
        ("SH600000", first, last),
        ("SH688001", str(LATE), last),
        ("BJ920001", first, last),
    ]
    assert [code for code, _, _ in qlib_reader.instruments(place(origin), "index")] == ["SH000001", "SH000300"]
    assert [code for code, _, _ in qlib_reader.instruments(place(origin), "etf")] == ["SH510300"]
    assert qlib_reader.instruments(place(origin), "csi300") == [
        ("SZ000001", str(day(40)), str(day(59))),
        ("SZ000001", str(day(80)), last),
        ("SH600000", str(day(40)), last),
        ("SH688001", str(day(80)), last),
    ]


def test_a_second_run_writes_nothing_and_says_so(exported: Exported, origin: Origin, progress: list[Progress]) -> None:
    first = exported(Qlib)
    lists = {f"instruments/{each}.txt" for each in ("all", "etf", "index", "csi300")}
    lists |= {"calendars/day.txt", "calendars/day_future.txt"}
    assert set(first.parts) == {*SHARES, "510300.SH", "000001.SH", "000300.SH", *lists}
    assert first.rows == 4 * 260 - 4 - 100 + 3 * 260
    assert [each.done for each in progress] == sorted(each.done for each in progress)
    assert progress[-1].done == progress[-1].total == 7
    generation = place(origin).resolve()
    again = exported(Qlib)
    assert (again.changed, again.unchanged, again.parts) == (False, 7, ())
    assert place(origin).resolve() == generation


def test_only_codes_that_changed_are_written(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    before = features(files(place(origin)))
    restate(origin, "UPDATE daily_kline SET close = close + 0.01 WHERE ts_code = '600000.SH' AND trade_date = %s", day(30))
    done = exported(Qlib)
    assert (list(done.parts), done.unchanged, done.removed) == (["600000.SH"], 6, 0)
    after = features(files(place(origin)))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"features/sh600000/close.day.bin", "features/sh600000/change.day.bin"}
    untouched = "features/sz000001/close.day.bin"
    generations = sorted(place(origin).parent.glob(".qlib.*"))
    assert len({(each / untouched).stat().st_ino for each in generations}) == 1, "what did not change is shared"


def test_members_alone_are_a_change_too(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    restate(origin, "DELETE FROM index_weights WHERE con_code = '688001.SH'")
    done = exported(Qlib)
    assert (done.changed, list(done.parts), done.unchanged) == (True, ["instruments/csi300.txt"], 7)
    assert "SH688001" not in {code for code, _, _ in qlib_reader.instruments(place(origin), "csi300")}


def test_a_rewritten_factor_rewrites_the_whole_of_that_stock(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    restate(origin, "UPDATE adj_factor SET adj_factor = 6 WHERE ts_code = '600000.SH' AND trade_date < %s", EX_DATE)
    done = exported(Qlib)
    assert list(done.parts) == ["600000.SH"]
    back = qlib_reader.features(place(origin), "SH600000", "close", "factor")
    raw = read(origin.database, DAILY_KLINE, codes=["600000.SH"])
    assert_frame_equal(back.select(close=pl.col("close") / pl.col("factor")), raw.select("close"), rel_tol=1e-6)
    assert back["factor"].unique().sort().to_list() == [1.0], "both halves are on one scale: 6, then 6"


def test_a_new_day_and_an_older_one_are_taken_in(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    earlier = origin.calendar.shift(DAYS[0], -1)
    store(origin.database, DAILY_KLINE, bars(["600000.SH"], [earlier]))
    store(origin.database, ADJ_FACTOR, bars(["600000.SH"], [earlier]).with_columns(adj_factor=pl.lit(3.0)))
    assert set(exported(Qlib).parts) >= set(SHARES), "every place in the calendar has moved"
    assert qlib_reader.calendar(place(origin)) == [earlier, *DAYS]
    back = qlib_reader.features(place(origin), "SZ000001", "close")
    assert back["trade_date"][0] == DAYS[0]


def test_a_code_without_bars_any_more_is_gone(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    restate(origin, "DELETE FROM daily_kline WHERE ts_code = '688001.SH'")
    done = exported(Qlib)
    assert (done.changed, done.removed) == (True, len(FIELDS))
    assert not (place(origin) / "features/sh688001").exists()
    assert "SH688001" not in {code for code, _, _ in qlib_reader.instruments(place(origin), "all")}


def test_a_code_without_a_factor_is_left_out_and_named(exported: Exported, origin: Origin) -> None:
    restate(origin, "DELETE FROM adj_factor WHERE ts_code = '920001.BJ'")
    done = exported(Qlib)
    assert [note for note in done.notes if "920001.BJ" in note]
    assert not (place(origin) / "features/bj920001").exists(), "a silent factor of 1 would be a lie"
    assert list(exported(Qlib).notes) == list(done.notes), "it is still so when nothing changed"


def test_without_members_there_is_no_pool_and_a_word_about_it(exported: Exported, origin: Origin) -> None:
    restate(origin, f"DELETE FROM {INDEX_WEIGHTS.name}")
    done = exported(Qlib)
    assert not (place(origin) / "instruments/csi300.txt").exists()
    assert any("quant-pipeline sync --datasets index_weights" in note for note in done.notes)


def test_of_nothing_stored_nothing_is_written(exported: Exported, origin: Origin) -> None:
    for table in ("daily_kline", "etf_daily", "index_daily"):
        restate(origin, f"DELETE FROM {table}")
    with pytest.raises(ExportError, match="quant-pipeline run"):
        exported(Qlib)
    assert not place(origin).exists()
    assert list(place(origin).parent.glob("*")) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_stands_in_the_place_and_is_no_export_s_is_left_alone(exported: Exported, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    if kind == "link":
        (tmp_path / "other").mkdir()
        target.symlink_to(tmp_path / "other")
    else:
        file = target / "notes.txt" if kind == "folder" else target
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    before = files(tmp_path)
    with pytest.raises(ExportError, match="name"):
        exported(Qlib, to=str(target))
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_written_to_is_told_in_words(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        exported(Qlib, to=str(tmp_path / "file" / "qlib"))


KILLED = """
import os, signal, sys
from quant_pipeline.exports import folders, qlib
from quant_pipeline.exports.contract import Origin
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import load
from quant_pipeline.warehouse.database import Database

where, at = sys.argv[1], int(sys.argv[2])
written = [0]
put, finish = folders.Generation.put, folders.Generation.finish

def counted(self, name, content):
    written[0] += 1
    if written[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, name, content)

def before_the_swap(self, manifest):
    if at < 0:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        type(self._new).replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    return finish(self, manifest)

folders.Generation.put, folders.Generation.finish = counted, before_the_swap
settings = load()
export = qlib.Qlib(qlib.Qlib.Parameters())
export.run(Origin(settings, Database.from_settings(settings), xshg()))
"""


@pytest.mark.parametrize("at", [2, 40, -1], ids=["at the beginning", "in the middle", "before the swap"])
def test_killed_in_the_midst_nothing_half_is_seen_and_the_next_run_mends_it(
    exported: Exported, origin: Origin, at: int
) -> None:
    exported(Qlib)
    before = files(place(origin))
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01")
    environment = os.environ | {"QUANT_HOME": str(origin.settings.home), "QUANT_DATABASE_URL": origin.database.url}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(origin.settings.home), str(at)], env=environment, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert files(place(origin)) == before
    assert set(exported(Qlib).parts) >= set(SHARES)
    generations = [each.name for each in place(origin).parent.iterdir() if each.name.startswith(".qlib.")]
    assert len(generations) == 2, "what the killed one left is gone, the former one stays for who reads it"


def test_who_opened_the_former_state_reads_on(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    opened = place(origin).resolve()  # as qlib.init does
    before = files(opened)
    restate(origin, "UPDATE daily_kline SET close = close + 0.01")
    assert exported(Qlib).changed
    assert files(opened) == before


def test_every_export_has_what_its_contract_asks_for() -> None:
    from quant_pipeline.exports.registry import BUILT_IN

    for each in BUILT_IN:
        assert issubclass(each, Export)
        assert each.examples
        assert each.kinds
        assert "{place}" in each.reading
        for field in each.Parameters.model_fields.values():
            assert isinstance(field.default, str)
            assert field.description


READ_BY_QLIB = """
import json, sys
import qlib
from qlib.data import D

qlib.init(provider_uri=sys.argv[1], region="cn")
fields = ["$open", "$close", "$factor", "$close/$factor", "$volume*$factor", "Ref($close, 1)", "$vwap", "$change"]
frame = D.features(["SH600000", "SZ000001"], fields, start_time="2020-01-01", end_time="2027-01-01").reset_index()
print(json.dumps({
    "calendar": [str(day.date()) for day in D.calendar()],
    "csi300": {code: [[str(day.date()) for day in spell] for spell in spells]
               for code, spells in D.list_instruments(D.instruments("csi300")).items()},
    "features": frame.assign(datetime=frame["datetime"].astype(str)).to_dict("list"),
}))
"""


@pytest.mark.skipif(not PYTHON, reason="QUANT_QLIB_PYTHON names no Python that has pyqlib")
def test_qlib_itself_reads_our_bars(exported: Exported, origin: Origin) -> None:
    exported(Qlib)
    command = [PYTHON, "-c", READ_BY_QLIB, str(place(origin))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=origin.settings.home)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["calendar"] == [str(each) for each in DAYS]
    assert told["csi300"]["SZ000001"] == [[str(day(40)), str(day(59))], [str(day(80)), str(DAYS[-1])]]
    columns = told["features"]
    back = pl.DataFrame(columns).filter(pl.col("$close").is_not_nan() & pl.col("$close").is_not_null())
    for code in ("600000.SH", "000001.SZ"):
        own = back.filter(pl.col("instrument") == f"{code[7:]}{code[:6]}")
        raw = read(origin.database, DAILY_KLINE, codes=[code])
        assert own["datetime"].str.head(10).to_list() == [str(each) for each in raw["trade_date"]]
        assert_frame_equal(own.select(close="$close/$factor"), raw.select("close"), rel_tol=1e-6)
        assert_frame_equal(own.select(vol=pl.col("$volume*$factor") / 100), raw.select("vol"), rel_tol=1e-6)
        factors = read(origin.database, ADJ_FACTOR, codes=[code])
        hfq = adjust(raw, factors, "hfq").select(pl.col("close") / factors["adj_factor"][0])
        assert_frame_equal(own.select(close="$close"), hfq, rel_tol=1e-6)
