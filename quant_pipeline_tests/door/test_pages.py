"""The pages of a synced sandbox over a real socket: what they say, what they do not know, whom they answer."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from quant_pipeline import settings
from quant_pipeline.cli import main
from quant_pipeline.door.plotly import PATH as PLOTLY
from quant_pipeline.language import chinese
from quant_pipeline.market.datasets import DATASETS, MARKET_OVERVIEW, SOURCED
from quant_pipeline.market.xshg import xshg
from quant_pipeline.overview.day import NotStored, day_of
from quant_pipeline.overview.parts import Boards, Day, ExDates, Halts, Hot, Indexes, Lacking, Listings, ScreenHits, Turnover
from quant_pipeline.overview.report import path_of
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.insight.status import status_of
from quant_pipeline.sync.ledger import item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import LATEST, NOW, Platform
from quant_pipeline_tests.door.served import served

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SESSIONS = 23
SCREENED = 2
BARS = ("stock_list", "name_history", "suspensions", "daily_kline", "adj_factor", "price_limits")
LATEST_ALONE = ("index_list", "index_daily", "ths_concepts", "ths_industries", "ths_members", "ths_hot", "trade_calendar")
QUICK_CROSS = {"screen_dual_ma": {"fast": 1, "slow": 2}}
# Written without the room that is looked at: the plain questions, in SQL.
BREADTH = """
SELECT count(*), count(*) FILTER (WHERE close > pre_close), count(*) FILTER (WHERE close < pre_close),
       count(*) FILTER (WHERE close = pre_close)
FROM daily_kline WHERE trade_date = %s
"""
LIMITS = """
SELECT count(*) FILTER (WHERE round(close::numeric, 3) = round(up_limit::numeric, 3)),
       count(*) FILTER (WHERE round(close::numeric, 3) = round(down_limit::numeric, 3)),
       count(*) FILTER (WHERE round(high::numeric, 3) = round(up_limit::numeric, 3) AND close < up_limit)
FROM daily_kline JOIN price_limits USING (ts_code, trade_date) WHERE trade_date = %s AND up_limit < 10000
"""
LADDER = """
SELECT ts_code, count(*) FROM (
    SELECT ts_code, sum(CASE WHEN at_limit THEN 0 ELSE 1 END) OVER (PARTITION BY ts_code ORDER BY trade_date DESC) AS breaks
    FROM (
        SELECT bar.ts_code, bar.trade_date, coalesce(abs(bar.close - up_limit) < 0.0005, false) AS at_limit
        FROM daily_kline AS bar LEFT JOIN price_limits USING (ts_code, trade_date) WHERE bar.trade_date <= %s
    ) AS marked
) AS counted WHERE breaks = 0 GROUP BY ts_code
"""
BOARDS = """
SELECT member.ts_code, avg(pct_chg), count(*) FROM ths_members AS member JOIN daily_kline ON daily_kline.ts_code = con_code
JOIN (SELECT ts_code, type FROM ths_concepts UNION SELECT ts_code, type FROM ths_industries) AS board
  ON board.ts_code = member.ts_code
WHERE trade_date = %s AND type IN ('N', 'I') GROUP BY 1 HAVING count(*) >= 3 ORDER BY 2 DESC, 1
"""
EX_DATES = """
SELECT ts_code FROM (
    SELECT ts_code, trade_date, adj_factor / lag(adj_factor) OVER (PARTITION BY ts_code ORDER BY trade_date) AS step
    FROM adj_factor
) AS steps WHERE trade_date = %s AND abs(step - 1) > 1e-4
"""


@dataclass(frozen=True)
class Site:
    """The synced platform, and the address of its pages."""

    platform: Platform
    url: str
    settings: Settings

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=60, allow_redirects=False, **options)  # type: ignore[arg-type]

    def day(self, session: dt.date = LATEST) -> Day:
        return day_of(self.platform.database, self.platform.calendar, session)


@pytest.fixture(scope="module")
def site(platform: Platform) -> Iterator[Site]:
    """Bars of twenty-three sessions; of the latest one everything, of it and the one before the screen too."""
    platform.fill(platform.sessions(SESSIONS), *BARS)
    assert platform.run([LATEST], *LATEST_ALONE).success
    assert platform.run(platform.sessions(SCREENED), "screen_dual_ma", config=QUICK_CROSS).success
    assert platform.run([LATEST], "market_overview").success
    current = settings.load()
    with served(current, platform.database) as url:
        yield Site(platform, url, current)


class Links(HTMLParser):
    """What a page loads by itself, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.led: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        told = dict(attrs)
        if tag == "a" and told.get("href"):
            self.led.append(str(told["href"]))
        elif tag in ("link", "script", "img", "iframe", "source"):
            self.loaded += [str(told[name]) for name in ("href", "src") if told.get(name)]


