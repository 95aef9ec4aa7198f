"""The language of texts: which it is, and that the catalogue says all that the code says."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from click.testing import CliRunner

from quant_pipeline import language, project
from quant_pipeline.cli import main, texts

RENEW = "`make texts`, translate what it names in the .po, and again `make texts`"
SAYING = ("say", "say_many", "marked", "marked_many")
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
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ("say", "say_many", "marked", "marked_many")
            ):
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


def test_the_language_may_stand_in_the_project_s_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("QUANT_LANG=zh\n", encoding="utf-8")
    monkeypatch.setattr(project, "ENV", ".env")
    monkeypatch.chdir(tmp_path)
    assert "用法：" in CliRunner().invoke(main, ["status", "-h"]).output
    assert "Usage:" in CliRunner().invoke(main, ["status", "-h", "--lang", "en"]).output


def test_another_language_is_refused() -> None:
    result = CliRunner().invoke(main, ["status", "--lang", "fr"])
    assert result.exit_code == 2
    assert "'zh', 'en'" in result.output


def test_help_lines_of_chinese_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    from rich.cells import cell_len

    text = CliRunner().invoke(main, ["sync", "--help", "--lang", "zh"]).output
    assert max(map(cell_len, text.splitlines())) <= 80


def test_the_package_ships_its_catalogue() -> None:
    package = Path(language.__file__).parent
    assert (package / "locale" / "zh" / "LC_MESSAGES" / "quant_pipeline.mo").is_file()
    assert "locale/*/LC_MESSAGES/*" in (package.parent / "pyproject.toml").read_text(encoding="utf-8")
