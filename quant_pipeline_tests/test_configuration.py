"""The one reader of TOML files: variables of the environment, and errors that name file and variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline import project, timetable
from quant_pipeline.configuration import ConfigurationError, read_toml
from quant_pipeline.sources.registry import policies

FILE = """
limit = "${QUANT_TEST_LIMIT}"
twice = "https://${QUANT_TEST_HOST}/${QUANT_TEST_LIMIT}"
plain = "$HOME costs 5 $ {x}"
number = 3
list = ["${QUANT_TEST_HOST}", 1]
[deep.table]
name = "${QUANT_TEST_HOST}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(FILE)
    return path


def test_variables_are_filled_in_wherever_they_stand(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_TEST_LIMIT", "7")
    monkeypatch.setenv("QUANT_TEST_HOST", 'a"b${QUANT_TEST_LIMIT}')  # what a variable holds is not read as TOML, or again
    assert read_toml(file, "the file") == {
        "limit": "7",
        "twice": 'https://a"b${QUANT_TEST_LIMIT}/7',
        "plain": "$HOME costs 5 $ {x}",
        "number": 3,
        "list": ['a"b${QUANT_TEST_LIMIT}', 1],
        "deep": {"table": {"name": 'a"b${QUANT_TEST_LIMIT}'}},
    }


@pytest.mark.parametrize("second", [None, ""], ids=["not set", "empty"])
def test_a_variable_that_is_not_set_is_named_with_its_place(
    file: Path, monkeypatch: pytest.MonkeyPatch, second: str | None
) -> None:
    monkeypatch.setenv("QUANT_TEST_LIMIT", "very secret")
    if second is not None:
        monkeypatch.setenv("QUANT_TEST_HOST", second)
    told = r"some\.toml, twice: the environment variable QUANT_TEST_HOST is not set; set it, or put it into \.env"
    with pytest.raises(ConfigurationError, match=told) as raised:
        read_toml(file, "the file")
    assert "secret" not in str(raised.value)


def test_what_is_no_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('a = "${NOT A NAME}"')
    with pytest.raises(ConfigurationError, match=r"x\.toml, a: \$\{NOT A NAME\} is no variable's name"):
        read_toml(tmp_path / "x.toml", "the file")


def test_the_dotenv_file_is_read_and_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.with_name("settings").write_text("QUANT_TEST_LIMIT=1\nQUANT_TEST_HOST=from the file\n")
    monkeypatch.setattr(project, "ENV", "settings")
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("QUANT_TEST_LIMIT", "2")
    read = read_toml(file, "the file")
    assert (read["limit"], read["list"][0]) == ("2", "from the file")


def test_a_file_in_another_encoding_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes('a = "中文"'.encode("gb18030"))
    with pytest.raises(ConfigurationError, match=r"the file in .*x\.toml cannot be read"):
        read_toml(tmp_path / "x.toml", "the file")


def test_rate_limits_and_schedules_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits, schedules = tmp_path / "limits.toml", tmp_path / "schedules.toml"
    limits.write_text('[tushare.daily]\nper_minute = "${QUANT_TEST_PER_MINUTE}"\n')
    schedules.write_text('[daily_sync]\ncron = "${QUANT_TEST_CRON}"\non = "${QUANT_TEST_ON}"\n')
    with pytest.raises(ConfigurationError, match=r"limits\.toml, tushare, daily, per_minute: .*QUANT_TEST_PER_MINUTE"):
        policies(limits)
    with pytest.raises(ConfigurationError, match=r"schedules\.toml, daily_sync, cron: .*QUANT_TEST_CRON"):
        timetable.load(schedules)
    monkeypatch.setenv("QUANT_TEST_PER_MINUTE", "8")
    monkeypatch.setenv("QUANT_TEST_CRON", "0 18 * * *")
    monkeypatch.setenv("QUANT_TEST_ON", "false")
    assert policies(limits)["tushare"]["daily"].per_minute == 8
    assert (timetable.load(schedules)["daily_sync"].cron, timetable.load(schedules)["daily_sync"].on) == ("0 18 * * *", False)