# --- the day -------------------------------------------------------------------------------------------------------


def test_a_day_s_figures_are_those_that_plain_sql_finds(site: Site) -> None:
    ladders = 0
    for session in site.platform.sessions(SESSIONS):
        day = site.day(session)
        breadth = day.breadth
        assert [(breadth.codes, breadth.up, breadth.down, breadth.flat)] == site.platform.rows(BREADTH, session)
        assert [(day.limits.up, day.limits.down, day.limits.broken)] == site.platform.rows(LIMITS, session)
        heights = {quote.ts_code: rung.height for rung in day.limits.ladder for quote in rung.quotes}
        assert heights == dict(site.platform.rows(LADDER, session))
        ladders += len(heights)
        assert isinstance(day.ex_dates, ExDates)
        if session != site.platform.sessions(SESSIONS)[0]:
            stepped = {each.quote.ts_code for each in day.ex_dates.dates}
            assert stepped == {code for (code,) in site.platform.rows(EX_DATES, session)}
    assert ladders, "a month without one limit-up tests nothing"


def test_new_listings_are_those_that_the_list_dates_on_the_day(site: Site) -> None:
    session, other = site.platform.sessions(2)
    ((code, former),) = site.platform.rows("SELECT ts_code, list_date FROM stock_list ORDER BY 1 LIMIT 1")
    dated = "UPDATE stock_list SET list_date = %s WHERE ts_code = %s"
    site.platform.execute(dated, session, code)
    try:
        for day in (session, other):
            listed = site.platform.rows("SELECT ts_code FROM stock_list WHERE list_date = %s ORDER BY 1", day)
            shown = site.day(day).listings
            assert isinstance(shown, Listings)
            assert [(quote.ts_code,) for quote in shown.quotes] == listed
            card = site.get(f"/day/{day}").text.partition('id="listings"')[2].partition("</section>")[0]
            assert (f'href="/k/{code}"' in card) is (day == session)
    finally:
        site.platform.execute(dated, former, code)


def test_the_day_says_who_filled_it_and_what_is_late_or_failed(site: Site) -> None:
    own = "UPDATE daily_kline SET source = %s WHERE trade_date = %s AND ts_code > '5'"
    site.platform.execute(own, "baostock", LATEST)
    site.platform.execute(
        "INSERT INTO sync_items (sync_run, dataset, unit, trade_date, status, error)"
        " SELECT min(id), 'adj_factor', '2026-05-20', '2026-05-20', 'failed', 'HTTP 502' FROM sync_runs"
    )
    try:
        health = site.day().health
        card = site.get("/").text.partition('id="health"')[2].partition("</section>")[0]
        stored = "SELECT source, count(*) FROM daily_kline WHERE trade_date = %s GROUP BY 1"
        (bars,) = (each for each in health.filled if each.dataset == "daily_kline")
        assert dict(bars.sources) == dict(site.platform.rows(stored, LATEST))
        assert {source for source, _ in bars.sources} == {"tushare", "baostock"}
        for source, rows in bars.sources:
            assert f'{source} <small class="pale">{rows:,}</small>' in card
        assert [(each.dataset, each.failed) for each in health.failed] == [("adj_factor", 1)]
        assert "失败 failed" in card
        assert "quant-pipeline sync --retry-failed" in card
        late = {each.dataset for each in health.late}
        assert "auction" in late
        assert "daily_kline" not in late
        assert '<span class="code">auction</span>' in card.partition("滞后 late")[2].partition("</table>")[0]
    finally:
        site.platform.execute(own, "tushare", LATEST)
        site.platform.execute("DELETE FROM sync_items WHERE unit = '2026-05-20'")


