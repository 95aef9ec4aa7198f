"""Reconciliation by code: its rows were sums over codes, and are now the values that differ. The next run writes them anew."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drops the table: it is made again as its spec has it."""
    op.execute("DROP TABLE IF EXISTS reconciliation")


def downgrade() -> None:
    """Drops it too: the version before makes its own."""
    op.execute("DROP TABLE IF EXISTS reconciliation")
