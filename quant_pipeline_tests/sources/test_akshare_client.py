"""What AKShare must not be trusted with: the text of a web site is data, whatever stands in it."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from quant_pipeline_tests.sources.loopback import serving

_ASK = """
    import builtins, json, sys
    from quant_pipeline.sources.akshare import client
    from akshare.stock import stock_zh_a_sina as sina
    sina.zh_sina_a_stock_hfq_url = sys.argv[1] + "/{}/hfq.js"
    said = []
    for symbol in sys.argv[2:]:
        try:
            said.append(client.sina_factors(symbol)["hfq_factor"].to_list())
        except Exception as error:
            said.append([kind.__name__ for kind in type(error).__mro__][:2] + [str(error)])
    runs = (None, builtins.eval, builtins.exec)
    modules = [(name, vars(module)) for name, module in sys.modules.items() if name.split(".")[0] == "akshare"]
    running = [name for name, members in modules if members.get("eval") in runs or members.get("exec") in runs]
    print(json.dumps({"said": said, "running": running, "ours": eval is builtins.eval}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What the unmodified client makes of each of sina's texts, in a process of its own; and where code would leave a mark."""
    mark = tmp_path_factory.mktemp("remote") / "it-ran"
    texts = {
        "sound": '{"total":2,"data":[{"d":"2026-01-05","f":"2.5"},{"d":"1900-01-01","f":"1.0"}]}',
        "call": f'{{"data": __import__("pathlib").Path({str(mark)!r}).touch()}}',
        "second": f'{{"data": [{{"d": "2026-01-05", "f": open({str(mark)!r}, "w").name}}]}}',
        "walrus": f"(open({str(mark)!r} , 'w') and {{'data': []}})",
        "page": "<html><body>456 Too many requests</body></html>",
        "deep": "[" * 100_000,
    }

    def respond(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        body = f"var x={texts[handler.path.split('/')[1]]}\n".encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(respond) as url:
        asked = subprocess.run([sys.executable, "-c", dedent(_ASK), url, *texts], capture_output=True, text=True, check=True)
    told = json.loads(asked.stdout)
    return {**told, "said": dict(zip(texts, told["said"], strict=True))}, mark


def test_a_sites_text_is_read_and_never_run(answers: tuple[dict[str, Any], Path]) -> None:
    told, mark = answers
    assert told["said"].pop("sound") == ["2.5", "1.0"]
    for kind, _, text in told["said"].values():
        assert (kind, text) == ("RemoteCode", "the site's answer is no data; it was not run")
    assert not mark.exists()


def test_no_module_of_akshare_can_run_text_and_ours_are_as_they_were(answers: tuple[dict[str, Any], Path]) -> None:
    assert answers[0]["running"] == []
    assert answers[0]["ours"]