def test_the_latest_day_has_its_turnover_indexes_boards_and_lists(site: Site) -> None:
    day = site.day()
    assert isinstance(day.turnover, Turnover)
    sums = dict(site.platform.rows("SELECT trade_date, sum(amount) FROM daily_kline GROUP BY 1"))
    before = site.platform.sessions(21)[:-1]
    assert day.turnover.amount == pytest.approx(sums[LATEST])
    assert day.turnover.compared == 20
    assert day.turnover.mean == pytest.approx(sum(sums[session] for session in before) / 20)
    assert isinstance(day.indexes, Indexes)
    stored = dict(site.platform.rows("SELECT ts_code, close FROM index_daily WHERE trade_date = %s", LATEST))
    assert {index.ts_code: index.close for index in day.indexes.quotes} == stored
    assert (day.indexes.quotes[0].ts_code, day.indexes.quotes[0].name) == ("000001.SH", "上证指数")
    assert isinstance(day.boards, Boards)
    judged = site.platform.rows(BOARDS, LATEST)
    assert day.boards.count == len(judged)
    assert [(each.ts_code, each.members) for each in day.boards.strongest] == [
        (code, count) for code, _, count in judged[: len(day.boards.strongest)]
    ]
    assert day.boards.weakest[0].pct_chg == pytest.approx(judged[-1][1])
    assert isinstance(day.hot, Hot)
    assert (day.hot.kind, day.hot.quotes[0].rank) == ("热股", 1)
    assert "[" not in day.hot.quotes[0].concept
    halted = "SELECT ts_code FROM suspensions WHERE trade_date = %s AND suspend_type = 'S' AND suspend_timing IS NULL"
    assert isinstance(day.halts, Halts)
    assert {quote.ts_code for quote in day.halts.whole} == {code for (code,) in site.platform.rows(halted, LATEST)}
    assert isinstance(day.listings, Listings)
    assert (day.missing, day.due, day.whole, day.after) == ([], day.codes, True, None)
    assert day.before == site.platform.sessions(2)[0]


def test_hits_are_compared_with_the_session_before_and_a_session_that_was_not_screened_has_no_hits_to_show(site: Site) -> None:
    former, latest = site.platform.sessions(2)
    hits = {
        session: {code for (code,) in site.platform.rows("SELECT ts_code FROM screen_results WHERE trade_date = %s", session)}
        for session in (former, latest)
    }
    (screen,) = site.day(latest).screens
    assert isinstance(screen, ScreenHits)
    assert {hit.quote.ts_code for hit in screen.hits} == hits[latest]
    assert {hit.quote.ts_code for hit in screen.hits if hit.new} == hits[latest] - hits[former]
    assert {quote.ts_code for quote in screen.gone} == hits[former] - hits[latest]
    (first,) = site.day(former).screens
    assert isinstance(first, ScreenHits)
    assert (first.before, {hit.new for hit in first.hits}) == (None, {None}), "the one before it was not screened"
    (never,) = site.day(site.platform.sessions(3)[0]).screens
    assert isinstance(never, Lacking)
    assert never.command == f"quant-pipeline run --date {site.platform.sessions(3)[0]}"


def test_a_screen_without_hits_ran_all_the_same(site: Site) -> None:
    session = site.platform.sessions(4)[0]
    never = {"screen_dual_ma": {"fast": 21, "slow": 22}}  # of bars too few for it
    assert site.platform.run([session], "screen_dual_ma", config=never).success
    (screen,) = site.day(session).screens
    assert isinstance(screen, ScreenHits)
    assert screen.hits == []
    assert "当日无命中" in site.get(f"/day/{session}").text


def test_limits_by_the_rules_are_those_that_the_exchange_says(site: Site) -> None:
    session = site.platform.sessions(SESSIONS)[-10]
    own = site.day(session).limits
    taken = "WITH gone AS (DELETE FROM price_limits WHERE trade_date = %s RETURNING *) SELECT count(*) FROM gone"
    site.platform.execute("CREATE TABLE kept_limits AS TABLE price_limits")
    site.platform.rows(taken, session)
    ruled = site.day(session).limits
    site.platform.execute("INSERT INTO price_limits SELECT * FROM kept_limits WHERE trade_date = %s", session)
    site.platform.execute("DROP TABLE kept_limits")
    assert own.ruled == 0
    assert ruled.ruled + ruled.unknown == site.day(session).codes
    assert (ruled.up, ruled.down, ruled.broken) == (own.up, own.down, own.broken)


