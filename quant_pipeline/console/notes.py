"""Notes: lines above what a command shows."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from quant_pipeline.retelling import retold


def show_note(console: Console, text: str) -> None:
    """Prints what a person should know, and need not mend."""
    console.print(Text.assemble(("! ", "yellow"), retold(text)), highlight=False)
