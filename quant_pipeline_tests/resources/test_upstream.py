"""Which server is asked with which token: a real token never meets the sandbox, a URL set by hand wins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from quant_pipeline.resources import upstream
from quant_pipeline.sandbox import service
from quant_pipeline.settings import load

REAL = "a-real-token-of-the-user"


@pytest.fixture
def sandbox_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("TUSHARE_TOKEN", REAL)
    monkeypatch.setenv("PUSHPLUS_TOKEN", REAL)
    yield tmp_path
    service.stop(tmp_path)


def test_in_sandbox_mode_the_sandbox_is_started_and_the_user_s_tokens_stay_at_home(sandbox_home: Path) -> None:
    assert sandbox_home.exists()
    for at in (upstream.tushare(load()), upstream.pushplus(load())):
        assert at.url is not None
        assert at.url.startswith("http://127.0.0.1:")
        assert at.token is not None
        assert at.token.startswith("sandbox")


@pytest.mark.usefixtures("sandbox_home")
def test_in_live_mode_the_client_s_own_address_and_the_user_s_token_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_MODE", "live")
    assert upstream.tushare(load()) == upstream.Upstream(None, REAL)
    assert upstream.pushplus(load()) == upstream.Upstream(None, REAL, None)


@pytest.mark.usefixtures("sandbox_home")
@pytest.mark.parametrize("mode", ["live", "sandbox"])
def test_a_url_set_by_hand_wins_in_every_mode(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("QUANT_MODE", mode)
    monkeypatch.setenv("TUSHARE_URL", "http://tushare.example")
    monkeypatch.setenv("PUSHPLUS_URL", "http://pushplus.example")
    assert upstream.tushare(load()).url == "http://tushare.example"
    assert upstream.pushplus(load()).url == "http://pushplus.example"


@pytest.mark.usefixtures("sandbox_home")
def test_without_a_pushplus_token_in_live_mode_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_MODE", "live")
    monkeypatch.delenv("PUSHPLUS_TOKEN")
    assert upstream.pushplus(load()).token is None
