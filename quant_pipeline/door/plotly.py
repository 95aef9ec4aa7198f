"""plotly's JavaScript, out of its own Python package: no page loads it from another host."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

PATH = f"/plotly-{version('plotly')}.min.js"
"""Its address; it changes with the version, so that browsers may keep it for long. Templates know it as `plotly_path`."""

router = APIRouter()


@router.get(PATH)
def script() -> FileResponse:
    found = importlib.util.find_spec("plotly")  # not imported: it takes a second
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": "public, max-age=31536000, immutable"})
