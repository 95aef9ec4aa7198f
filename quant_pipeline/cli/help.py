"""Commands and options whose help is English in the code and said in the reader's language; each takes --lang."""

from __future__ import annotations

import gettext
import inspect
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click

from quant_pipeline import language

_OPTION = "--lang"
_OF_GETTEXT = "LANGUAGE"
_FIXED = "\b\n"
_STOPS = "，。：；、）》」”！？"
_PIECES = re.compile(rf"\s+|[（《「“]*(?:[\u2e80-\uffef]|[^\s\u2e80-\uffef]+)[{_STOPS}]*")
"""What no line is broken in: a wide letter or a word, with the brackets before and the stops behind it."""


class Formatter(click.HelpFormatter):
    """Breaks lines of Chinese by the cells that they take, between letters and never within a word or before a stop."""

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{heading}{'：' if language.current() == 'zh' else ':'}\n")

    def write_text(self, text: str) -> None:
        super().write_text(_broken(text, self.width - self.current_indent))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        listed = list(rows)
        first = min(max((len(name) for name, _ in listed), default=0), col_max) + col_spacing
        width = max(self.width - first - 2, 10)
        super().write_dl([(name, _broken(second, width)) for name, second in listed], col_max, col_spacing)


class Context(click.Context):
    formatter_class = Formatter


class _Said:
    """The attribute `help`: as it was written in the code, read in the reader's language, paragraph by paragraph."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        written = None if owner is None else owner.__dict__.get("_help")
        return written and "\n\n".join(fixed + language.plainly(text) for fixed, text in paragraphs(written))

    def __set__(self, owner: Any, text: str | None) -> None:
        owner.__dict__["_help"] = text


def paragraphs(help: str) -> Iterator[tuple[str, str]]:
    """Of a docstring: each is a text of the catalogue, behind click's mark where its lines are to stay as they are."""
    for each in inspect.cleandoc(help).split("\n\n"):
        yield (_FIXED, each.removeprefix(_FIXED)) if each.startswith(_FIXED) else ("", " ".join(each.split()))


class Option(click.Option):
    help = _Said()

    @property
    def written(self) -> str:
        """The help as it stands in the code."""
        return self.__dict__.get("_help") or ""


class Command(click.Command):
    context_class = Context
    help = _Said()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params.append(_lang(hidden=not isinstance(self, Group)))

    @property
    def written(self) -> str:
        """The help as it stands in the code."""
        return self.__dict__.get("_help") or ""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """click makes it once, in the language of then."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = language.plainly("Show this message and exit.")
        return option

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """The first sentence."""
        first = " ".join((self.help or "").partition("\n\n")[0].split())
        return first.partition("。")[0].partition(". ")[0].rstrip(".")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        listen(args)
        return super().parse_args(ctx, args)


class Group(Command, click.Group):
    command_class = Command
    group_class = type

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Within it the environment says the language: to click, and to the processes that are started."""
        former = {name: os.environ.get(name) for name in (language.VARIABLE, _OF_GETTEXT)}
        try:
            _settle()
            _lend_to_click()
            return super().main(*arguments, **named)
        finally:
            for name, value in former.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def listen(args: Sequence[str]) -> None:
    """Takes the language out of the arguments before anything is said, wherever it stands among them."""
    for place, argument in enumerate(args):
        name, _, value = argument.partition("=")
        if argument == "--":
            return
        if name == _OPTION:
            wanted = value or next(iter(args[place + 1 :]), "")
            if wanted in language.LANGUAGES:
                language.choose(wanted)
                _lend_to_click()


def option(*names: str, **named: Any) -> Callable[[Any], Any]:
    """As click's, with a help that is said in the reader's language."""
    return click.option(*names, cls=Option, **named)


def _lang(*, hidden: bool) -> click.Option:
    return Option(
        [_OPTION],
        type=click.Choice(language.LANGUAGES),
        expose_value=False,
        hidden=hidden,
        help="Language of help, messages and summaries (default: QUANT_LANG, or the locale).",
    )


def _settle() -> None:
    """QUANT_LANG may stand in the project's .env, as any other setting."""
    written = os.environ.get(language.VARIABLE) or _in_the_project()
    if not written:
        return
    if (chosen := language.known(written)) is None:
        click.echo(language.say("QUANT_LANG={written} is neither zh nor en: it is left aside", written=written), err=True)
    else:
        language.choose(chosen)


def _in_the_project() -> str | None:
    from quant_pipeline import project

    if (file := project.env_file()) is None:
        return None
    from dotenv import dotenv_values

    return dotenv_values(file).get(language.VARIABLE)


def _lend_to_click() -> None:
    """click says its own texts ("Usage:", "No such option") through gettext's global domain: it is this catalogue."""
    gettext.bindtextdomain(language.DOMAIN, str(language.FOLDER))
    gettext.textdomain(language.DOMAIN)
    os.environ[_OF_GETTEXT] = language.current()


def _broken(text: str, width: int) -> str:
    """The text with lines of at most so many cells, where it has wide letters; what is not to be broken, or has none, as
    it is: click breaks that."""
    return "\n\n".join(
        _FIXED + "\n".join(_lines(" ".join(each.split()), width)) if any(map(_wide, each)) and not _fixed(each) else each
        for each in text.split("\n\n")
    )


def _fixed(paragraph: str) -> bool:
    return paragraph.startswith(_FIXED.strip("\n"))


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _PIECES.findall(text):
        if line and _cells(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece if line else piece.lstrip()
    yield line.rstrip()


def _cells(text: str) -> int:
    return sum(2 if _wide(letter) else 1 for letter in text)


def _wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
