"""The platform, its services and the flow of data by REST: what the commands and tables say, and what stands in the place of
what there is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from quant_pipeline import settings
from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.resources.daemon_presence import DaemonPresence
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import LATEST, TOKEN, Platform, exchange, platform
from quant_pipeline_tests.door.rest.test_rest import Rest
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
SYSTEM, SERVICES, DATAFLOW = "/api/v1/system", "/api/v1/services", "/api/v1/dataflow"
CHANNELS = """
[services.codes]
kind = "sms"
provider = "aliyun"
key_id = "my-key-id"
key_secret = "s3cret-of-mine"
sign_name = "平台"
retry_times = 1

[services.broken]
kind = "sms"
provider = "nobody"

[channels.desk]
kind = "webhook"
url = "https://127.0.0.1:9/hook-s3cret-of-mine"
"""


@pytest.fixture(scope="module")
def rest(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    platform.fill(platform.sessions(3), "stock_list", "suspensions", "daily_kline", "adj_factor")
    file = tmp_path_factory.mktemp("channels") / "channels.toml"
    file.write_text(CHANNELS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_CHANNELS", str(file))
        with served(settings.load(), platform.database) as url:
            yield Rest(platform, url)


# --- system ------------------------------------------------------------------------------------------------------------


def test_starting_and_stopping_say_what_stands_in_their_place(rest: Rest) -> None:
    started = rest.ask("POST", f"{SYSTEM}/startup", status=409)
    assert started["error"]["command"] == "quant-pipeline ui"
    stopped = rest.ask("POST", f"{SYSTEM}/shutdown", status=501)
    assert "Ctrl-C" in stopped["error"]["to_do"]
    assert rest.get(f"{SYSTEM}/status")["mode"] == "sandbox", "and it still answers"


def test_the_status_tells_the_daemon_and_the_session(rest: Rest) -> None:
    told = rest.get(f"{SYSTEM}/status")
    assert (told["daemon"], told["latest_session"], told["running"]) == (None, str(LATEST), [])
    assert "daily_kline" not in told["stale"]
    assert "weekly_kline" in told["stale"]
    alive = DaemonPresence(rest.platform.database)
    alive.beat()
    try:
        assert str(os.getpid()) in rest.get(f"{SYSTEM}/status")["daemon"]
    finally:
        rest.platform.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        )


def test_the_main_job_is_started_as_the_command_run(rest: Rest) -> None:
    trigger = f"{SYSTEM}/analysis/trigger"
    with closing(Presence(rest.platform.database.connect())) as presence:
        SyncSlot(rest.platform.database, presence).take(queue=False)
        assert "Another sync" in rest.ask("POST", trigger, status=429)["error"]["why"]
    rest.ask("POST", trigger, json={"date": "yesterday"}, status=400)
    # The command itself refuses what the calendar does not hold, in its words.
    told = rest.ask("POST", trigger, json={"date": "2035-01-05"}, status=400)
    assert "2035" in told["error"]["why"]
    assert rest.get(f"{SYSTEM}/analysis/history") == {"items": [], "page": 1, "per_page": 20, "total": 0}
    rest.get(f"{SYSTEM}/analysis/history?page=0", status=400)


def test_resources_are_this_process_s_and_the_database_s(rest: Rest) -> None:
    told = rest.get(f"{SYSTEM}/resources")
    assert told["process"]["pid"] == os.getpid(), "the door is served in the test's own process"
    assert 0 < told["process"]["memory_bytes"] < told["machine"]["memory_bytes"]
    assert told["machine"]["processors"] == os.cpu_count()
    assert 0 < told["disk"]["free_bytes"] < told["disk"]["total_bytes"]
    ((size,),) = rest.platform.rows("SELECT pg_database_size(current_database())")
    assert told["database_bytes"] == pytest.approx(size, rel=0.2)


# --- services ----------------------------------------------------------------------------------------------------------


def test_services_are_the_sources_and_those_of_the_file(rest: Rest) -> None:
    listed = {each["name"]: each for each in rest.get(SERVICES)}
    assert {name: listed[name]["kind"] for name in ("tushare", "codes", "desk")} == {
        "tushare": "source", "codes": "service", "desk": "channel",
    }  # fmt: skip
    assert (listed["tushare"]["priority"], listed["tushare"]["available"]) == (1, True)
    assert (listed["baostock"]["priority"], listed["baostock"]["available"]) == (0, False)
    assert "broken" not in listed
    state = rest.get(f"{SERVICES}/tushare/status")
    daily = {each["api"]: each for each in state["apis"]}["daily"]
    ((calls,),) = rest.platform.rows("SELECT count(*) FROM source_calls WHERE source = 'tushare' AND api = 'daily'")
    assert (daily["circuit"], daily["success_rate"], daily["calls_day"]) == ("closed", 100, calls)
    told = rest.get(f"{SERVICES}/nobody/status", status=404)
    assert "tushare" in told["error"]["why"]


@pytest.mark.parametrize("former", ["macro", "portfolio", "execution", "flowhub"])
def test_former_services_say_what_stands_in_their_place(rest: Rest, former: str) -> None:
    for method, what in (("GET", "status"), ("GET", "config"), ("POST", "health-check"), ("POST", "reconnect")):
        told = rest.ask(method, f"{SERVICES}/{former}/{what}", status=404)
        assert "/api/" in told["error"]["to_do"]


def test_no_secret_is_in_a_configuration(rest: Rest) -> None:
    source = rest.get(f"{SERVICES}/tushare/config")
    assert source["settings"]["TUSHARE_TOKEN"] is True
    assert source["pace"]["*"]["concurrency"] == 1, "as the file of paces has it"
    service = rest.get(f"{SERVICES}/codes/config")
    assert (service["provider"], service["pace"]["*"]["retries"]) == ("aliyun", 1)
    assert service["settings"] | {"key_secret": True, "sign_name": True} == service["settings"]
    channel = rest.get(f"{SERVICES}/desk/config")
    assert channel["provider"] == "webhook"
    for text in (str(source), str(service), str(channel), str(rest.get(SERVICES)), str(rest.get(f"{SERVICES}/desk/status"))):
        assert "s3cret" not in text
        assert "my-key-id" not in text
        assert TOKEN not in text


def test_a_health_check_costs_one_call_and_what_cannot_be_asked_is_not(rest: Rest) -> None:
    before = rest.platform.asked()
    checked = rest.ask("POST", f"{SERVICES}/tushare/health-check")
    assert (checked["healthy"], checked["calls"]) == (True, 1)
    assert rest.platform.asked() == before + 1
    for name in ("codes", "desk", "baostock"):
        assert rest.ask("POST", f"{SERVICES}/{name}/health-check")["healthy"] is None
    api = checked["api"]
    rest.platform.sandbox.order_fault("disconnect", api=api, times=1)
    failed = rest.ask("POST", f"{SERVICES}/tushare/health-check")
    assert failed["healthy"] is False
    assert failed["words"]
    assert TOKEN not in str(failed)


def test_a_reconnect_closes_the_circuit(rest: Rest) -> None:
    rest.platform.execute(
        "UPDATE source_state SET circuit = 'open', failures = 5, retry_at = now() + interval '1 hour', reason = 'it hung up' "
        "WHERE source = 'tushare' AND api = 'daily'"
    )
    assert rest.get(f"{SERVICES}/tushare/status")["available"] is False
    assert any(not each["available"] for each in rest.get(SERVICES) if each["name"] == "tushare")
    done = rest.ask("POST", f"{SERVICES}/tushare/reconnect")
    assert [each.startswith("tushare.daily: ") for each in done["freed"]] == [True]
    assert rest.get(f"{SERVICES}/tushare/status")["available"] is True
    assert rest.ask("POST", f"{SERVICES}/tushare/reconnect")["freed"] == []
    rest.ask("POST", f"{SERVICES}/nobody/reconnect", status=404)


# --- dataflow ----------------------------------------------------------------------------------------------------------


def test_the_flow_is_what_runs_and_what_lacks(rest: Rest) -> None:
    told = rest.get(f"{DATAFLOW}/status")
    assert told["running"] == []
    behind = {each["dataset"] for each in told["behind"]}
    assert "weekly_kline" in behind
    assert "daily_kline" not in behind
    sources = {each["source"]: each for each in rest.get(f"{DATAFLOW}/metrics")}
    ((ok,),) = rest.platform.rows("SELECT count(*) FROM source_calls WHERE source = 'tushare' AND outcome = 'ok'")
    assert sources["tushare"]["outcomes"]["ok"] == ok
    assert sources["baostock"]["outcomes"] == {}


def test_the_lake_stands_in_the_place_of_a_cache(rest: Rest) -> None:
    before = rest.get(f"{DATAFLOW}/cache/stats")
    assert (before["files"], before["current"]) == (0, 0)
    assert before["lacking"] > 0
    written = rest.ask("POST", f"{DATAFLOW}/optimize")
    assert len(written) == before["lacking"]
    after = rest.get(f"{DATAFLOW}/cache/stats")
    assert (after["files"], after["current"], after["lacking"]) == (len(written), len(written), 0)
    bars = next(each for each in after["datasets"] if each["dataset"] == "daily_kline")
    assert [(bars["rows"],)] == rest.platform.rows("SELECT count(*) FROM daily_kline")
    assert Path(after["folder"], "daily_kline", "year=2026", "data.parquet").stat().st_size == bars["bytes"]
    assert rest.ask("POST", f"{DATAFLOW}/optimize") == []
    rest.platform.execute("UPDATE daily_kline SET close = close + 0.01 WHERE trade_date = %s", LATEST)
    stale = rest.get(f"{DATAFLOW}/cache/stats")
    assert (stale["files"] - stale["current"], stale["lacking"]) == (1, 1)
    told = rest.ask("POST", f"{DATAFLOW}/cache/clear", status=501)
    assert "optimize" in told["error"]["to_do"]


def test_a_sync_is_the_sync_s_own_trigger(rest: Rest) -> None:
    rest.ask("POST", f"{DATAFLOW}/sync", json={"periods": ["hourly"]}, status=400)
    with closing(Presence(rest.platform.database.connect())) as presence:
        SyncSlot(rest.platform.database, presence).take(queue=False)
        rest.ask("POST", f"{DATAFLOW}/sync", json={}, status=429)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", f"{SYSTEM}/startup", "admin"),
        ("POST", f"{SYSTEM}/shutdown", "admin"),
        ("POST", f"{SYSTEM}/analysis/trigger", "run"),
        ("POST", f"{SERVICES}/tushare/health-check", "run"),
        ("POST", f"{SERVICES}/tushare/reconnect", "admin"),
        ("POST", f"{DATAFLOW}/optimize", "run"),
        ("POST", f"{DATAFLOW}/cache/clear", "admin"),
        ("POST", f"{DATAFLOW}/sync", "run"),
    ],
)
def test_each_takes_its_scope(rest: Rest, method: str, path: str, scope: str) -> None:
    database, below = rest.platform.database, Scope.READ if scope == "run" else Scope.RUN
    key = keys.add(database, "below", below, None)
    try:
        rest.ask(method, path, status=401)
        told = rest.ask(method, path, headers={"X-API-Key": key}, json={}, status=403)
        assert scope in told["error"]["command"]
        assert rest.get(f"{SYSTEM}/status", headers={"X-API-Key": key})["mode"] == "sandbox"
    finally:
        keys.revoke(database, "below")
