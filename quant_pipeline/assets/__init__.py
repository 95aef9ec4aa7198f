"""What is produced: thin Dagster declarations over the rooms below, a file per group of the lineage graph."""

import warnings

# Backfills in one run are marked as beta by Dagster: a user can do nothing about it, and would read it at every start.
warnings.filterwarnings("ignore", message=".*`backfill_policy`.*is currently in beta")
