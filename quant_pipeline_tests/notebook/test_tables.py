"""`qp.read`, `qp.sql` and `qp.screen`; the import that costs nothing; errors that are sentences."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import quant_pipeline as qp
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline.strategies.registry import registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.notebook.conftest import DAYS
from quant_pipeline_tests.sync.stored import store


def test_the_import_loads_nothing_else() -> None:
    heavy = "{'pandas', 'polars', 'numpy', 'dagster', 'sqlalchemy', 'pydantic', 'psycopg', 'numba'}"
    script = (
        f"import sys; import quant_pipeline as qp; dir(qp); assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_offered_is_there() -> None:
    assert {"bars", "read", "sql", "panel", "screen", "indicators", "QueryError"} <= set(dir(qp))
    for name in qp.__all__:
        assert getattr(qp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'bar'"):
        qp.bar  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.usefixtures("stored")
def test_rows_of_any_data_set_have_typed_columns() -> None:
    frame = qp.read("daily_basic", codes=["600000"], start=DAYS[-5], columns=["ts_code", "trade_date", "pe_ttm"])
    assert [str(each) for each in frame.dtypes] == ["str", "datetime64[us]", "float64"]
    assert len(frame) == 5
    rows = qp.read("daily_basic", codes="浦发银行", end=DAYS[2], as_="polars")
    assert rows.schema["trade_date"] == pl.Date
    assert rows["trade_date"].to_list() == list(DAYS[:3])
    assert qp.read("ths_members", codes="人工智能")["con_code"].tolist() == ["600000.SH"]
    assert qp.read("index_daily", codes=["上证指数", "000300.SH"], start=DAYS[-1])["ts_code"].tolist() == [
        "000001.SH",
        "000300.SH",
    ]
    assert qp.read("日线行情", start=DAYS[-1], columns="ts_code").shape == (2, 1)


@pytest.mark.usefixtures("stored")
def test_a_day_without_rows_is_an_empty_frame_where_others_have_some() -> None:
    assert qp.read("daily_kline", codes="600519").empty


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: qp.read("daily_klin"), r"no data set 'daily_klin'\. Did you mean daily_kline 日线行情"),
        (lambda: qp.read("daily_basic", columns=["pe_tm"]), r"daily_basic has no column 'pe_tm'\. Did you mean pe_ttm"),
        (lambda: qp.read("daily_basic", codes="60000"), r"no code or name '60000'\. Did you mean 600000.SH"),
        (lambda: qp.read("stock_list", start="2026-01-01"), "stock_list is a list, and has no sessions"),
        (lambda: qp.read("trade_calendar", codes="600000"), "trade_calendar has no column ts_code: leave codes out"),
        (lambda: qp.read("ths_members", codes="人工智障"), r"Did you mean 885001.TI 人工智能"),
        (
            lambda: qp.read("price_limits"),
            "price_limits holds nothing yet. Fetch it: quant-pipeline sync --datasets price_limits",
        ),
        (lambda: qp.sql("SELECT * FROM daily_klines"), r'relation "daily_klines" does not exist\. Did you mean .*daily_kline'),
        (lambda: qp.sql("SELECT closed FROM daily_kline"), r'column "closed" does not exist\. Did you mean close'),
        (lambda: qp.sql("SELEC 1"), r'PostgreSQL refuses the query: syntax error at or near "SELEC"'),
        (lambda: qp.sql("SELECT %(day)s", {"days": 1}), r"the query has %\(day\)s, and parameters has no day"),
        (lambda: qp.screen("dual_mb"), r"no strategy 'dual_mb'\. Did you mean dual_ma .*All: dual_ma"),
        (lambda: qp.screen("dual_ma", fast=30), r"fast \(30\) must be below slow"),
        (lambda: qp.screen("dual_ma", speed=3), "dual_ma has no parameter speed; it has fast, slow"),
        (lambda: qp.screen("dual_ma", universe={"moon": 1}), r"filter moon cannot be used: .*All: boards, index"),
        (lambda: qp.screen("dual_ma", "2026-11-21"), "2026-11-21 is no session; the one before is 2026-11-20: ask for that"),
        (lambda: qp.screen("dual_ma", "2026-11-14"), "2026-11-14 is no session; the one before is 2026-11-13"),
        (lambda: qp.screen("dual_ma", "2001-01-05"), "daily_kline holds .* nothing of what was asked for"),
    ],
)
def test_a_slip_is_told_what_to_write(ask: object, told: str) -> None:
    assert callable(ask)
    with pytest.raises(qp.QueryError, match=told):
        ask()


@pytest.mark.usefixtures("stored")
def test_sql_answers_in_typed_columns_and_takes_parameters() -> None:
    query = "SELECT ts_code, trade_date, close FROM daily_kline WHERE trade_date = %(day)s AND ts_code = ANY(%(codes)s)"
    frame = qp.sql(query, {"day": str(DAYS[-1]), "codes": ["600000.SH"]})
    assert [str(each) for each in frame.dtypes] == ["str", "datetime64[us]", "float64"]
    assert qp.sql("SELECT 1 AS one", as_="polars").item() == 1


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM daily_kline RETURNING ts_code",
        "WITH gone AS (DELETE FROM daily_kline RETURNING ts_code) SELECT * FROM gone",
        "SELECT 1; DELETE FROM daily_kline",
        "SELECT set_config('transaction_read_only', 'off', true) FROM (DELETE FROM daily_kline RETURNING 1) AS gone",
        "DROP TABLE daily_kline",
    ],
)
def test_sql_changes_nothing(query: str) -> None:
    before = qp.read("daily_kline").shape
    with pytest.raises(qp.QueryError, match=r"this query would change rows|PostgreSQL refuses the query"):
        qp.sql(query)
    assert qp.read("daily_kline").shape == before


class _Failing(DualMovingAverage):
    name = "failing"

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        raise ValueError("no such luck" if bars.height else "no bars")


def test_a_screen_is_computed_and_not_written(stored: Database) -> None:
    rising = pl.DataFrame({"trade_date": DAYS}).with_row_index("at")
    close = pl.when(pl.col("at") < len(DAYS) - 1).then(20 - 0.1 * pl.col("at")).otherwise(40.0)
    bars = rising.with_columns(close=close.cast(pl.Float64), ts_code=pl.lit("000001.SZ"))
    prices = (pl.col("close").alias(name) for name in ("open", "high", "low"))
    store(stored, DAILY_KLINE, bars.with_columns(*prices, vol=pl.lit(1.0)))
    hits = qp.screen("dual_ma", fast=3, slow=10)
    assert hits[["rank", "ts_code", "name", "close"]].values.tolist() == [[1, "000001.SZ", "平安银行", 40.0]]
    assert set(DualMovingAverage.with_parameters({"fast": 3, "slow": 10}).figures) <= set(hits.columns)
    assert qp.screen(DualMovingAverage, DAYS[-1], fast=3, slow=10, as_="polars").height == 1
    assert qp.screen("dual_ma", DAYS[-2], fast=3, slow=10).empty
    with pytest.raises(qp.QueryError, match="the universe is empty on"):
        qp.screen("dual_ma", universe={"boards": ["star"]})
    every = qp.screens(as_="polars")
    alone = [qp.screen(name, as_="polars").select(every.columns[1:]) for name in registered().strategies]
    assert every.select(every.columns[1:]).equals(pl.concat(alone))
    assert every.height > 0
    with pytest.warns(UserWarning, match="failing: it failed on these bars .no such luck."):
        others = qp.screens(strategies=[_Failing, "dual_ma"])
    assert set(others["screen"]) == {"dual_ma"}
    with pytest.raises(qp.QueryError, match="no such luck"):
        qp.screens(strategies=[_Failing])
    with pytest.raises(qp.QueryError, match="no strategy is asked for"):
        qp.screens(strategies=[])
    assert len(qp.screen("dual_ma", universe={"codes": ["000001.SZ"]}, fast=3, slow=10)) == 1
    assert qp.sql("SELECT count(*) AS hits FROM screen_results").iloc[0, 0] == 0
    assert qp.sql("SELECT count(*) AS messages FROM messages").iloc[0, 0] == 0


def test_ipython_shows_the_sentence_alone() -> None:
    assert qp.QueryError("write 600000.SH")._render_traceback_() == ["write 600000.SH"]


def test_where_no_project_is_found_it_is_said_where_was_looked(tmp_path: Path) -> None:
    script = "import quant_pipeline as qp\ntry:\n    qp.bars('600000')\nexcept qp.QueryError as error:\n    print(error)"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), "LANGUAGE": "en"}
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "no project of quant_pipeline is found" in told.stdout
    assert "set QUANT_HOME" in told.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("stored")
def test_a_simulated_market_is_said_to_be_one() -> None:
    script = "import quant_pipeline as qp\nqp.bars('600000')\nqp.bars('600000')"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stderr == "SANDBOX: simulated market, these numbers are made up.\n"
