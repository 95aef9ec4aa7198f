"""Settings and life cycle for the rooms below, as Dagster resources: one file per outside system."""
