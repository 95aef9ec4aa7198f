"""The pace of each API, and the file in which the user sets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.sources.policy import RatePolicy, policy_for
from quant_pipeline.sources.registry import policies, registered


def test_rate_limits_of_the_user_are_laid_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nper_minute = 500\n[tushare.weekly]\nquota = false\n")
    read = policies(file)
    assert policy_for(read, "tushare", "daily") == RatePolicy(per_minute=500, per_second=10, burst=60, concurrency=5, retries=3)
    assert policy_for(read, "tushare", "weekly").per_minute is None
    assert policy_for(read, "tushare", "stock_basic").per_minute == 50
    assert policy_for(read, "tushare", "ths_member").per_minute == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tushare.daily]\nper_minute = 0\n", "tushare.daily"),
        ("[tushare.daily]\nper_hour = 3\n", "tushare.daily"),
        ("per_minute = ", "cannot be read"),
        ("per_minute = 3", "a table per API"),
    ],
)
def test_a_rate_limit_file_with_a_slip_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        policies(file)
    with pytest.raises(ConfigurationError, match=r"missing\.toml"):
        policies(tmp_path / "missing.toml")


def test_without_a_file_the_defaults_hold_and_are_not_shared(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nper_minute = 1\n")
    policies(file)
    assert policies(None) == {name: source.default_policies for name, source in registered().sources.items()}
    assert policy_for(policies(None), "tushare", "daily").per_minute == 400


def test_two_sources_and_a_new_one_stand_in_one_file_and_a_source_s_star_is_for_its_others(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(
        '[tushare."*"]\ntimeout = 9\n[baostock."*"]\nretries = 7\n[mine.bars]\nper_minute = 4\n[tushare.daily]\ntimeout = 5\n'
    )
    read = policies(file)
    assert policy_for(read, "tushare", "weekly").timeout == 9
    assert policy_for(read, "tushare", "daily").timeout == 5
    baostock = policy_for(read, "baostock", "query_trade_dates")
    assert (baostock.retries, baostock.one_account, baostock.concurrency) == (7, True, 1)
    assert policy_for(read, "mine", "bars").per_minute == 4
    assert policy_for(read, "mine", "other") == RatePolicy()


def test_the_second_slip_of_a_file_is_named_as_well_as_a_first(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nper_minute = 5\n[tushare.weekly]\ntimeout = 0\n")
    with pytest.raises(ConfigurationError, match=r"limits\.toml, \[tushare\.weekly\]"):
        policies(file)


def test_only_false_lifts_the_quota(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[tushare.daily]\nquota = true\n[tushare.weekly]\nquota = false\n")
    read = policies(file)
    assert (policy_for(read, "tushare", "daily").per_minute, policy_for(read, "tushare", "daily").per_second) == (
        400,
        10,
    )
    assert policy_for(read, "tushare", "weekly").per_second is None


def test_an_api_that_nobody_set_has_the_pace_that_the_documentation_tells() -> None:
    assert RatePolicy().model_dump() == {
        "per_minute": 200,
        "per_second": 5.0,
        "burst": 10,
        "concurrency": 3,
        "one_account": False,
        "retries": 3,
        "backoff": 0.5,
        "minute": 60.0,
        "timeout": 30.0,
        "trip": 5,
        "cool_down": 60.0,
    }
    assert policy_for({}, "nobody", "bars") == RatePolicy()


@pytest.mark.parametrize(
    ("field", "allowed", "refused"),
    [
        ("per_minute", [1, None], [0]),
        ("per_second", [0.01, 1, None], [0]),
        ("burst", [1], [0]),
        ("concurrency", [1, 64], [0, 65]),
        ("retries", [0, 20], [-1, 21]),
        ("backoff", [0, 0.1], [-0.1]),
        ("minute", [0.1], [0]),
        ("timeout", [0.1], [0]),
        ("trip", [1], [0]),
        ("cool_down", [0], [-0.1]),
    ],
)
def test_each_field_has_its_bounds(field: str, allowed: list[float | None], refused: list[float]) -> None:
    for value in allowed:
        assert getattr(RatePolicy.model_validate({field: value}), field) == value
    for value in refused:
        with pytest.raises(ValueError, match=field):
            RatePolicy.model_validate({field: value})


def test_a_policy_is_not_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RatePolicy().retries = 5  # type: ignore[misc]
