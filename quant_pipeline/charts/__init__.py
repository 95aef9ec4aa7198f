"""K-lines worth looking at: their figures as data, the interactive chart of the pages, the picture for Dagster and files."""
