"""`python -m quant_pipeline.door HOST PORT`: serves the pages and says nothing, as one of the servers of `ui`."""

from __future__ import annotations

import sys

from quant_pipeline.loading import load_when_used, uncollected

if __name__ == "__main__":
    load_when_used("aiohttp")  # Socket.IO's library brings its client along, which needs it
    with uncollected():
        from quant_pipeline import logbook, settings
        from quant_pipeline.door import server
    host, port = sys.argv[1], int(sys.argv[2])
    current = settings.load()
    logbook.keep(current)
    with server.listen(host, port) as listening:
        server.serve(current, listening, host)