def test_what_is_not_stored_is_said_with_the_command_that_brings_it(site: Site) -> None:
    session = site.platform.sessions(2)[0]
    text = site.get(f"/day/{session}").text
    for dataset in ("index_daily", "ths_hot"):
        assert f"quant-pipeline sync --datasets {dataset} --start {session} --end {session}" in text
    day = site.day(session)
    assert isinstance(day.indexes, Lacking)
    assert isinstance(day.hot, Lacking)
    off = day_of(site.platform.database, site.platform.calendar, session, off={"ths_hot"})
    assert isinstance(off.hot, Lacking)
    assert (off.hot.command, "QUANT_WITHOUT" in off.hot.what) == ("", True)


def test_a_day_of_which_bars_are_missing_says_so_before_its_figures(site: Site) -> None:
    (lost,) = site.platform.rows("SELECT ts_code FROM daily_kline WHERE trade_date = %s ORDER BY 1 LIMIT 1", LATEST)[0]
    site.platform.execute("CREATE TABLE kept_bars AS SELECT * FROM daily_kline WHERE trade_date = %s", LATEST)
    site.platform.execute("DELETE FROM daily_kline WHERE trade_date = %s AND ts_code < '5'", LATEST)
    try:
        day = site.day()
        assert lost in day.missing
        assert not day.whole
        assert "行情不全" in site.get("/").text
    finally:
        site.platform.execute("DELETE FROM daily_kline WHERE trade_date = %s", LATEST)
        site.platform.execute("INSERT INTO daily_kline SELECT * FROM kept_bars")
        site.platform.execute("DROP TABLE kept_bars")
    assert "行情不全" not in site.get("/").text


def test_the_first_page_is_the_latest_stored_day_with_its_neighbours(site: Site) -> None:
    first, named = site.get("/"), site.get(f"/day/{LATEST}")
    assert (first.status_code, named.status_code) == (200, 200)
    assert f"{LATEST} 周五" in first.text
    assert "SANDBOX" in first.text
    before = site.platform.sessions(2)[0]
    links = Links(first.text)
    assert f"/day/{before}" in links.led
    assert any(link.startswith(f"{site.settings.ui_url}/assets/market_overview") for link in links.led)
    assert f"/day/{LATEST}" in Links(site.get(f"/day/{before}").text).led
    assert site.get(f"/day?date={before}").headers["location"] == f"/day/{before}"


# --- the row and the saved copy ------------------------------------------------------------------------------------


def test_the_row_of_the_day_says_what_the_page_says(site: Site) -> None:
    names = ", ".join(MARKET_OVERVIEW.column_names)
    (row,) = site.platform.rows(f"SELECT {names} FROM market_overview WHERE trade_date = %s", LATEST)
    told, day = dict(zip(MARKET_OVERVIEW.column_names, row, strict=True)), site.day()
    assert (told["codes"], told["up"], told["down"], told["flat"]) == (
        *(day.codes, day.breadth.up, day.breadth.down, day.breadth.flat),
    )
    assert (told["limit_up"], told["longest_limit_up_run"]) == (day.limits.up, day.limits.highest)
    assert isinstance(day.turnover, Turnover)
    assert (told["amount"], told["amount_mean"]) == (pytest.approx(day.turnover.amount), pytest.approx(day.turnover.mean))
    assert None not in told.values()
    assert site.platform.materialized("market_overview") == [f"{LATEST}"]


def test_the_saved_copy_stands_alone_and_is_small(site: Site) -> None:
    copy = path_of(site.settings, LATEST)
    text = copy.read_text(encoding="utf-8")
    page = Links(text)
    assert [each for each in page.loaded if not each.startswith("data:")] == []
    assert "script" not in page.tags
    assert not re.search(r"@import|url\((?!data:)", text)
    assert len(text.encode()) < 100_000
    assert f"{LATEST}" in text
    assert "SANDBOX" in text
    assert page.led
    assert all(link.startswith((site.settings.pages_url, site.settings.ui_url)) for link in page.led)


def test_a_session_without_bars_has_no_overview_and_leaves_the_others_theirs(site: Site) -> None:
    older = site.platform.calendar.window(LATEST, SESSIONS + 1)[0]
    following = site.platform.calendar.shift(older, 1)
    with pytest.raises(NotStored, match=f"run --date {older}"):
        site.day(older)
    result = site.platform.run([older, following], "market_overview")
    assert not result.success
    assert site.platform.rows("SELECT trade_date FROM market_overview WHERE trade_date < %s", LATEST) == [(following,)]
    told = site.platform.materialized("market_overview")
    assert f"{following}" in told
    assert f"{older}" not in told
    assert told[-1] == f"{LATEST}", "the newest session is shown again after older ones were filled in"


