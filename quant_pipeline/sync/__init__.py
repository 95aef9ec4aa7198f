"""The sync engine: plans units of work, fetches them at the sources' pace, judges, commits and records them."""
