"""What each of Dagster's servers loads, for a process from which they are forked: it starts no thread.

Changed names: each server loads Dagster for itself, and the pages of `ui` come seconds later (test_supervision.py).
"""

from __future__ import annotations

from quant_pipeline.loading import load_when_used, uncollected

load_when_used("polars")  # it starts threads
with uncollected():
    import dagster._cli
    import dagster._grpc.client
    import dagster._grpc.proxy_server
    import dagster._grpc.server  # noqa: F401

    from quant_pipeline.resources.dagster_private import files, launcher, storage  # noqa: F401  (dagster.yaml names them)
