"""What is produced: thin Dagster declarations over the rooms below, a file per group of the lineage graph."""
