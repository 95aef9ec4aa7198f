"""What a watchman asks, and signals, over a real socket: figures that Prometheus's own parser reads, alerts and rules that
change, decisions that are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from quant_pipeline import settings
from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import RULES
from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.notify.severity import Severity
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import LATEST, Platform, exchange, platform
from quant_pipeline_tests.door.rest.test_rest import Rest
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
Figures = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def rest(platform: Platform) -> Iterator[Rest]:
    names = ("stock_list", "name_history", "suspensions", "daily_kline", "adj_factor", "price_limits", "index_daily")
    platform.fill(platform.sessions(12), *names)
    parameters = {"screen_dual_ma": {"fast": 1, "slow": 2}}
    assert platform.run(platform.sessions(3), "screen_dual_ma", "signals", "signal_statistics", config=parameters).success
    with served(settings.load(), platform.database) as url:
        yield Rest(platform, url)


def figures(url: str, **headers: str) -> Figures:
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    found: Figures = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def value(found: Figures, name: str, **labels: str) -> float:
    (one,) = [number for given, number in found[name] if given | labels == given]
    return one


def test_metrics_are_read_by_prometheus_s_parser_and_say_what_the_tables_hold(rest: Rest) -> None:
    rest.get("/api/stocks/999999", status=404)
    rest.get("/api/stocks/888888", status=404)
    now = figures(rest.url)
    ((rows,),) = rest.platform.rows("SELECT count(*) FROM daily_kline")
    assert value(now, "quant_dataset_rows", dataset="daily_kline") == rows > 0
    assert value(now, "quant_dataset_behind", dataset="daily_kline") == 0
    assert value(now, "quant_dataset_stale", dataset="daily_kline") == 0
    ((calls,),) = rest.platform.rows("SELECT count(*) FROM source_calls WHERE source = 'tushare' AND outcome = 'ok'")
    assert sum(n for by, n in now["quant_source_calls_day"] if by["source"] == "tushare" and by["outcome"] == "ok") == calls
    assert value(now, "quant_source_circuit_open", source="tushare", api="daily") == 0
    assert value(now, "quant_source_success_percent", source="tushare", api="daily") == 100
    assert {"quant_messages", "quant_alerts_open", "quant_syncs_running", "process_cpu_seconds_total"} <= set(now)
    asked = value(now, "quant_door_requests_total", route="/api/stocks/{code}", status="404", method="GET")
    assert asked == 2, "a route is one line, however many paths were asked for"
    assert value(now, "quant_door_seconds_count", route="/api/stocks/{code}") == 2
    told = {each["name"] for each in rest.get("/api/v1/monitoring/metrics")}
    assert {name for name in now if name.startswith("quant_")} <= told


def test_metrics_name_keys_and_never_show_one(warehouse: Database) -> None:
    with served(Settings(), warehouse) as url:
        key = keys.add(warehouse, "grafana", Scope.READ, None)
        refused = requests.get(f"{url}/metrics", timeout=60)
        assert (refused.status_code, refused.json()["success"]) == (401, False)
        figures(url, Authorization=f"Bearer {key}")
        body = {"api_name": "stock_basic", "token": key, "params": {}, "fields": ""}
        assert requests.post(url, json=body, timeout=60).status_code == 200
        text = requests.get(f"{url}/metrics", headers={"X-API-Key": key}, timeout=60).text
        assert text.count('key="grafana"') >= 2
        assert 'method="POST",route="/"' in text
        assert key not in text
        assert key.split("_", 2)[2] not in text


def test_alerts_are_seen_acknowledged_and_their_rules_changed(rest: Rest) -> None:
    rule = RULES["slow"]
    with rest.platform.database.connect() as connection:
        book.kept_rules(connection)
        book.see(connection, rule, Severity.CRITICAL, {"tushare daily": "slow"})
    (alert,) = rest.get("/api/v1/monitoring/alerts")["items"]
    assert (alert["rule"], alert["state"], alert["subject"]) == ("slow", "open", "tushare daily")
    well = rest.get("/api/v1/monitoring/health")
    assert (well["status"], well["alerts_critical"]) == ("degraded", ["slow: tushare daily"])
    ack = "/api/v1/monitoring/alerts/ack"
    refused = rest.ask("POST", ack, json={"ids": [alert["id"], 999_999]}, status=400)
    assert "999999" in refused["error"]["why"]
    assert rest.get("/api/v1/monitoring/alerts")["items"][0]["state"] == "open", "bad input changes nothing"
    assert rest.ask("POST", ack, json={"ids": [alert["id"]], "by": "li"}) == [alert["id"]]
    assert rest.get("/api/v1/monitoring/alerts")["items"][0]["acknowledged_by"] == "li"

    rules = {each["rule"]: each for each in rest.get("/api/v1/monitoring/rules")}
    assert set(rules) == set(RULES)
    changed = rest.ask("POST", "/api/v1/monitoring/rules", json={"rule": "slow", "threshold": 7, "enabled": False})
    assert (changed["threshold"], changed["enabled"], changed["severity"]) == (7, False, rules["slow"]["severity"])
    for body in ({"rule": "nothing"}, {"rule": "slow", "threshold": -1}, {"rule": "run_failed", "threshold": 3}, {}):
        rest.ask("POST", "/api/v1/monitoring/rules", json=body, status=400)
    again = {each["rule"]: each for each in rest.get("/api/v1/monitoring/rules")}
    assert again == rules | {"slow": changed}


def test_performance_is_the_sources_own(rest: Rest) -> None:
    told = {(each["source"], each["api"]): each for each in rest.get("/api/v1/monitoring/performance")}
    assert told["tushare", "daily"]["success_rate"] == 100
    assert told["tushare", "daily"]["circuit"] == "closed"


# --- signals -------------------------------------------------------------------------------------------------------------


def decided(rest: Rest) -> list[Any]:
    return rest.platform.rows(
        "SELECT strategy, ts_code, direction, decision, conflict, reason FROM signal_decisions WHERE decided_on = %s ORDER BY "
        "1, 2, 3",
        LATEST,
    )


def test_a_session_is_decided_upon_anew_and_stays_what_it_was(rest: Rest) -> None:
    before = decided(rest)
    done = rest.ask("POST", "/api/v1/signals/route", json={})
    assert (done["session"], done["signals"]) == (str(LATEST), len(before))
    assert done["accepted"] + done["refused"] == len(before) > 0
    assert decided(rest) == before
    assert rest.ask("POST", "/api/v1/signals/resolve", json={"policy": "veto"})["policy"] == "veto"
    policies = rest.platform.rows("SELECT DISTINCT policy FROM signal_decisions WHERE decided_on = %s", LATEST)
    assert policies == [("veto",)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("route", {"session": "2026-11-21"}, 404),
        ("route", {"session": "2026-10-12"}, 400),
        ("resolve", {"policy": "loudest"}, 400),
        ("resolve", {}, 400),
    ],
)
def test_what_cannot_be_decided_changes_nothing(rest: Rest, path: str, body: dict[str, str], status: int) -> None:
    before = decided(rest)
    rest.ask("POST", f"/api/v1/signals/{path}", json=body, status=status)
    assert decided(rest) == before


def test_history_conflicts_and_figures_are_the_tables_(rest: Rest) -> None:
    ((every, contested),) = rest.platform.rows("SELECT count(*), count(conflict) FROM signal_decisions")
    history = rest.get("/api/v1/signals/history?per_page=3")
    assert (history["total"], len(history["items"])) == (every, 3)
    assert history["items"][0]["decided_on"] == str(LATEST)
    one = history["items"][0]["ts_code"]
    assert {each["ts_code"] for each in rest.get(f"/api/v1/signals/history?ts_code={one}")["items"]} == {one}
    assert rest.get("/api/v1/signals/conflicts")["total"] == contested
    ((figured,),) = rest.platform.rows("SELECT count(*) FROM signal_statistics WHERE trade_date = %s", LATEST)
    assert len(rest.get(f"/api/v1/signals/stats?session={LATEST}")) == figured
    rest.get("/api/v1/signals/history?ts_code=x", status=400)
    assert rest.ask("POST", "/api/v1/signals/cleanup")["forgotten"] == 0
