"""Launchpads: the fields of a pydantic model as Dagster's config fields, with the same names, defaults and descriptions.

A `dg.Config` class per asset would say the same, but makes every field again for each of them: of all that a code location
loads, a third was that. Whoever made the model judges the values, in sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

import dagster as dg
import pydantic

from quant_pipeline.language import chinese

_SCALARS: Final = {bool: dg.BoolSource, int: dg.IntSource, float: float, str: dg.StringSource}
"""As Dagster takes them in a `dg.Config`: a variable of the environment will do, too ({env: NAME})."""


@cache
def fields_of(model: type[pydantic.BaseModel]) -> Mapping[str, dg.Field]:
    """Name -> field; every field of the model has a default. An enum is written by its words."""
    return {name: _field(field) for name, field in model.model_fields.items()}


def grouped(fields: Mapping[str, dg.Field], description: str) -> dg.Field:
    """The fields under one name, by default as they are by default."""
    defaults = {name: field.default_value for name, field in fields.items()}
    return dg.Field(dict(fields), is_required=False, default_value=defaults, description=description)


def _field(field: pydantic.fields.FieldInfo) -> dg.Field:
    kind, default = field.annotation, field.get_default(call_default_factory=True)
    if isinstance(default, Enum):
        kind, default = str, default.value
    if kind in _SCALARS:
        return dg.Field(_SCALARS[kind], is_required=False, default_value=default, description=_in_both(field.description))
    only: Any = (kind, pydantic.Field(default, description=_in_both(field.description)))
    return pydantic.create_model("Only", __base__=dg.Config, only=only).to_fields_dict()["only"]


def _in_both(description: str | None) -> str | None:
    """With the catalogue's Chinese behind it, where it has one; most descriptions bear their own."""
    told = chinese(description or "")
    return description if told == (description or "") else f"{description} {told}"
