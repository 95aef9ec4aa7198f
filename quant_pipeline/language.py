"""The language that people are addressed in, and the one catalogue of texts.

Texts stand in the code in English, as templates with named places: `say("{count} rows", count=3)`. What they are in
Chinese stands in `locale/zh/LC_MESSAGES/quant_pipeline.po` (gettext; `make texts` collects and compiles it) and nowhere
else.

What is kept for later readers (errors of units, reasons, findings of checks) is English, made by `told` of the same
catalogue; whoever shows it, in whichever language, does so by `retelling.retold`.
"""

from __future__ import annotations

import functools
import gettext
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, get_args

Language = Literal["zh", "en"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DOMAIN: Final = "quant_pipeline"
FOLDER: Final = Path(__file__).parent / "locale"
VARIABLE: Final = "QUANT_LANG"
_LOCALE = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_spoken: ContextVar[Language | None] = ContextVar("spoken", default=None)


def say(text: str, /, **figures: object) -> str:
    """The text in the current language, its places filled in. `text` is a literal, or one that was `marked`."""
    return _translations(current()).gettext(text).format_map(figures).replace("。。", "。")  # a figure may be a sentence


def say_many(one: str, many: str, /, count: int, **figures: object) -> str:
    """As `say`, of a number of things: `say_many("{count} call", "{count:,} calls", 3)`."""
    return _translations(current()).ngettext(one, many, count).format_map({"count": count, **figures})


def told(text: str, /, **figures: object) -> str:
    """The text in English, its places filled in: for what is kept, logged or raised in the depth, and shown by `retold`.

    Places named `count` and `total` hold numbers.
    """
    return text.format_map(figures)


def marked(text: str) -> str:
    """The text as it is: marks a literal for the catalogue that is said later, elsewhere."""
    return text


def marked_many(one: str, many: str) -> tuple[str, str]:
    """As `marked`, of a text with its plural."""
    return one, many


def plainly(text: str) -> str:
    """A text without places (help pages, whose braces are meant) in the current language; itself where it is not known."""
    return _translations(current()).gettext(text) if text else text


def chinese(text: str) -> str:
    """What a text without places is in Chinese, whoever reads: the pages and Dagster tell both. Itself where none is known."""
    return _translations("zh").gettext(text) if text else text


def current() -> Language:
    """The language in which the reader is addressed: `speaking`, QUANT_LANG, or the locale."""
    return _spoken.get() or _set() or _of_locale()


def of_messages() -> Language:
    """The language of what is written for later readers (messages, descriptions of assets): Chinese unless set."""
    return _set() or "zh"


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Within it texts are said in this language, whoever the reader at the terminal is."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def choose(language: Language) -> None:
    """The language of this process and of those that it starts from now on."""
    os.environ[VARIABLE] = language


def _set() -> Language | None:
    return known(os.environ.get(VARIABLE, ""))


def _of_locale() -> Language:
    """As gettext takes it: the first of these variables that is not empty."""
    written = next((value for name in _LOCALE if (value := os.environ.get(name))), "")
    return known(written) or "en"


def known(written: str) -> Language | None:
    """The language of `zh`, `zh_CN.UTF-8`, `en-GB`; None where it is none of the two."""
    return next((language for language in LANGUAGES if written[:2].lower() == language), None)


def catalogue(language: Language) -> Mapping[str, str]:
    """Every English text without a plural -> what it is in the language."""
    texts: Mapping[object, str] = getattr(_translations(language), "_catalog", {})  # gettext has no other way to see them all
    return {text: said for text, said in texts.items() if isinstance(text, str) and text}


@functools.cache
def _translations(language: Language) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, FOLDER, [language])
