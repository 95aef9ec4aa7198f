"""The OpenAPI text, believed by strangers: schemathesis asks what it describes and holds the answers against it, and a client
that is generated from it works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from quant_pipeline import settings
from quant_pipeline_tests.assets.platform import Platform, exchange, platform
from quant_pipeline_tests.door.served import served

__all__ = ["exchange", "platform"]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
STARTS = (
    "/api/sync/trigger",
    "/api/multi-period-sync/start-incremental",
    "/api/data-collection",
    "/api/backtests",
    "/api/ths",
    "/api/user",
    "/api/watchlist/push",
    "/api/v1/tasks",
    "/api/scheduler",
    "/api/v1/system",
    "/api/v1/services",
    "/api/v1/dataflow",
)
"""What they start is shown elsewhere: of these only bodies that are to be refused are sent."""


@pytest.fixture(scope="module")
def url(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    platform.fill(platform.sessions(3), "stock_list", "suspensions", "daily_kline", "adj_factor")
    times = tmp_path_factory.mktemp("times") / "schedules.toml"
    times.touch()  # whatever a stranger sends, it is not the checkout's file that is written
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_SCHEDULES", str(times))
        with served(settings.load(), platform.database) as url:
            yield url


def test_every_answer_is_as_it_is_described(url: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    few = examples(
        max_examples=3, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    found, asked = [], 0
    for result in schema.get_all_operations():
        operation = result.ok()
        starts = operation.path.startswith(STARTS) and (operation.method.upper() != "GET" or "/user/" in operation.path)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.POSITIVE and starts:
                continue
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
                continue
            checks = CHECKS if mode is GenerationMode.POSITIVE else [*CHECKS, negative_data_rejection]

            def ask(case: schemathesis.Case) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(checks=checks, timeout=60)  # noqa: B023  # asked at once

            try:
                seed(20261127)(few(given(case=operation.as_strategy(generation_mode=mode))(ask)))()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, operation.path  # of a path of any text nothing is wrong
            except Exception as error:
                found.append(f"{operation.method.upper()} {operation.path} ({mode}): {type(error).__name__} {error}")
    assert not found, "\n\n".join(found)
    assert asked > 100


CALLS = """
import sys
from made import Client
from made.api.stocks import stocks_api_stocks_get as stocks
from made.api.watchlist import add_api_watchlist_post as add
from made.models import Added
client = Client(base_url=sys.argv[1])
first = stocks.sync(client=client, per_page=1)
print(first.data.total, first.data.items[0].ts_code)
print(add.sync(client=client, body=Added(stock_codes=["999999"])).error.why)
"""


def test_a_client_that_is_generated_from_it_works(url: str, platform: Platform, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "config.yml").write_text("post_hooks: []\n", encoding="utf-8")
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{url}/api/openapi.json", "--meta", "none"]
    options = ["--output-path", str(made), "--config", str(tmp_path / "config.yml"), "--fail-on-warning"]
    done = subprocess.run([*generate, *options], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = subprocess.run(
        [sys.executable, "-c", CALLS, url], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert asked.returncode == 0, asked.stderr
    listed, refused = asked.stdout.splitlines()
    ((total, first),) = platform.rows("SELECT count(*), min(ts_code) FROM stock_list WHERE list_status = 'L'")
    assert listed == f"{total} {first}"
    assert refused
