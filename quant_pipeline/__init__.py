"""A Dagster data platform for China A-shares."""

__version__ = "0.1.0"
