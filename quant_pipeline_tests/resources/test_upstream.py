"""Which server is asked with which token: a real token never meets the sandbox, a URL set by hand wins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pydantic import Field, SecretStr

from quant_pipeline.resources import upstream
from quant_pipeline.sandbox import starter
from quant_pipeline.settings import load
from quant_pipeline.sources.akshare import AkshareSettings, AkshareSource
from quant_pipeline.sources.baostock import BaostockSettings, BaostockSource
from quant_pipeline.sources.context import SourceSettings
from quant_pipeline.sources.tushare import TushareSettings, TushareSource

REAL = "a-real-token-of-the-user"


def account() -> TushareSettings:
    found = upstream.settings_of(TushareSource, load())
    assert isinstance(found, TushareSettings)
    return found


def plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


@pytest.fixture
def sandbox_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("TUSHARE_TOKEN", REAL)
    monkeypatch.setenv("PUSHPLUS_TOKEN", REAL)
    yield tmp_path
    starter.stop(tmp_path)


def test_in_sandbox_mode_the_sandbox_is_started_and_the_user_s_tokens_stay_at_home(sandbox_home: Path) -> None:
    assert sandbox_home.exists()
    tushare, pushplus = account(), upstream.pushplus(load())
    for url, token in ((tushare.url, plain(tushare.token)), (pushplus.url, pushplus.token)):
        assert url is not None
        assert url.startswith("http://127.0.0.1:")
        assert token is not None
        assert token.startswith("sandbox")


def test_it_is_started_ahead_where_it_stands_in_for_a_source_and_else_not(
    sandbox_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[Path]()
    monkeypatch.setattr(starter, "start_ahead", begun.append)
    upstream.start_ahead(load())
    assert begun == [sandbox_home]
    by_hand = {
        "TUSHARE_URL": "http://127.0.0.1:9",
        "BAOSTOCK_HOST": "baostock.example",
        "AKSHARE_PRIORITY": "0",
        "THS_API_URL": "http://127.0.0.1:9",
    }
    for name, value in by_hand.items():
        monkeypatch.setenv(name, value)
    upstream.start_ahead(load())
    monkeypatch.delenv("TUSHARE_URL")
    monkeypatch.setenv("QUANT_MODE", "live")
    upstream.start_ahead(load())
    assert begun == [sandbox_home]


@pytest.mark.usefixtures("sandbox_home")
def test_no_password_of_the_user_goes_to_the_sandbox_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAOSTOCK_PASSWORD", REAL)
    baostock = upstream.settings_of(BaostockSource, load())
    assert isinstance(baostock, BaostockSettings)
    assert (baostock.host, baostock.port is not None) == ("127.0.0.1", True)
    assert plain(baostock.password) != REAL
    monkeypatch.setenv("BAOSTOCK_HOST", "baostock.example")
    by_hand = upstream.settings_of(BaostockSource, load())
    assert isinstance(by_hand, BaostockSettings)
    assert (by_hand.host, by_hand.port, plain(by_hand.password)) == ("baostock.example", None, REAL)


@pytest.mark.usefixtures("sandbox_home")
@pytest.mark.parametrize("bundle", [None, "real", "nowhere"])
def test_akshare_finds_the_sandbox_s_sites_whatever_proxy_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: str | None
) -> None:
    """Through it the real web would answer, and real bars stand among the simulated ones."""
    web = upstream.settings_of(AkshareSource, load())
    assert isinstance(web, AkshareSettings)
    assert web.environment["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert Path(web.environment["REQUESTS_CA_BUNDLE"]).exists()
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:7890")  # a tool on this machine, with the whole web behind it
    if bundle is not None:
        certificates = tmp_path / "bundle.pem"
        if bundle == "real":
            trustme.CA(organization_name="A Real Authority").cert_pem.write_to_path(str(certificates))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates))
    assert upstream.settings_of(AkshareSource, load()) == web


@pytest.mark.usefixtures("sandbox_home")
def test_a_proxy_set_by_hand_is_akshare_s_way_in_live_mode_and_another_sandbox_s_in_sandbox_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = upstream.settings_of(AkshareSource, load())
    assert isinstance(web, AkshareSettings)
    for variable in ("HTTP_PROXY", "NO_PROXY", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    by_hand = {"HTTPS_PROXY": "http://127.0.0.1:3128", "REQUESTS_CA_BUNDLE": web.environment["REQUESTS_CA_BUNDLE"]}
    for variable, value in by_hand.items():
        monkeypatch.setenv(variable, value)
    for mode in ("sandbox", "live"):
        monkeypatch.setenv("QUANT_MODE", mode)
        found = upstream.settings_of(AkshareSource, load())
        assert isinstance(found, AkshareSettings)
        assert found.environment == by_hand


@pytest.mark.usefixtures("sandbox_home")
def test_a_source_that_the_sandbox_does_not_simulate_is_left_out_there_and_used_in_live_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its real rows would meet the simulated ones in one table."""

    class Elsewhere(SourceSettings):
        address = "ELSEWHERE_URL"
        url: str | None = Field(None, alias="ELSEWHERE_URL")

    class ElsewhereSource(TushareSource):
        name, settings = "elsewhere", Elsewhere

    assert upstream.settings_of(ElsewhereSource, load()) is None
    monkeypatch.setenv("QUANT_MODE", "live")
    assert upstream.settings_of(ElsewhereSource, load()) is not None


@pytest.mark.usefixtures("sandbox_home")
def test_in_live_mode_the_client_s_own_address_and_the_user_s_token_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_MODE", "live")
    assert (account().url, plain(account().token)) == (None, REAL)
    assert upstream.pushplus(load()) == upstream.Upstream(None, REAL, None)


@pytest.mark.usefixtures("sandbox_home")
@pytest.mark.parametrize("mode", ["live", "sandbox"])
def test_a_url_set_by_hand_wins_in_every_mode(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("QUANT_MODE", mode)
    monkeypatch.setenv("TUSHARE_URL", "http://tushare.example")
    monkeypatch.setenv("PUSHPLUS_URL", "http://pushplus.example")
    assert (account().url, plain(account().token)) == ("http://tushare.example", REAL)
    assert upstream.pushplus(load()).url == "http://pushplus.example"


@pytest.mark.usefixtures("sandbox_home")
def test_without_a_pushplus_token_in_live_mode_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_MODE", "live")
    monkeypatch.delenv("PUSHPLUS_TOKEN")
    assert upstream.pushplus(load()).token is None


@pytest.mark.usefixtures("sandbox_home")
def test_the_hosts_of_a_ths_account_are_the_sandbox_s_but_for_those_set_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(url.startswith("http://127.0.0.1:") for url in vars(upstream.ths(load())).values())
    monkeypatch.setenv("THS_UPASS_URL", "http://ths.example/upass/")
    mixed = upstream.ths(load())
    assert mixed.upass == "http://ths.example/upass"
    assert mixed.auth.startswith("http://127.0.0.1:")
    monkeypatch.setenv("QUANT_MODE", "live")
    live = upstream.ths(load())
    assert (live.upass, live.auth) == ("http://ths.example/upass", "https://auth.10jqka.com.cn")
