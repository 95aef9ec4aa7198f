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
    assert policy_for(read, "tushare", "daily") == RatePolicy(per_minute=500, per_second=10, burst=20, concurrency=5, retries=3)
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
