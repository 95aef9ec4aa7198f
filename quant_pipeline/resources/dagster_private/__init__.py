"""What is private to Dagster, and nothing else: every use of a part that its makers may change without a word.

Dagster is pinned to a minor version in pyproject.toml. When that is raised, this is the folder to go through: each use says
what breaks when it changes, and the tests that break with it. names.py has what every code location needs; what Dagster
itself loads, as dagster.yaml names it, stands in the files beside, with the libraries that it takes: storage.py, launcher.py,
files.py; handlers.py is the commands'. switches.py asks for what people switched in the UI. books.py reads Dagster's tables
without Dagster.
"""
