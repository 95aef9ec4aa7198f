"""How much a message matters: what waits for the morning, and what wakes a person."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """The most urgent first."""

    CRITICAL = "critical"
    """Work has stopped, or a person must act: it is sent at any hour."""
    WARNING = "warning"
    INFO = "info"

    @property
    def urgency(self) -> int:
        """0 goes first."""
        return list(Severity).index(self)
