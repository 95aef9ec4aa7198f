"""What a fault does to the line, as HTTP clients see it."""

from __future__ import annotations

import requests

from quant_pipeline.sandbox.rehearsal import Rehearsal

_SECRET = "sandbox-of-mine"


def post(sandbox: Rehearsal, **options: object) -> requests.Response:
    body = {
        "api_name": "trade_cal",
        "token": _SECRET,
        "params": {"start_date": "20261119", "end_date": "20261120"},
        "fields": "",
    }
    return requests.post(f"{sandbox.tushare_url}/trade_cal", json=body, timeout=10, **options)  # type: ignore[arg-type]


def test_an_answer_that_drips_comes_byte_by_byte_and_is_the_true_one(sandbox: Rehearsal) -> None:
    true = post(sandbox).json()["data"]
    sandbox.order_fault("drip", seconds=0.0)
    with post(sandbox, stream=True) as answer:
        assert len(next(answer.iter_content(1))) == 1
    sandbox.order_fault("drip", seconds=0.0)
    assert post(sandbox).json()["data"] == true
    assert [call["answer"] for call in sandbox.calls("trade_cal")] == ["ok", "drip", "drip"]


def test_an_answer_of_megabytes(sandbox: Rehearsal) -> None:
    sandbox.order_fault("bomb", megabytes=3)
    assert 3 * 2**20 < len(post(sandbox).content) < 3.1 * 2**20


def test_a_redirect_shows_whether_the_token_went_along(sandbox: Rehearsal) -> None:
    sandbox.order_fault("redirect", times=None)
    stays = post(sandbox, allow_redirects=False)
    assert stays.status_code == 307
    assert stays.headers["Location"].startswith("http://localhost:")
    assert sandbox.calls(server="elsewhere") == []
    post(sandbox)
    (followed,) = sandbox.calls(server="elsewhere")
    assert (followed["api"], followed["params"]) == ("trade_cal", {"token": True})
    assert _SECRET not in str(sandbox.calls(server="elsewhere"))


def test_a_redirect_goes_where_it_is_ordered_to(sandbox: Rehearsal) -> None:
    sandbox.order_fault("redirect", url="http://127.0.0.1:9/there")
    assert post(sandbox, allow_redirects=False).headers["Location"] == "http://127.0.0.1:9/there"
