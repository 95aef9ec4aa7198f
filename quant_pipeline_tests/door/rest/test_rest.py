"""The REST paths over a real socket and a synced sandbox: their answers are what the commands and tables say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from quant_pipeline import settings
from quant_pipeline.door import keys
from quant_pipeline.door.keys import Scope
from quant_pipeline.settings import Settings
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.assets.platform import LATEST, Platform, exchange, platform
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
SESSIONS = 30


@dataclass(frozen=True)
class Rest:
    platform: Platform
    url: str

    def ask(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        """The answer's `data`; of an error the whole of it."""
        answer = requests.request(method, self.url + path, timeout=120, **options)
        assert answer.status_code == status, answer.text
        told = answer.json()
        assert set(told) >= {"success", "message", "data"}
        assert told["success"] is (status < 400)
        if status >= 400:
            assert set(told["error"]) == {"why", "to_do", "command"}
            return told
        return told["data"]

    def get(self, path: str, **options: Any) -> Any:
        return self.ask("GET", path, **options)


@pytest.fixture(scope="module")
def rest(platform: Platform) -> Iterator[Rest]:
    assert platform.run(platform.sessions(SESSIONS), "stock_list", "suspensions", "daily_kline", "adj_factor").success
    with served(settings.load(), platform.database) as url:
        yield Rest(platform, url)


# --- sync --------------------------------------------------------------------------------------------------------------


def test_the_status_of_the_latest_sync_is_the_ledger_s(rest: Rest) -> None:
    told = rest.get("/api/sync/status")
    ((planned, inserted),) = rest.platform.rows(
        "SELECT units_planned, rows_inserted FROM sync_runs ORDER BY started_at DESC LIMIT 1"
    )
    assert (told["job"], told["status"]) == ("stock_basics_multi_source", "success")
    assert (told["total"], told["inserted"], told["errors"]) == (planned, inserted, 0)
    assert told["last_trade_date"] == f"{LATEST:%Y%m%d}"
    assert "daily_kline:tushare" in told["data_sources_used"]
    assert told["source_stats"]["tushare"]["inserted"] == inserted
    assert told["finished_at"] is not None


def test_a_sync_is_started_as_the_command_does_and_can_be_followed(rest: Rest) -> None:
    body = {"periods": ["weekly"], "symbols": ["000043"], "preferred_sources": ["tushare"]}
    job = rest.ask("POST", "/api/sync/trigger", json=body)
    assert job["status"] == "running"
    assert job["parameters"]["periods"] == ["weekly"]
    known = {each["id"]: each for each in rest.get("/api/sync/history?per_page=5")["items"]}
    assert known[job["job_id"]]["trigger"] == "quant-pipeline sync"
    followed = rest.platform
    while rest.get("/api/sync/status")["status"] == "running":
        followed.database.connect().close()
    assert rest.get("/api/sync/status")["status"] == "success"
    assert followed.rows("SELECT count(*) > 0 FROM weekly_kline WHERE ts_code = '000043.SZ'") == [(True,)]


def test_while_one_is_running_another_one_is_refused(rest: Rest) -> None:
    with closing(Presence(rest.platform.database.connect())) as presence:
        SyncSlot(rest.platform.database, presence).take(queue=True)  # a command of before may be about to end
        told = rest.ask("POST", "/api/sync/trigger", json={}, status=429)
        assert "Another sync" in told["error"]["why"]
        rest.ask("POST", "/api/multi-period-sync/start-incremental", json={"days_back": 5}, status=429)


@pytest.mark.parametrize(
    "body", [{"periods": ["hourly"]}, {"symbols": ["abc"]}, {"force": "perhaps"}, {"preferred_sources": ["--force"]}, []]
)
def test_bad_parameters_are_400_in_the_one_form(rest: Rest, body: Any) -> None:
    assert "请求写法有误" in rest.ask("POST", "/api/sync/trigger", json=body, status=400)["message"]


def test_what_the_command_refuses_is_told_in_its_words(rest: Rest) -> None:
    told = rest.ask("POST", "/api/sync/trigger", json={"preferred_sources": ["nobody"]}, status=400)
    assert "nobody" in told["error"]["why"]


