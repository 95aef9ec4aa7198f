"""QR codes: a picture for a page, blocks for a terminal."""

from __future__ import annotations

import io

_BORDER = 4
"""Light modules around it, as the standard wants; a terminal's own ground does for half of them."""


def png(text: str) -> bytes:
    """The text as a picture of some three hundred pixels, black on white."""
    import segno

    written = io.BytesIO()
    segno.make(text, micro=False, error="m").save(written, kind="png", scale=8, border=_BORDER)
    return written.getvalue()


def blocks(text: str) -> str:
    """The text as half blocks, a line for two rows of modules: light on dark, to be shown white on black."""
    import segno

    written = io.StringIO()
    segno.make(text, micro=False, error="m").terminal(written, border=_BORDER // 2, compact=True)
    return written.getvalue().rstrip("\n")
