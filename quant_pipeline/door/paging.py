"""Which page of a long list is asked for: `?page=2`; templates/paging.html leads to the others."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

Number = Annotated[int, Query(alias="page", ge=1, le=1_000_000)]
"""A route's parameter: `def page(request: Request, number: Number = 1)`."""
