"""What was kept in one language, said to a reader of another.

Errors of units, reasons of sources and findings of checks are kept as English sentences (`language.told`): SQL, the log and
other programs read them, they are grouped and compared by the codes that stand beside them, and who will read them, in which
language, is not known when they are written. To show one is to find the template of the catalogue that made it and to fill
its translation with the same figures. So there is no second copy of a text, no second column, and what older versions kept
is shown alike. Foreign words (a source's, PostgreSQL's) and names stay as they are. The other way round, what Dagster keeps
in the language of messages is said to an English reader.
"""

from __future__ import annotations

import functools
import re
import string
from dataclasses import dataclass

from quant_pipeline.language import Language, catalogue, current, of_messages, speaking

_FIGURES = ("count", "total")
_LEAST = 6
"""Letters (of Chinese: two a piece) below which a template says too little to be known again."""
_CLASS = re.compile(r"(.+) (\[\w+\])", re.DOTALL)
_NAMED = re.compile(r"([a-z0-9_.]+): (.+)", re.DOTALL)
"""A sentence about a source's API, a data set: it is known as a whole, its brackets too."""
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class _Way:
    """How texts are put together in the language that they come from, and in that which they are said in."""

    between: tuple[tuple[str, str], ...]
    bracketed: re.Pattern[str]
    brackets: tuple[str, str]
    colon: tuple[str, str]


_WAYS = {
    "zh": _Way((("\n", "\n"), ("; ", "；")), re.compile(r"(.+?) \((.+)\)", re.DOTALL), ("（", "）"), (": ", "：")),
    "en": _Way((("\n", "\n"), ("；", "; ")), re.compile(r"(.+?)（(.+)）", re.DOTALL), (" (", ")"), ("：", ": ")),
}


def retold(text: str) -> str:
    """The text in the current language, as far as it was made of texts of the catalogue; else as it is."""
    language = current()
    return text if language == "en" and not _CHINESE.search(text) else _retold(text, language)


def for_readers(text: str) -> str:
    """As `retold`, in the language of what is read later: messages, Dagster's pages."""
    with speaking(of_messages()):
        return retold(text)


class _Value(str):
    """A figure that is formatted already."""

    def __format__(self, form: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class _Template:
    kept: str
    said: str
    literals: tuple[str, ...]

    def filled(self, text: str, language: Language) -> str | None:
        """What it is in the language, where it made the text."""
        if not all(literal in text for literal in self.literals):
            return None
        found = _pattern(self.kept).fullmatch(text)
        if found is None:
            return None
        said = self.said.format_map({name: _Value(_retold(value, language)) for name, value in found.groupdict().items()})
        return said.replace("。。", "。")


def _retold(text: str, language: Language) -> str:
    if " " not in text and not _CHINESE.search(text):
        return text  # a name, a code
    if (exact := _known(language).get(text)) is not None:
        return exact
    filled = (template.filled(text, language) for template in _templates(language))
    return next((each for each in filled if each is not None), None) or _by_parts(text, language)


def _by_parts(text: str, language: Language) -> str:
    """A text that was put together of several."""
    way = _WAYS[language]
    for between, shown in way.between:
        if between in text:
            parts = text.split(between)
            said = [_retold(part, language) for part in parts]
            return shown.join(said) if said != parts else text
    if classed := _CLASS.fullmatch(text):
        return f"{_retold(classed[1], language)} {classed[2]}"
    if (named := _NAMED.fullmatch(text)) and (sentence := _retold(named[2], language)) != named[2]:
        return f"{named[1]}{way.colon[1]}{sentence}"
    if bracketed := way.bracketed.fullmatch(text):
        before, inner = (_retold(part, language) for part in bracketed.groups())
        if (before, inner) != bracketed.groups():
            return before + way.brackets[0] + inner + way.brackets[1]
    head, between, tail = text.partition(way.colon[0])
    said_tail = _retold(tail, language)
    return f"{_retold(head, language)}{way.colon[1]}{said_tail}" if between and said_tail != tail else text


@functools.cache
def _known(language: Language) -> dict[str, str]:
    """Text of the other language -> what it is in this one."""
    chinese = catalogue("zh")
    return dict(chinese) if language == "zh" else {said: text for text, said in chinese.items()}


@functools.cache
def _templates(language: Language) -> tuple[_Template, ...]:
    """The texts with places, those that say most first."""
    found = (_Template(text, said, _literals(text)) for text, said in _known(language).items() if "{" in text)
    known = [each for each in found if sum(map(_weight, each.literals)) >= _LEAST]
    return tuple(sorted(known, key=lambda each: -sum(map(len, each.literals))))


def _weight(literal: str) -> int:
    return sum(letter.isalpha() for letter in literal) + len(_CHINESE.findall(literal))


def _literals(text: str) -> tuple[str, ...]:
    try:
        return tuple(literal for literal, *_ in string.Formatter().parse(text) if literal)
    except ValueError:  # a help page, whose braces are meant
        return ()


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    parts: list[str] = []
    seen: set[str] = set()
    for literal, name, _, _ in string.Formatter().parse(text):
        parts.append(re.escape(literal))
        if name is not None:
            place = r"[0-9][0-9,.]*" if name in _FIGURES else ".*?"
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{place})")
            seen.add(name)
    return re.compile("".join(parts), re.DOTALL)
