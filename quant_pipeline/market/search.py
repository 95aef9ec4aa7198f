"""Finding something by what a person types: its code, its Chinese name, its pinyin (贵州茅台: guizhoumaotai, gzmt, maotai)."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

_SIMILAR = 0.6
_PARTS_OF_CODES = (1, 7)
_WHOLE = 4
_BY_PINYIN = (_WHOLE, 5)


@dataclass(frozen=True)
class Named:
    """Something with a code (600519.SH, daily_kline) and a Chinese name."""

    code: str
    name: str


AnyNamed = TypeVar("AnyNamed", bound=Named)


def search(query: str, among: Iterable[AnyNamed], *, limit: int = 20) -> list[AnyNamed]:
    """What the query means, best first: the whole code or name, then how codes and names begin, what names contain, and
    pinyin, whole syllables and initials mixed as one likes, of the name's beginning and then of any part of it.

    Equally good ones keep the order of `among`. Capitals, blanks and full-width letters make no difference. A query of
    nothing finds nothing.
    """
    wanted = _folded(query)
    if not wanted:
        return []
    ranked = [(rank, each) for each in among if (rank := _rank(wanted, each)) is not None]
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])[:limit]]


def meant_by(query: str, among: Iterable[AnyNamed]) -> AnyNamed | None:
    """The one that is meant: the only one that the query fits best. None where several do as well, and where it is but the
    beginning of a code: half a code is a slip."""
    wanted = _folded(query)
    ranked = [(rank, each) for each in among if wanted and (rank := _rank(wanted, each)) is not None]
    best = min((rank for rank, _ in ranked), default=None)
    found = [each for rank, each in ranked if rank == best]
    if len(found) > 1 and best in _BY_PINYIN:  # 月 may be read rou, but who types r means 日
        found = [each for each in found if _spells(wanted, _folded(each.name), whole=best == _WHOLE, usual=True)]
    return found[0] if len(found) == 1 and best not in _PARTS_OF_CODES else None


def near(text: str, among: Iterable[AnyNamed], *, limit: int = 5) -> list[AnyNamed]:
    """What was perhaps meant: what `search` finds, or else the codes and names that are spelled most like the text."""
    candidates = list(among)
    if found := search(text, candidates, limit=limit):
        return found
    by_spelling: dict[str, AnyNamed] = {}
    for each in candidates:
        for spelling in (_folded(each.code), _folded(each.code).partition(".")[0], _folded(each.name)):
            by_spelling.setdefault(spelling, each)
    alike = difflib.get_close_matches(_folded(text), by_spelling, n=2 * limit, cutoff=_SIMILAR)
    return list(dict.fromkeys(by_spelling[spelling] for spelling in alike))[:limit]


def _rank(wanted: str, each: Named) -> int | None:
    """0 is the best; None: it is not meant."""
    code, name = _folded(each.code), _folded(each.name)
    if wanted in (code, code.partition(".")[0], name):
        return 0
    if code.startswith(wanted):
        return 1
    if name.startswith(wanted):
        return 2
    if wanted in name:
        return 3
    if not (wanted.isascii() and any(letter.isalpha() for letter in wanted)):
        return None
    starts = [at for at, character in enumerate(name) if wanted[0] in _initials(character)]
    if 0 in starts and _spells(wanted, name):
        return 4 if _spells(wanted, name, whole=True) else 5
    if any(_spells(wanted, name[at:]) for at in starts if at):
        return 6
    return 7 if wanted in code else None


def _spells(letters: str, name: str, *, whole: bool = False, usual: bool = False) -> bool:
    """Whether the letters are syllables, or beginnings of syllables, of the name's first characters (`whole`: of all;
    `usual`: as each is mostly read)."""
    if not letters:
        return not (whole and name)
    if not name:
        return False
    return any(
        _spells(letters[length:], name[1:], whole=whole, usual=usual)
        for reading in (_readings(name[0])[:1] if usual else _readings(name[0]))
        for length in _common(letters, reading)
    )


def _common(letters: str, reading: str) -> Iterator[int]:
    """How many of the letters may stand for the syllable: as many as agree, or fewer."""
    for length in range(1, min(len(letters), len(reading)) + 1):
        if letters[length - 1] != reading[length - 1]:
            return
        yield length


@cache
def _readings(character: str) -> Sequence[str]:
    """Every reading of a character (长: chang, zhang), without tones; of a Latin letter or a digit, itself."""
    if character.isascii():
        return (character,)
    from pypinyin import Style, pinyin  # 0.3 s: only for who types pinyin

    return tuple(pinyin(character, style=Style.NORMAL, heteronym=True)[0])


@cache
def _initials(character: str) -> frozenset[str]:
    return frozenset(reading[0] for reading in _readings(character))


@lru_cache(maxsize=100_000)
def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).lower()
