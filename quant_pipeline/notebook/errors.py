"""What a notebook is told of a slip: a sentence. IPython shows it alone, a script under its traceback as any error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from quant_pipeline.warehouse.errors import described

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
_OURS = "quant_pipeline."


class QueryError(ValueError):
    """Something that cannot be had as it was asked for; the text says why and what to do. Nothing was changed."""

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: what it shows in a traceback's place."""
        return [str(self)]


class NothingStored(QueryError):
    """What was asked for was never synced, or not for these days."""


class LateBeginning(UserWarning):
    """What was given begins later than it was asked to: what lies before was never synced. The text says what brings it."""


def in_sentences(function: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """The function, whose foreseen errors (the platform's own, the database's) leave it as QueryError."""

    @functools.wraps(function)
    def spoken(*arguments: Asked.args, **named: Asked.kwargs) -> Answer:
        try:
            return function(*arguments, **named)
        except QueryError:
            raise
        except Exception as error:
            words = _sentence(error)
            if words is None:
                raise
        raise QueryError(words)

    return spoken


def _sentence(error: Exception) -> str | None:
    """None: nobody foresaw it, and its traceback is worth more than a sentence."""
    if isinstance(error, ValueError | RuntimeError) and type(error).__module__.startswith(_OURS):
        return str(error)
    return described(error)
