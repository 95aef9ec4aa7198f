"""What Dagster keeps in files: under QUANT_HOME, for its owner only. Named in dagster.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData

from quant_pipeline import settings
from quant_pipeline.home import made


class QuantArtifacts(LocalArtifactStorage):
    """Where Dagster keeps what it writes to files: under QUANT_HOME, wherever the command was started.

    The same class as by default, whose folder is fixed in the yaml. Changed module or constructor: no Dagster command starts.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantArtifacts:
        del config_value
        return cls(str(_private_folder()), inst_data)


class QuantComputeLogs(LocalComputeLogManager):
    """What runs print, under QUANT_HOME, readable by their owner only: an error's text may hold more than it should.

    What a command prints is its terminal's: `captures` is off there. (Dagster would turn the process's output to a file, and
    show it through `tail` processes, which Ctrl-C ends before the last line.)

    Changed `capture_logs` or the paths' names: the files would be made by Dagster, and be readable by everybody who can enter
    the folder; that is nobody else, as it is the owner's too (quant_pipeline_tests/resources/test_run_logs.py).
    """

    captures = True

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> QuantComputeLogs:
        del config_value
        return cls(str(_private_folder() / "logs"), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        if not self.captures:
            yield CapturedLogContext(log_key)
            return
        for extension in ("out", "err", "complete"):
            path = Path(self.get_captured_local_path(log_key, extension))
            for folder in (path.parents[1], path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if extension != "complete":  # that one is made when the capture ends, and is empty
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with super().capture_logs(log_key) as captured:
            yield captured


def leave_output_alone(instance: dg.DagsterInstance) -> None:
    """What this process prints stays where it goes, also in a run: the process is a command with somebody at its terminal."""
    if isinstance(instance.compute_log_manager, QuantComputeLogs):
        instance.compute_log_manager.captures = False


def _private_folder() -> Path:
    """Dagster's folder in QUANT_HOME; its former files, too, can be reached by nobody else."""
    folder = made(settings.load().home / "dagster")
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder
