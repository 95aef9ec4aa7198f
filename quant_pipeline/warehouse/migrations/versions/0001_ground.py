"""The ground: the tables as they stood when revisions began."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing stood before."""
