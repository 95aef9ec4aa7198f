"""Codes and names as a person types them, for a list of any kinds of them: every slip is told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from quant_pipeline import settings
from quant_pipeline.charts.lookup import by_code
from quant_pipeline.console.choices import of_the_sandbox
from quant_pipeline.language import say
from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.market.listings import Kind, Listing, meant
from quant_pipeline.market.search import Named, meant_by, near
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.listings import listings

_ALIKE = 3
_TOLD = 10


class TypedError(ValueError):
    """Texts that mean no code; the words name each, with what was perhaps meant."""


@dataclass
class Typed:
    """What texts stand for: the codes in their order, in words what was taken for what, and of each text that means nothing
    the sentence that says so."""

    codes: list[Named] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)

    def known(self) -> list[Named]:
        """The codes. TypedError where a text means nothing."""
        if not self.unknown:
            return self.codes
        told = list(self.unknown.values())[:_TOLD]
        more = len(self.unknown) - len(told)
        raise TypedError(" ".join(told) + (say(" … and {count} more", count=more) if more else ""))


def typed(database: Database, texts: Iterable[str]) -> Typed:
    """The shares, indexes, funds and bonds that are meant: 600519, SH600519, 贵州茅台, gzmt.

    Before any list is synced, a code is what it is spelled like.
    """
    everything = listings(database)
    found = Typed()
    for text in dict.fromkeys(each.strip() for each in texts if each.strip()):
        hits: Sequence[Named] = by_code(database, text, everything) or _spelled(text, everything)
        one = hits[0] if hits else meant_by(text, everything)
        if one is None:
            found.unknown[text] = _not_known(text, everything)
            continue
        if one.code not in {each.code for each in found.codes}:
            found.codes.append(one)
        if others := [each for each in hits[1:] if each.name]:
            found.notes.append(
                say(
                    "{symbol}: taken as {code} {name}; write {other} for {other_name}",
                    symbol=text,
                    code=one.code,
                    name=one.name,
                    other=others[0].code,
                    other_name=others[0].name,
                )
            )
    return found


def among(texts: Iterable[str], held: Sequence[Named], database: Database) -> list[str]:
    """The codes of `held` that the texts mean; one that means another code stands for that. TypedError for what means none."""
    listed = [Listing(each.code, each.name, Kind.STOCK) for each in held]
    found, elsewhere = [], []
    for text in (each.strip() for each in texts):
        hits = meant(text, listed)
        one = hits[0] if hits else meant_by(text, listed)
        if one is None:
            elsewhere.append(text)
        else:
            found.append(one.code)
    return list(dict.fromkeys([*found, *(each.code for each in typed(database, elsewhere).known())]))


def _spelled(text: str, everything: Sequence[Listing]) -> list[Named]:
    if everything:
        return []
    try:
        return [Named(parse(text), "")]
    except CodeError:
        return []


def _not_known(text: str, everything: Sequence[Listing]) -> str:
    words = say("There is no code or name {text}.", text=text)
    if everything and settings.load().sandboxed:
        return words + of_the_sandbox(text, everything)
    if alike := near(text, everything, limit=_ALIKE):
        return words + say(" Did you mean {names}?", names=", ".join(f"{each.code} {each.name}" for each in alike))
    return words
