"""The lake: the tables' rows as Parquet, a file per data set and year, for fast reads. A copy, never a second truth.

`snapshot` reads: a year from its file where that is current, from PostgreSQL where not, all of one moment. `sync` writes,
`state` tells which files are current.
"""

from quant_pipeline.warehouse.lake.files import folder_of
from quant_pipeline.warehouse.lake.snapshot import Snapshot, snapshot
from quant_pipeline.warehouse.lake.state import KeptFile, state
from quant_pipeline.warehouse.lake.sync import LakeError, Written, sync

__all__ = ["KeptFile", "LakeError", "Snapshot", "Written", "folder_of", "snapshot", "state", "sync"]
