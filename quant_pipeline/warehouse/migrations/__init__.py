"""Alembic revisions, for changes of what stands already: a rename, another type, a fill-in of values.

A new data set, column or index needs none: what the specs have and the database lacks is added after the revisions
(`warehouse/schema.py`). A new database is made from the specs whole and begins at the newest revision.
A new revision is a file `versions/NNNN_what.py`; `script.py.mako` is its template.
"""