def test_a_home_that_cannot_be_written_to_costs_the_copy_not_the_row(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "home"
    blocked.mkdir()
    (blocked / "reports").write_text("a file where the folder should be")
    monkeypatch.setenv("QUANT_HOME", str(blocked))
    session = site.platform.sessions(5)[0]
    assert site.platform.run([session], "market_overview").success
    assert site.platform.rows("SELECT count(*) FROM market_overview WHERE trade_date = %s", session) == [(1,)]


# --- sync and data -------------------------------------------------------------------------------------------------


def test_sync_tells_status_sources_and_history(site: Site) -> None:
    text = site.get("/sync").text
    for words in ("daily_kline", "日线行情", "tushare", "stk_limit", "daily_sync"):
        assert words in text
    runs = [run for (run,) in site.platform.rows("SELECT id FROM sync_runs ORDER BY started_at DESC")]
    links = Links(text).led
    assert all(f"/sync/{run}" in links and f"{site.settings.ui_url}/runs/{run}" in links for run in runs)
    site.platform.execute("UPDATE sync_runs SET command_id = 'c0ffee00-one-call'")
    try:
        together = site.get("/sync").text
        assert f"{len(runs)} 部分" in together, "the runs of one call of a command are one row"
        both = Links(site.get("/sync/c0ffee00").text).led
        assert all(f"{site.settings.ui_url}/runs/{run}" in both for run in runs)
        assert f"{site.settings.ui_url}/runs?q[0]=tag:quant/command_id=c0ffee00-one-call" in both
        site.platform.execute("UPDATE sync_runs SET command_id = NULL WHERE id <> %s", runs[0])
        alone = site.get("/sync").text.partition('id="history"')[2]
        shown = f'href="{site.settings.ui_url}/runs/{runs[0]}" title="在 Dagster 中打开">c0ffee00 ↗'
        assert shown in alone, "a command of one run has the id that `history` shows, and leads to its run"
    finally:
        site.platform.execute("UPDATE sync_runs SET command_id = NULL")
    ((unit, rows),) = site.platform.rows(
        "SELECT unit, rows FROM sync_items WHERE sync_run = %s AND dataset = 'daily_kline' AND trade_date = %s",
        runs[-1],
        LATEST,
    )
    page = site.get(f"/sync/{runs[-1][:8]}")
    assert page.status_code == 200
    assert (unit in page.text, f"{rows:,}" in page.text) == (True, True)
    assert "已中断" not in page.text
    broken_off = "UPDATE sync_runs SET status = 'failed', error = 'interrupted: by hand' WHERE id = %s"
    ((trigger, started),) = site.platform.rows("SELECT trigger, started_at FROM sync_runs WHERE id = %s", runs[-1])
    site.platform.execute(broken_off, runs[-1])
    try:
        text = site.get(f"/sync/{runs[-1]}").text
        for words in ("已中断", "interrupted: by hand", f"<code>{trigger}</code>", f"{started:%m-%d %H:%M:%S}"):
            assert words in text, words
    finally:
        site.platform.execute("UPDATE sync_runs SET status = 'success', error = NULL WHERE id = %s", runs[-1])


def test_the_dictionary_has_an_anchor_per_data_set_and_every_column(site: Site) -> None:
    text = site.get("/data").text
    for name, dataset in DATASETS.items():
        assert f'id="{name}"' in text
        section = text[text.index(f'id="{name}"') :].partition("</section>")[0]
        for column in dataset.columns:
            assert f"<code>{column.name}</code>" in section
            assert column.zh in section
            assert escape(chinese(column.doc)) in section
        for told in (dataset.doc, *(rule.doc for rule in dataset.rules)):
            assert CHINESE.search(chinese(told))
            assert escape(chinese(told)) in section


def test_moves_of_sources_are_told_in_chinese(site: Site) -> None:
    for kind in ("demoted", "failover"):
        site.platform.execute("INSERT INTO source_events (source, api, kind, reason) VALUES ('tushare', 'daily', %s, '')", kind)
    try:
        moves = site.get("/sync").text.partition("最近变动")[2].partition("</table>")[0]
        assert "降级" in moves
        assert "切换数据源" in moves
        assert not re.search("demoted|failover", moves)
    finally:
        site.platform.execute("DELETE FROM source_events")


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/day/2026-11-15", "/day/2026-11-13", "/day/2026-11-16"),
        ("/day/2026-11-21", "/day/2026-11-20", None),
        ("/screens/dual_ma/2026-11-14", "/screens/dual_ma/2026-11-13", "/screens/dual_ma/2026-11-16"),
    ],
)
def test_a_closed_day_leads_to_the_sessions_beside_it(site: Site, path: str, before: str, after: str | None) -> None:
    """None after it, where that one lies in the future."""
    answer = site.get(path)
    assert answer.status_code == 404
    beside = [each for each in Links(answer.text.partition("<main>")[2].partition("</main>")[0]).led if each != "/"]
    assert beside == [each for each in (before, after) if each]


