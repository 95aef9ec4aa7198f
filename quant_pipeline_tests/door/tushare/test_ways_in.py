"""A stranger's script, in a process of its own, by the unmodified client, against `quant-pipeline serve`: each way to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from quant_pipeline_tests.assets.platform import TOKEN
from quant_pipeline_tests.door.tushare.conftest import Door
from quant_pipeline_tests.door.tushare.test_answers import sorted_by_all

BIN = Path(sys.executable).parent
IMPORT = "import tushare as ts"
OURS = "import quant_pipeline.tushare as ts"
PATCH = "from tushare.pro import client; client.DataApi._DataApi__http_url = {url!r}"
# What such scripts do: lists, a day of the market, a code's history, adjusted bars, weeks, a concept's members.
SCRIPT = """
pro = ts.pro_api()
code, august = "000043.SZ", dict(start_date="20260803", end_date="20260831")
span = dict(start_date="20261009", end_date="20261120")
told = {
    "stock_basic": pro.stock_basic(exchange="", list_status="L", fields="ts_code,symbol,name,area,industry,list_date"),
    "trade_cal": pro.trade_cal(exchange="", start_date="20261001", end_date="20261120", is_open="1"),
    "daily by date": pro.daily(trade_date="20261118"),
    "daily by code": pro.daily(ts_code=code, **span),
    "pro_bar": ts.pro_bar(ts_code=code, **august),
    "pro_bar qfq": ts.pro_bar(ts_code=code, adj="qfq", **august),
    "pro_bar hfq ma factors": ts.pro_bar(ts_code=code, adj="hfq", ma=[5, 10], factors=["tor", "vr"], **august),
    "pro_bar W": ts.pro_bar(ts_code=code, freq="W", **august),
    "pro_bar M": ts.pro_bar(ts_code=code, freq="M", adj="qfq", **august),
    "pro_bar index": ts.pro_bar(ts_code="000300.SH", asset="I", **span),
    "pro_bar fund": ts.pro_bar(ts_code=pro.fund_daily(trade_date="20261118")["ts_code"][0], asset="FD", **span),
    "pro_bar bond": ts.pro_bar(ts_code=pro.cb_daily(trade_date="20261118")["ts_code"][0], asset="CB", **span),
    "weekly": pro.weekly(ts_code=code, **span),
    "ths_member": pro.ths_member(ts_code="883957.TI"),
}
json.dump({name: frame.to_json(orient="split", double_precision=15) for name, frame in told.items()}, sys.stdout)
"""


@pytest.fixture(scope="module")
def serving(door: Door) -> Iterator[str]:
    """The address of `quant-pipeline serve` over the same database, in a process of its own."""
    del door
    process = subprocess.Popen(
        [str(BIN / "quant-pipeline"), "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait()


def told_by(first_lines: str, **environment: str) -> dict[str, pd.DataFrame]:
    """What the script gets, as a program of its own that knows nothing of us but these lines and variables."""
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("QUANT_", "TUSHARE_", "HTTP", "NO_PROXY"))
    }
    ran = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{first_lines}\n{SCRIPT}"],
        env=keep | {"TUSHARE_TOKEN": TOKEN} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    text = ran.stdout[ran.stdout.index("{") :]
    return {name: pd.DataFrame(**json.loads(frame)) for name, frame in json.loads(text).items()}


@pytest.fixture(scope="module")
def reference(door: Door) -> dict[str, pd.DataFrame]:
    return told_by(f"{IMPORT}\n{PATCH.format(url=door.platform.sandbox.tushare_url)}")


WAYS: dict[str, Any] = {
    "the one-line patch": lambda url: (f"{IMPORT}\n{PATCH.format(url=f'{url}/dataapi')}", {}),
    "HTTP_PROXY": lambda url: (IMPORT, {"HTTP_PROXY": url}),
    "our module": lambda url: (OURS, {"QUANT_TUSHARE_URL": url}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_s_script_gets_what_the_reference_gives(serving: str, reference: dict[str, pd.DataFrame], way: str) -> None:
    lines, environment = WAYS[way](serving)
    told = told_by(lines, **environment)
    assert list(told) == list(reference)
    for name, theirs in reference.items():
        assert len(theirs), name
        pd.testing.assert_frame_equal(sorted_by_all(told[name]), sorted_by_all(theirs), check_dtype=False, obj=name)


def test_another_host_is_not_fetched_for_whom_takes_us_for_a_proxy(serving: str) -> None:
    import requests

    answer = requests.get("http://elsewhere.example/x", proxies={"http": serving}, timeout=60)
    assert answer.status_code == 421


WITHOUT_A_DOOR = """
import os, sys, traceback
import quant_pipeline.tushare as ts
{lines}
"""
SAID = """
try:
    {call}
except ts.NoDoor as error:
    print(error, file=sys.stderr)
    hidden = error.__suppress_context__ or error.__context__ is None
    assert hidden, "nothing of the client's own troubles"
"""


def test_without_a_door_it_says_where_it_asked_and_what_to_start(tmp_path: Path, serving: str) -> None:
    calls = ("ts.pro_api().daily(trade_date='20261118')", "ts.pro_bar(ts_code='600000.SH', start_date='20261116')")
    nowhere = "os.environ['QUANT_TUSHARE_URL'] = 'http://127.0.0.1:9'\nts._client.DataApi._DataApi__http_url = ts.address()"
    there = f"os.environ['QUANT_TUSHARE_URL'] = {f'{serving}/dataapi'!r}\nassert len(ts.pro_api().daily(trade_date='20261118'))"
    script = "\n".join([*(SAID.format(call=call) for call in calls), nowhere, SAID.format(call=calls[0]), there])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QUANT_", "TUSHARE_"))}
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_DOOR.format(lines=script)],
        env=environment | {"QUANT_HOME": str(tmp_path), "QUANT_SERVE_PORT": "9", "QUANT_PAGES_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = ran.stderr.splitlines()
    assert len(told) == 3
    assert set(told[:2]) == {
        f"nothing answers at http://127.0.0.1:9/dataapi: start `quant-pipeline serve` or `quant-pipeline ui` over the data in "
        f"{tmp_path} (another folder: set QUANT_HOME), or name a door with QUANT_TUSHARE_URL"
    }
    assert told[2].startswith("nothing answers at http://127.0.0.1:9, where QUANT_TUSHARE_URL leads: ")


REFUSED = """
import quant_pipeline.tushare as ts
try:
    ts.pro_bar(ts_code='600000.SH', freq='5min', start_date='2026-11-16 09:30:00', end_date='2026-11-16 15:00:00')
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("path", ["", "/dataapi"])
def test_a_bar_that_an_open_door_refuses_is_not_told_as_a_door_that_is_shut(serving: str, path: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QUANT_", "TUSHARE_"))}
    ran = subprocess.run(
        [sys.executable, "-c", REFUSED],
        env=environment | {"QUANT_TUSHARE_URL": f"{serving}{path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "OSError", "not NoDoor"
