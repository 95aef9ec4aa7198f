"""The language of texts: which it is, and that the catalogue says all that the code says."""

from __future__ import annotations

import ast
import datetime as dt
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from click.testing import CliRunner

from quant_pipeline import language, project, timetable
from quant_pipeline.cli import main, texts
from quant_pipeline.configuration import read_toml
from quant_pipeline.market import clock, codes
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.sources.controls import priority_of

RENEW = "`make texts`, translate what it names in the .po, and again `make texts`"
SAYING = ("say", "say_many", "told", "marked", "marked_many")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(autouse=True)
def _no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (language.VARIABLE, "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def test_every_text_has_its_chinese() -> None:
    assert texts.lacking(texts.renewed(texts.read())) == [], RENEW


def test_the_catalogue_holds_what_is_said_and_is_compiled() -> None:
    catalogue = texts.renewed(texts.read())
    assert texts.PLACE.read_bytes() == texts.written(catalogue), RENEW
    assert texts.COMPILED.read_bytes() == texts.compiled(catalogue), RENEW


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def marked() -> Iterator[Message]:
    catalogue = texts.read()
    for text in texts.marked_in_code():
        message = catalogue.get(text if isinstance(text, str) else text[0])
        assert message is not None, RENEW
        yield message


def test_translations_fill_the_same_places() -> None:
    for message in marked():
        if message.pluralizable:
            *_, many = message.id
            (chinese,) = message.string
        else:
            many, chinese = message.id, message.string
        assert places(chinese) == places(many), many


def test_texts_are_said_in_one_piece() -> None:
    """An f-string, or a text put together, would never be found in the catalogue."""
    for path in texts.PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SAYING:
                assert isinstance(call.args[0], ast.Constant | ast.Name | ast.Attribute | ast.Subscript), (path, call.lineno)


@pytest.mark.parametrize(
    ("environment", "spoken", "of_messages"),
    [
        ({}, "en", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "zh", "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en", "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en", "zh"),
        ({"LANG": "zh_CN.UTF-8", "QUANT_LANG": "en"}, "en", "en"),
        ({"LANG": "C", "QUANT_LANG": "zh"}, "zh", "zh"),
    ],
    ids=str,
)
def test_the_language_is_the_user_s(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], spoken: str, of_messages: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (language.current(), language.of_messages()) == (spoken, of_messages)


def test_a_text_is_said_with_its_figures_and_numbers() -> None:
    with language.speaking("en"):
        assert language.say("of {nobody} known", nobody="a text") == "of a text known"
        assert [language.say_many("{count} thing", "{count:,} things", n) for n in (1, 2000)] == ["1 thing", "2,000 things"]
    with language.speaking("zh"):
        assert language.plainly("Show the version and exit.") == "显示版本并退出。"


@pytest.mark.parametrize("arguments", [("--lang", "zh", "status", "-h"), ("status", "-h", "--lang=zh")], ids=" ".join)
def test_lang_is_heard_before_and_behind_the_command(arguments: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, arguments).output
    assert "用法：" in text
    assert "显示此帮助并退出" in text
    english = CliRunner().invoke(main, ["status", "-h"]).output
    assert not CHINESE.search(english), "the language of one command is not the next one's"
    assert "Usage:" in english


@pytest.mark.parametrize("written", ["zh", "zh_CN.UTF-8"])
def test_the_language_may_stand_in_the_project_s_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str) -> None:
    (tmp_path / ".env").write_text(f"QUANT_LANG={written}\n", encoding="utf-8")
    monkeypatch.setattr(project, "ENV", ".env")
    monkeypatch.chdir(tmp_path)
    assert "用法：" in CliRunner().invoke(main, ["status", "-h"]).output
    assert "Usage:" in CliRunner().invoke(main, ["status", "-h", "--lang", "en"]).output


def test_a_setting_that_is_no_language_of_ours_is_told_and_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_LANG", "fr")
    result = CliRunner().invoke(main, ["status", "-h"])
    assert result.stderr == "QUANT_LANG=fr is neither zh nor en: it is left aside\n"
    assert "Usage:" in result.stdout


def test_another_language_is_refused() -> None:
    result = CliRunner().invoke(main, ["status", "--lang", "fr"])
    assert result.exit_code == 2
    assert "'zh', 'en'" in result.output


def test_help_lines_of_chinese_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    from rich.cells import cell_len

    text = CliRunner().invoke(main, ["sync", "--help", "--lang", "zh"]).output
    assert max(map(cell_len, text.splitlines())) <= 80


def _slip(written: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        (folder / "schedules.toml").write_text(written, encoding="utf-8")
        return timetable.load(folder / "schedules.toml")

    return read


DAY = dt.date(2026, 11, 20)
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "code": (lambda _: codes.parse("60000"), "不是证券代码，请写 600000.SH"),
    "index": (lambda _: codes.parse("399001"), "指数须带市场后缀"),
    "market": (lambda _: codes.parse("600000.SZ"), "请写 600000.SH"),
    "calendar": (
        lambda _: Calendar([DAY], last=DAY).is_session(dt.date(2027, 1, 4)),
        "请先运行 quant-pipeline sync --datasets trade_cal",
    ),
    "clock": (lambda _: clock.now(), "QUANT_NOW='tomorrow' 不是日期时间"),
    "priority": (lambda _: priority_of("tushare", {"tushare": []}), "请写 tushare=1（1 最先，1000 最后，0 停用）"),
    "source": (lambda _: priority_of("tushar=1", {"tushare": []}), "没有数据源 'tushar'。您是否想写 tushare？"),
    "file": (lambda folder: read_toml(folder / "x.toml", language.say("the schedules")), "无法读取时间设置"),
    "variable": (_slip('[daily_sync]\ncron = "${NOT A NAME}"'), "不是变量名，请写 ${NAME}"),
    "cron": (_slip('[daily_sync]\ncron = "19:00"'), "schedules.toml, [daily_sync]: '19:00' 不是五段 cron 表达式"),
    "job": (_slip('[dayly_sync]\ncron = "0 19 * * *"'), "没有任务 'dayly_sync'"),
}


@pytest.mark.parametrize(("refused", "words"), REFUSED.values(), ids=REFUSED)
def test_a_command_s_error_line_is_in_the_reader_s_language(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Callable[[Path], object], words: str
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "tomorrow")
    with language.speaking("zh"), pytest.raises(ValueError, match=re.escape(words)):
        refused(tmp_path)
    with language.speaking("en"), pytest.raises(ValueError) as refusal:  # noqa: PT011
        refused(tmp_path)
    assert not CHINESE.search(str(refusal.value))


def test_the_package_ships_its_catalogue() -> None:
    package = Path(language.__file__).parent
    assert (package / "locale" / "zh" / "LC_MESSAGES" / "quant_pipeline.mo").is_file()
    assert "locale/*/LC_MESSAGES/*" in (package.parent / "pyproject.toml").read_text(encoding="utf-8")