def test_a_code_s_page_leads_to_the_asset_and_the_run_behind_its_last_bar(site: Site) -> None:
    ((run,),) = site.platform.rows(
        "SELECT sync_run FROM sync_items WHERE dataset = 'daily_kline' AND trade_date = %s ORDER BY finished_at DESC LIMIT 1",
        LATEST,
    )
    ((code,),) = site.platform.rows("SELECT max(ts_code) FROM daily_kline WHERE trade_date = %s", LATEST)
    links = Links(site.get(f"/k/{code}").text).led
    ui = site.settings.ui_url
    assert {f"{ui}/assets/daily_kline?view=partitions&partition={LATEST}", f"{ui}/runs/{run}", f"/sync/{run}"} <= set(links)


# --- errors, and who is answered -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/day/2026-11-21", 404, "休市"),
        ("/day/2025-06-03", 404, "尚未入库"),
        ("/day/1989-01-04", 404, "交易日历没有"),
        ("/day/2099-01-05", 404, "交易日历没有"),
        ("/day/yesterday", 400, "不是日期"),
        ("/day/2026-02-30", 400, "不是日期"),
        ("/sync/ffffffff-none", 404, "没有这次运行"),
        ("/sync?page=0", 400, "地址写法有误"),
        ("/nowhere", 404, "没有这个页面"),
        ("/look/nothing.css", 404, "没有这个页面"),
    ],
)
def test_what_cannot_be_shown_is_a_page_with_a_sentence(site: Site, path: str, status: int, words: str) -> None:
    answer = site.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.text
    assert "一日概览" in answer.text, "it has the way back"
    assert "Traceback" not in answer.text


def test_a_name_in_an_address_is_shown_as_text(site: Site) -> None:
    answer = site.get("/day/<script>alert(1)<script>")
    assert "<script>alert" not in answer.text


def test_the_pages_are_only_looked_at(site: Site) -> None:
    assert requests.post(f"{site.url}/day/{LATEST}", timeout=60).status_code == 405
    assert requests.post(f"{site.url}/", timeout=60).json()["code"] == -2001, "a call of Tushare's, and no good one"
    assert requests.delete(f"{site.url}/sync", timeout=60).status_code == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("192.168.1.20", 401),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("[broken", 421),
        ("", 421),
    ],
)
def test_only_its_own_names_are_answered(site: Site, host: str, status: int) -> None:
    assert site.get("/data", headers={"Host": host}).status_code == status


def test_a_name_of_ones_own_is_let_in_with_a_key_once_the_settings_name_it(site: Site) -> None:
    named = site.settings.model_copy(update={"pages": "https://quant.example.com/"})
    with served(named, site.platform.database) as url:
        for host, status in (("quant.example.com", 401), ("QUANT.example.com:443", 401), ("other.example.com", 421)):
            assert requests.get(f"{url}/data", headers={"Host": host}, timeout=60).status_code == status
    assert named.pages_url == "https://quant.example.com"


def test_files_may_be_kept_for_long_and_pages_not_at_all(site: Site) -> None:
    script = site.get(PLOTLY)
    assert script.status_code == 200
    assert "immutable" in script.headers["cache-control"]
    assert len(script.content) > 1_000_000
    page = site.get("/data")
    assert page.headers["cache-control"] == "no-store"
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'", "no other host, and no script that stands in a page"
    loaded = [each for each in Links(page.text).loaded if each.startswith(("/look/", "/static/"))]
    assert any("style.css" in each for each in loaded)
    assert any("filter.js" in each for each in loaded)
    for each in loaded:
        assert "immutable" in site.get(each).headers["cache-control"], each


def test_when_the_database_is_away_the_page_says_so(site: Site) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none", Mode.SANDBOX)
    with served(site.settings, away) as url:
        answer = requests.get(f"{url}/", timeout=60)
        assert answer.status_code == 503
        assert "数据库不可用" in answer.text
        assert requests.get(f"{url}/data", timeout=60).status_code == 200, "what needs no database is shown"


