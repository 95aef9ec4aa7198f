"""What a person wrote and cannot be used (a setting, a parameter), field by field, in his language."""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from quant_pipeline.language import marked, say

_WORDS: Final = {
    "enum": marked("it must be {expected}"),
    "literal_error": marked("it must be {expected}"),
    "int_parsing": marked("it must be a whole number"),
    "int_type": marked("it must be a whole number"),
    "int_from_float": marked("it must be a whole number"),
    "float_parsing": marked("it must be a number"),
    "float_type": marked("it must be a number"),
    "bool_parsing": marked("it must be true or false"),
    "bool_type": marked("it must be true or false"),
    "string_type": marked("it must be a text"),
    "greater_than": marked("it must be greater than {gt}"),
    "greater_than_equal": marked("it must be at least {ge}"),
    "less_than": marked("it must be less than {lt}"),
    "less_than_equal": marked("it must be at most {le}"),
    "extra_forbidden": marked("there is no such field"),
    "missing": marked("it is missing"),
}
"""pydantic's kind of error -> what it means, with pydantic's own figures."""
_OURS = "Value error, "
_OF_A_NAME = re.compile(r"[A-Za-z_ ${}-]{1,28}")


def mistyped(name: str) -> str:
    """A name that nobody knows, as it was written; only its beginning where it may be a secret that was put in its place."""
    return name if _OF_A_NAME.fullmatch(name) else f"{name[:3]}…"


def problems(error: ValidationError, whole: str = "") -> str:
    """Each field with what is wrong in it; `whole` names what is wrong as a whole."""
    return "; ".join(
        f"{_place(each) or whole}: {_words(each['type'], each.get('ctx', {}), each['msg'])}" for each in error.errors()
    )


def _place(each: ErrorDetails) -> str:
    return ".".join(mistyped(str(part)) for part in each["loc"])


def first_problem(error: ValidationError) -> str:
    """What is wrong in the first field, without its name."""
    first = error.errors()[0]
    return _words(first["type"], first.get("ctx", {}), first["msg"])


def _words(kind: str, figures: dict[str, object], words: str) -> str:
    return say(_WORDS[kind], **figures) if kind in _WORDS else words.removeprefix(_OURS)
