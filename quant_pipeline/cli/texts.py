"""`python -m quant_pipeline.cli.texts` (`make texts`): collects the texts of the code into the catalogue, and compiles it.

Translations are written into the .po by hand; what is no longer said anywhere is taken out of it.
"""

from __future__ import annotations

import ast
import datetime as dt
import io
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from quant_pipeline import language
from quant_pipeline.cli import main
from quant_pipeline.cli.help import Command, Option, paragraphs
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.strategies.registry import registered
from quant_pipeline.sync.checks import checks_of

PACKAGE = Path(language.__file__).parent
PLACE = language.FOLDER / "zh" / "LC_MESSAGES" / f"{language.DOMAIN}.po"
COMPILED = PLACE.with_suffix(".mo")
_SAID = {"say": 1, "told": 1, "say_many": 2, "marked": 1, "marked_many": 2}
"""How many of the first arguments are texts."""
_BY_CLICK = {"_": (1,), "ngettext": (1, 2)}
_HEAD = r"""# The texts of quant_pipeline in Chinese. `make texts` adds what is new in the code with an empty msgstr,
# takes out what is no longer said, and compiles; only the msgstr lines are written by hand.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=1; plural=0;\n"

"""
_ALWAYS = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
Text = str | tuple[str, ...]


def renewed(known: Catalog) -> Catalog:
    """The catalogue of what the code says now, with the translations that are known."""
    catalogue = Catalog(locale="zh", domain=language.DOMAIN, fuzzy=False)
    for text in said():
        former = known.get(text if isinstance(text, str) else text[0])
        catalogue.add(text, former.string if former else None)
    for text in _said_by_click():
        former = known.get(text if isinstance(text, str) else text[0])
        if former and any(_translated(former)):
            catalogue.add(text, former.string)
    return catalogue


def said() -> Iterator[Text]:
    """Every text that the platform says: those marked in the code, what the specs say of themselves, and the help pages'."""
    yield from marked_in_code()
    for dataset in DATASETS.values():
        yield dataset.doc
        yield from (column.doc for column in dataset.stored_columns)
        yield from (rule.doc for rule in dataset.rules)
        yield from (check.doc for check in checks_of(dataset))
    yield from (
        strategy.doc for strategy in registered().strategies.values() if strategy.__module__.startswith("quant_pipeline.")
    )
    yield from _of_help(main)


def marked_in_code() -> Iterator[Text]:
    """The templates: what stands in `say`, `told`, `marked` and their plurals, where they are called (a variable may bear the
    name too)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and (count := _SAID.get(_name(call.func))):
                texts = [
                    each.value for each in call.args[:count] if isinstance(each, ast.Constant) and isinstance(each.value, str)
                ]
                if len(texts) == count:
                    yield texts[0] if count == 1 else tuple(texts)


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""


def written(catalogue: Catalog) -> bytes:
    """As the .po: sorted, a text a line, no places and dates, so that two changes of it meet without a conflict."""
    file = io.BytesIO()
    write_po(file, catalogue, width=0, no_location=True, sort_output=True, omit_header=True)
    return _HEAD.encode() + file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """As the .mo that gettext reads."""
    plain = Catalog(locale="zh", domain=language.DOMAIN, fuzzy=False, creation_date=_ALWAYS, revision_date=_ALWAYS)
    for message in catalogue:
        if message.id and any(_translated(message)):
            plain.add(message.id, message.string)
    file = io.BytesIO()
    write_mo(file, plain)
    return file.getvalue()


def read(path: Path = PLACE) -> Catalog:
    """The catalogue as it was written by hand."""
    with path.open("rb") as file:
        return read_po(file, locale="zh", domain=language.DOMAIN)


def lacking(catalogue: Catalog) -> list[Text]:
    """Texts without a translation."""
    return [_id(message) for message in catalogue if message.id and not all(_translated(message))]


def _of_help(command: click.Command) -> Iterator[str]:
    if isinstance(command, Command):
        yield from (text for _, text in paragraphs(command.written) if text and not _is_example(text))
    yield from (each.written for each in command.params if isinstance(each, Option) and each.written)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _of_help(inner)


def _is_example(paragraph: str) -> bool:
    """Lines to type: the same in every language."""
    return all("quant-pipeline " in line and not line.startswith(" ") for line in paragraph.splitlines())


def _said_by_click() -> Iterator[Text]:
    spec = find_spec("click")
    assert spec is not None
    assert spec.origin is not None
    for _, _, text, _, _ in extract_from_dir(
        Path(spec.origin).parent, [("**.py", "python")], keywords=_BY_CLICK, comment_tags=()
    ):
        yield text


def _id(message: Message) -> Text:
    return message.id if isinstance(message.id, str) else tuple(message.id)


def _translated(message: Message) -> tuple[str, ...]:
    return tuple(map(str, message.string)) if isinstance(message.string, tuple | list) else (str(message.string or ""),)


def _main() -> None:
    catalogue = renewed(read())
    PLACE.write_bytes(written(catalogue))
    COMPILED.write_bytes(compiled(catalogue))
    if missing := lacking(catalogue):
        print(f"{PLACE}: to be translated:", *missing, sep="\n  ")
        sys.exit(1)


if __name__ == "__main__":
    _main()