def test_an_empty_database_is_welcomed_with_the_command_that_fills_it(warehouse: Database) -> None:
    with served(settings.load(), warehouse) as url:
        answer = requests.get(f"{url}/", timeout=60)
        assert (answer.status_code, "quant-pipeline run" in answer.text) == (200, True)
        assert requests.get(f"{url}/sync", timeout=60).status_code == 200


def test_the_sync_page_says_what_status_says(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to date is what lacks nothing; and the command below is the one that fills the hole."""
    monkeypatch.setenv("QUANT_NOW", NOW)
    before = dt.date(2026, 11, 17)
    units = {name: Unit.session(LATEST) if each.dated else Unit.snapshot(LATEST) for name, each in SOURCED.items()}
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO sync_runs (id, trigger, status, process, presence) VALUES ('one', 'test', 'success', 'p', 1)"
        )
        for name, unit in units.items():
            record(connection, "one", SOURCED[name], [item_of(unit)])
    command = "quant-pipeline sync --datasets daily_basic --start 2026-11-18 --end 2026-11-19"
    with served(settings.load(), warehouse) as url:
        text = requests.get(f"{url}/sync", timeout=60).text
        assert ("全部最新" in text, "sync --datasets" in text) == (True, False)
        with warehouse.connect() as connection:
            record(connection, "one", SOURCED["daily_basic"], [item_of(Unit.session(before))])
        text = requests.get(f"{url}/sync", timeout=60).text
    assert "全部最新" not in text
    assert "1 个有缺口" in text
    assert command in text
    status = status_of(warehouse, xshg())
    assert (status.whole, [each.fill for each in status.with_gaps]) == (False, [command])


def test_a_fault_of_ours_is_logged_and_shown_as_a_sentence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("nobody foresaw this")

    told: Callable[..., None] = broken
    monkeypatch.setattr("quant_pipeline.sync.insight.status.status_of", told)
    answer = site.get("/sync")
    assert answer.status_code == 500
    assert "nobody foresaw" not in answer.text
    assert "quant-pipeline history --logs" in answer.text


# --- the command -------------------------------------------------------------------------------------------------------------


def test_report_saves_the_day_and_tells_it_in_lines(site: Site) -> None:
    copy = path_of(site.settings, LATEST)
    copy.unlink()
    told = CliRunner().invoke(main, ["report"])
    assert told.exit_code == 0, told.output
    assert copy.exists()
    day = site.day()
    for words in (str(LATEST), f"up {day.breadth.up}", f"limit-up {day.limits.up}", "SANDBOX", str(copy), f"/day/{LATEST}"):
        assert words in told.output.replace("\n", "")
    before = site.platform.sessions(2)[0]
    facts = json.loads(CliRunner().invoke(main, ["report", "--date", f"{before}", "--json"]).stdout)
    assert (facts["mode"], facts["session"]) == ("sandbox", f"{before}")
    assert Path(facts["report"]).exists()
    assert facts["row"]["up"] == site.day(before).breadth.up
    assert facts["lacking"]["index_daily"] == f"quant-pipeline sync --datasets index_daily --start {before} --end {before}"


def test_report_opens_its_copy_when_that_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    assert CliRunner().invoke(main, ["report"]).exit_code == 0
    assert opened == []
    told = CliRunner().invoke(main, ["report", "--open"])
    copy = path_of(site.settings, LATEST)
    assert (told.exit_code, opened) == (0, [copy.as_uri()])
    assert told.stderr.replace("\n", "").endswith(f"No browser could be opened here: open {copy}")


@pytest.mark.parametrize(
    ("date", "words"),
    [("2026-11-21", "the one before is 2026-11-20"), ("2025-06-03", "quant-pipeline run --date 2025-06-03")],
)
def test_report_says_why_there_is_none(site: Site, date: str, words: str) -> None:
    del site
    told = CliRunner().invoke(main, ["report", "--date", date])
    assert told.exit_code == 1
    assert words in told.stderr


def test_serve_says_where_and_refuses_a_port_that_is_taken(site: Site) -> None:
    port = site.url.rpartition(":")[2]
    told = CliRunner().invoke(main, ["serve", "--port", port])
    assert told.exit_code == 2
    assert f"port {port}" in told.stderr
