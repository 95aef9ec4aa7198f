"""What each of Dagster's servers loads, for a process from which they are forked: it starts no thread.

Changed names: the servers load it one by one, and `ui` starts two seconds later (test_nursery.py).
"""

from __future__ import annotations

from quant_pipeline.loading import uncollected

with uncollected():
    import dagster._cli
    import dagster._grpc.proxy_server
    import dagster._grpc.server  # noqa: F401
