"""A picture of a QR code as blocks for a terminal: its modules are found in the picture, whatever made it."""

from __future__ import annotations

import io
from typing import Any

_QUIET = 2
_SMALLEST, _LARGEST = 21, 177
"""Modules of a side: versions 1 to 40."""
_DARK = 128


def blocks(picture: bytes) -> str | None:
    """Lines of half blocks, dark on light; None where the picture is no QR code that can be read."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as image:
            grey = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, ValueError):
        return None
    dark = grey < _DARK
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not rows.size or not columns.size:
        return None
    code = dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    modules = _modules(code)
    return None if modules is None else _drawn(modules)


def _modules(code: Any) -> Any:
    """The modules of a cropped code. Its upper left corner is a finder: seven modules of dark in a row."""
    import numpy as np

    height, width = code.shape
    light = np.flatnonzero(~code[0])
    if not light.size or abs(height - width) > max(height, width) * 0.05:
        return None
    side = round(width / (light[0] / 7))
    side = round((side - 17) / 4) * 4 + 17
    if not _SMALLEST <= side <= _LARGEST:
        return None
    centres = ((np.arange(side) + 0.5) / side * np.array([[height], [width]])).astype(int)
    modules = code[np.ix_(centres[0], centres[1])]
    finder = modules[:7, :7]
    whole = finder[0].all() and finder[:, 0].all() and finder[2:5, 2:5].all() and not finder[1, 1:6].any()
    return modules if whole else None


def _drawn(modules: Any) -> str:
    import numpy as np

    padded = np.pad(modules, _QUIET)
    if len(padded) % 2:
        padded = np.pad(padded, ((0, 1), (0, 0)))
    shapes = {(False, False): "█", (True, False): "▄", (False, True): "▀", (True, True): " "}
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return "\n".join("".join(shapes[bool(up), bool(down)] for up, down in zip(*pair, strict=True)) for pair in pairs)