def test_sources_statistics_and_logs(rest: Rest) -> None:
    sources = rest.get("/api/sync/multi-source/sources/status")
    assert sources[0] | {"description": ""} == {"name": "tushare", "priority": 1, "available": True, "description": ""}
    assert {each["name"] for each in sources if not each["available"]} >= {"baostock", "akshare"}
    counted = rest.get("/api/multi-period-sync/statistics")["period_statistics"]["daily"]["tushare"]
    assert [(counted["count"],)] == rest.platform.rows("SELECT count(*) FROM daily_kline")
    assert counted["latest_date"] == LATEST.isoformat()
    assert isinstance(rest.get("/api/sync/logs?lines=5"), list)


# --- shares ------------------------------------------------------------------------------------------------------------


def test_shares_are_paged_and_found(rest: Rest) -> None:
    first = rest.get("/api/stocks?per_page=20")
    ((total,),) = rest.platform.rows("SELECT count(*) FROM stock_list WHERE list_status = 'L'")
    assert (first["total"], len(first["items"])) == (total, 20)
    second = rest.get("/api/stocks?per_page=20&page=2")["items"]
    codes = [each["ts_code"] for each in (*first["items"], *second)]
    assert codes == sorted(set(codes))
    one = first["items"][3]
    assert rest.get("/api/stocks", params={"keyword": one["name"]})["items"][0] == one
    assert rest.get(f"/api/stocks/{one['symbol']}") == one
    assert (
        rest.get("/api/stocks?status=D&status=P")["total"] + total
        == rest.platform.rows("SELECT count(*) FROM stock_list")[0][0]
    )
    rest.get("/api/stocks/999999", status=404)
    rest.get("/api/stocks?page=0", status=400)


@pytest.mark.parametrize("adjust", ["raw", "qfq", "hfq"])
def test_daily_bars_are_the_view_s(rest: Rest, adjust: str) -> None:
    bars = rest.get(f"/api/stocks/sz000043/daily?adjust={adjust}&start_date=2026-11-02")
    view = "daily_kline" if adjust == "raw" else f"daily_kline_{adjust}"
    rows = rest.platform.rows(
        f"SELECT trade_date, close FROM {view} WHERE ts_code = '000043.SZ' AND trade_date >= '2026-11-02' ORDER BY 1"
    )
    assert [bar["trade_date"] for bar in bars["bars"]] == [str(day) for day, _ in rows]
    assert [bar["close"] for bar in bars["bars"]] == pytest.approx([close for _, close in rows])


