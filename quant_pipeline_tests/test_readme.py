"""Every command block of the README and of the documents' pages, run in its order on a small sandbox.

What the pages of docs/ sync is planned only (`--dry-run`): the README's own commands sync. A block that only a person can run
stands under `<!-- by hand: why -->`: its commands are read as the program reads them, not run.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from quant_pipeline import settings
from quant_pipeline.cli import main
from quant_pipeline.exports.objects import ObjectStoreSettings
from quant_pipeline.exports.registry import ExportsSettings
from quant_pipeline.exports.vnpy import VnpySettings
from quant_pipeline.quotes.settings import QuotesSettings
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.settings import Settings
from quant_pipeline.sources.registry import priority_variable, registered
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.assets.platform import LATEST, Platform, installed
from quant_pipeline_tests.door.served import served
from quant_pipeline_tests.reader import Reader

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("quickstart", "commands", "pages", "data", "rehearsing", "strategies", "backtests", "exports")
    ),
    *(f"docs/{name}.md" for name in ("accounts", "watchlists", "notifications", "alerts", "rest", "tushare")),
]
_OF_A_NOTEBOOK = ("README.md", "docs/data.md", "docs/backtests.md")
"""Where Python is for a reader to run as it stands; elsewhere it is of a file of his own (see test_recipes.py)."""
_OF_A_SCRIPT = "docs/tushare.md"
"""Where it is run by a process of its own: `quant_pipeline.tushare` sets Tushare's module for the whole process."""
_CONTROL, _DOOR = "http://127.0.0.1:8765/control", "http://127.0.0.1:8000"
"""Where the documents have the sandbox's control, and `serve`."""
BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"(?:^<!-- by hand: (?P<why>.+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_OFF = ["auction", "etf_list", "etf_daily", "etf_adj", "convertible_bonds", "cb_daily", "ths_hot"]
WITHOUT = ",".join([*_OFF, "ths_concepts", "ths_industries", "ths_members"])
"""The reader is in a hurry."""
_MAKE = dict(re.findall(r"^(\w+):.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
"""Target -> its recipe."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its lines without comments, and why only a person can run it ("": a test can)."""

    place: str
    language: str
    lines: tuple[str, ...]
    text: str
    by_hand: str


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            lines = [re.sub(r"(^|\s+)#\s.*", "", line).rstrip() for line in found["text"].splitlines()]
            place = f"{page}:{text.count(chr(10), 0, found.start('text')) + 1}"
            yield Block(place, found["language"], tuple(filter(None, lines)), found["text"], found["why"] or "")


BLOCKS = list(blocks())
RUN = [block for block in BLOCKS if not block.by_hand and block.language in {"bash", "sql", "python"}]
BY_HAND = [block for block in BLOCKS if block.by_hand]


@pytest.fixture(scope="module")
def shell(database: Database, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A reader's folder, over a small market of which all is synced but the last sessions."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "dagster.yaml", folder)
    with installed(database, home, Exchange(codes=60, first_year=2025)) as platform, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        patch.setenv("COLUMNS", "200")
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        patch.chdir(folder)
        patch.setenv("BAOSTOCK_PRIORITY", "2")
        patch.setenv("QUANT_WITHOUT", WITHOUT)
        (folder / ".quant" / "sandbox").mkdir(parents=True)
        (folder / ".quant" / "sandbox" / "control.token").write_text(platform.sandbox.control_token)
        platform.all_but(3, of=len(platform.calendar.between(dt.date(2025, 1, 2), LATEST)))
        yield platform


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words name, and what is given to it."""
    command, rest = main, words
    if rest[:1] == ["--lang"]:
        rest = rest[2:]
    while rest and isinstance(command, click.Group) and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no command {' '.join(words)}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def in_words(line: str) -> list[list[str]]:
    """The commands of a line; what `make` runs instead of its name."""
    found = []
    for part in line.split(";"):
        words = shlex.split(part)
        if words[:1] == ["make"]:
            recipe = _MAKE[words[1]]
            words = shlex.split(recipe.splitlines()[0].strip().lstrip("@").replace("$(BIN)/", ""))
        found.append(words)
    return found


@pytest.fixture(scope="module")
def reader(shell: Platform) -> Iterator[Reader]:
    with served(settings.load(), shell.database) as door, pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUANT_TUSHARE_URL", f"{door}/dataapi")
        yield Reader(shell, Path.cwd(), patch, door)


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.place)
def test_a_block_does_what_it_says(block: Block, reader: Reader) -> None:
    shell = reader.platform
    reader.comes_to(block.place.partition(":")[0])
    if block.language == "sql":
        assert shell.rows(block.text), block.place
    elif block.language == "python":
        if block.place.startswith(_OF_A_NOTEBOOK):
            (text,) = _of_this_market([block.text], reader)
            exec(compile(text, block.place, "exec"), {})
        elif block.place.startswith(_OF_A_SCRIPT):
            (text,) = _of_this_market([block.text], reader)
            script = [sys.executable, "-W", "ignore", "-c", text.replace(_DOOR, reader.door)]
            ran = subprocess.run(script, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, ran
    elif any(line.startswith(("curl", "C=")) for line in block.lines):
        lines = [line.replace(_CONTROL, shell.sandbox.control_url).replace(_DOOR, reader.door) for line in block.lines]
        script = "\n".join(["set -e", *_of_this_market(lines, reader)])
        ran = subprocess.run(["bash", "-c", script.replace("curl ", "curl -sSf ")], capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
    else:
        for line in block.lines:
            for words in in_words(line):
                planned = words[1:2] == ["sync"] and not block.place.startswith("README")
                _runs([*_of_this_market(words, reader), *(["--dry-run"] if planned and "--dry-run" not in words else [])])


def _of_this_market(words: list[str], reader: Reader) -> list[str]:
    """The documents' shares as shares that the small market has."""
    for documented, here in reader.names().items():
        words = [word.replace(documented, here) for word in words]
    return words


def _runs(words: list[str]) -> None:
    assert words[0] == "quant-pipeline", words
    if words[1:3] == ["db", "psql"]:  # it becomes psql: a process of its own
        ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stderr.count("\n")) == (0, 1), ran
        assert ran.stderr.startswith("SANDBOX"), "whatever shows its numbers says so"
        return
    words, file = _into_a_file(words)
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, (words, result.output, result.exception)
    if file is not None:
        file.write_text(result.stdout, encoding="utf-8")


def _into_a_file(words: list[str]) -> tuple[list[str], Path | None]:
    """What the shell takes off a command: `> file` at its end."""
    return (words[:-2], Path(words[-1])) if words[-2:-1] == [">"] else (words, None)


@pytest.mark.parametrize("block", BY_HAND, ids=lambda block: block.place)
def test_what_only_a_person_can_run_exists(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cookies.json").touch()
    for line in block.lines:
        for words in in_words(line):
            if words[0] == "quant-pipeline":
                command, rest = command_of(_into_a_file(words)[0][1:])
                with command.make_context(words[-1], rest):  # what the program refuses fails here, with its sentence
                    continue
            if words[0] != "eval":
                assert shutil.which(words[0], path=f"{BIN}{os.pathsep}{os.environ['PATH']}"), line


def test_an_option_that_stands_in_the_text_exists() -> None:
    for page in [*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")]:
        for named in re.findall(r"`(quant-pipeline [^`]+)`", _BLOCK.sub("", page.read_text(encoding="utf-8"))):
            command, rest = command_of(named.split()[1:])
            parameters = command.get_params(click.Context(command))
            options = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
            assert set(re.findall(r"--[\w-]+", " ".join(rest))) <= options, (page.name, named)


def test_no_page_with_a_command_is_left_out() -> None:
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md") if "```bash" in page.read_text(encoding="utf-8")}
    assert {page for page in pages if not page.endswith(".zh.md")} <= {*PAGES}, "the twins have the same blocks (test_docs.py)"


def test_every_command_stands_in_the_documents() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, command in main.commands.items():
        names = [f"{name} {each}" for each in command.commands] if isinstance(command, click.Group) else [name]
        for each in names:
            assert f"`{each}" in written, each


SETTINGS = sorted(
    {field.alias or "" for field in Settings.model_fields.values()}
    | {"QUANT_LANG", "QUANT_NOW"}
    | {priority_variable(source.name) for source in registered().sources.values()}
    | {field.alias or "" for source in registered().sources.values() for field in source.settings.model_fields.values()}
)


OF_EXPORTS = sorted(
    field.alias or "" for kind in (ExportsSettings, ObjectStoreSettings, VnpySettings) for field in kind.model_fields.values()
)


OF_QUOTES = sorted(field.alias or "" for field in QuotesSettings.model_fields.values())


@pytest.mark.parametrize("variable", OF_QUOTES)
def test_every_setting_of_the_quotes_is_explained(variable: str) -> None:
    assert re.search(rf"^#{variable}=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("variable", OF_EXPORTS)
def test_every_setting_of_the_exports_is_explained(variable: str) -> None:
    assert re.search(rf"^#{variable}=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    for page in ("exports.md", "exports.zh.md"):
        assert variable in (ROOT / "docs" / page).read_text(encoding="utf-8"), page


@pytest.mark.parametrize("variable", SETTINGS)
def test_every_setting_is_explained(variable: str) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.search(rf"^#{variable}=", example, re.MULTILINE)
    for readme in ("README.md", "README.zh-CN.md"):
        rows = [line for line in (ROOT / readme).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
        assert any(f"`{variable}`" in row.split("|")[1] for row in rows), readme


def test_no_document_names_a_setting_that_does_not_exist(tmp_path: Path) -> None:
    for block in BLOCKS:
        if block.language == "ini":
            (tmp_path / ".env").write_text(block.text, encoding="utf-8")
            assert set(dotenv_values(tmp_path / ".env")) <= {*SETTINGS, *OF_EXPORTS, *OF_QUOTES}, block.place
