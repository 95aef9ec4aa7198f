"""The console command's first lines, and `python -m quant_pipeline`: Ctrl-C is heard before anything else is imported."""

from __future__ import annotations

import signal


def _stop(number: int, frame: object) -> None:
    """Ends a command that has not begun, or has nothing to close: what it had open is rolled back by PostgreSQL."""
    del frame
    from quant_pipeline.console.interruption import end_now

    end_now(128 + number)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a background job's Ctrl-C is not meant for it, nor nohup's SIGHUP
            signal.signal(number, _stop)
    from quant_pipeline.loading import uncollected

    with uncollected():
        from quant_pipeline.cli import main as command

    command(prog_name="quant-pipeline")


if __name__ == "__main__":
    main()