def test_what_has_not_changed_is_not_sent_again(rest: Rest) -> None:
    address = f"{rest.url}/api/stocks/000043/daily"
    first = requests.get(address, timeout=60)
    again = requests.get(address, headers={"If-None-Match": first.headers["ETag"]}, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    assert requests.get(f"{address}?adjust=qfq", timeout=60).headers["ETag"] != first.headers["ETag"]


# --- the user's lists, strategies, backtests -----------------------------------------------------------------------------


def test_a_watchlist_is_made_read_and_emptied(rest: Rest) -> None:
    codes = [each["ts_code"] for each in rest.get("/api/stocks?per_page=2")["items"]]
    assert rest.ask("POST", "/api/watchlist", json={"stock_codes": [codes[0][:6], codes[1]]}, status=201)["added"] == codes
    assert [each["ts_code"] for each in rest.get("/api/watchlist")] == codes
    rest.ask("POST", "/api/watchlist", json={"stock_codes": ["999999"]}, status=400)
    assert rest.ask("DELETE", f"/api/watchlist/{codes[0]}")["removed"] == [codes[0]]
    rest.ask("DELETE", f"/api/watchlist/{codes[0]}", status=404)
    rest.ask("DELETE", f"/api/watchlist/{codes[1]}?watchlist=others", status=404)
    assert [each["ts_code"] for each in rest.get("/api/watchlist")] == [codes[1]]


def test_strategies_tell_their_parameters(rest: Rest) -> None:
    told = {each["id"]: each for each in rest.get("/api/strategies")}
    assert told["dual_ma"]["parameters"]["fast"]["type"] == "int"
    assert rest.get("/api/strategies/dual_ma") == told["dual_ma"]
    assert "dual_ma" in rest.get("/api/strategies/nothing", status=404)["error"]["why"]


def test_a_backtest_is_run_stored_and_told(rest: Rest) -> None:
    body = {
        "strategy_id": "dual_ma",
        "stock_codes": ["000043.SZ"],
        "start_date": str(rest.platform.sessions(10)[0]),
        "end_date": str(LATEST),
        "initial_capital": 200_000,
        "parameters": {"fast": 1, "slow": 2, "benchmark": ""},
    }
    done = rest.ask("POST", "/api/backtests", json=body, status=201)
    assert (done["strategy_id"], done["settings"]["capital"]) == ("dual_ma", 200_000)
    assert len(done["equity"]) == 10
    assert rest.get(f"/api/backtests/{done['id']}") == done
    assert rest.get("/api/backtests")["items"][0]["id"] == done["id"]
    assert "fast" in rest.ask("POST", "/api/backtests", json=body | {"parameters": {"fats": 1}}, status=400)["error"]["why"]
    rest.get("/api/backtests/nothing", status=404)


# --- the door itself -----------------------------------------------------------------------------------------------------


def test_health_info_and_status(rest: Rest) -> None:
    assert requests.get(f"{rest.url}/health", timeout=60).json()["status"] == "ok"
    assert rest.get("/api/v1/info")["mode"] == "sandbox"
    now = rest.get("/api/v1/status")
    assert now["latest_session"] == LATEST.isoformat()
    assert {each["dataset"]: each["last"] for each in now["datasets"]}["daily_kline"] == LATEST.isoformat()


def test_the_description_names_every_path_with_its_forms_and_swagger_shows_it(rest: Rest) -> None:
    told = requests.get(f"{rest.url}/api/openapi.json", timeout=60).json()
    assert len(told["paths"]) >= 20
    assert not [path for path in told["paths"] if not path.startswith(("/api/", "/health"))]
    for path, methods in told["paths"].items():
        for method, each in methods.items():
            good = next(form for status, form in each["responses"].items() if status.startswith("2"))
            assert "$ref" in good["content"]["application/json"]["schema"], (path, method)
    page = requests.get(f"{rest.url}/api/doc", timeout=60).text
    for file in ("/api/doc/swagger-ui.css", "/api/doc/swagger-ui-bundle.js"):
        assert file in page
        assert requests.get(rest.url + file, timeout=60).status_code == 200
    assert "<script>" not in page
    rest.get("/api/nothing", status=404)
    rest.ask("DELETE", "/api/stocks", status=405)


def test_a_body_has_a_largest_size_whether_it_tells_it_or_not(rest: Rest) -> None:
    large = b'{"stock_codes": ["' + b"6" * 1_100_000 + b'"]}'
    headers = {"Content-Type": "application/json"}
    for body in (large, iter([large[:600_000], large[600_000:]])):
        told = rest.ask("POST", "/api/watchlist", data=body, headers=headers, status=413)
        assert "1,000,000" in told["error"]["why"]
    rest.ask("POST", "/api/watchlist", data=b"{" + b" " * 900_000, headers=headers, status=400)


@pytest.mark.parametrize("path", ["/api/backtests/%00", "/api/stocks/60%00", "/api/stocks?keyword=%00"])
def test_what_no_text_can_hold_is_the_caller_s_mistake(rest: Rest, path: str) -> None:
    assert "NUL" in rest.get(path, status=400)["message"]
    rest.ask("POST", "/api/watchlist", json={"stock_codes": ["600000"], "watchlist": "a\0b"}, status=400)


def test_a_scope_opens_what_it_includes(warehouse: Database) -> None:
    with served(Settings(), warehouse) as url:
        reader, runner = (keys.add(warehouse, name, Scope(name), None) for name in ("read", "run"))
        for key, reads, lists in (("", 401, 401), (reader, 200, 403), (runner, 200, 400)):
            headers = {"Authorization": f"Bearer {key}"}
            assert requests.get(f"{url}/api/sync/status", headers=headers, timeout=60).status_code == reads
            answer = requests.post(f"{url}/api/watchlist", json={"stock_codes": ["x"]}, headers=headers, timeout=60)
            assert answer.status_code == lists
        assert requests.get(f"{url}/health", timeout=60).status_code == 200
        slow = keys.add(warehouse, "slow", Scope.READ, 1)
    with served(Settings(), warehouse, host="0.0.0.0") as url:
        url, headers = url.replace("0.0.0.0", "127.0.0.1"), {"X-API-Key": slow}
        asked = [requests.get(f"{url}/api/sync/status", headers=headers, timeout=60).status_code for _ in range(2)]
        assert asked == [200, 429], "a call counts once"


def test_a_page_of_another_site_starts_nothing(rest: Rest) -> None:
    before = rest.platform.rows("SELECT count(*) FROM sync_runs")
    for origin in ("http://evil.example", "null"):
        answer = requests.post(f"{rest.url}/api/sync/trigger", json={}, headers={"Origin": origin}, timeout=60)
        assert answer.status_code == 403
    assert rest.platform.rows("SELECT count(*) FROM sync_runs") == before
