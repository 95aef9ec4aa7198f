"""Names that every code location needs, and what materializations are marked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
    from dagster_shared.error import SerializableErrorInfo as ErrorInfo

    __all__ = ["AssetJob", "ErrorInfo"]
    # Names for type hints alone: `define_asset_job` returns the one, a failed step's event holds the other. When they move,
    # mypy says so, and nothing else breaks.

ADHOC_JOB: Final = "__ASSET_JOB"
"""Dagster's name for runs from the asset pages and backfills. Changed: such runs would take the one sync slot, and be
refused while another goes on (test_definitions.py)."""

NOT_TO_BE_TOLD_AGAIN: Final = SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
"""The mark on an output for which Dagster writes no materialization of its own (it uses it for observations). Changed: every
session of a backfill would show two materializations (test_dataset_asset.py, test_daily_sync.py)."""


CODE_LOCATION: Final = "quant_pipeline"
"""The code location's name: what `ui` gives it, and workspace.yaml. Changed: no run of a command stands under its job."""
LAUNCHED_BY_TAG: Final = "user"
"""Run tag that Dagster's pages show as who launched the run. Changed: the runs of commands are said to be "Manually launched"
(test_ui.py)."""
HIDDEN: Final = f"{HIDDEN_TAG_PREFIX}quant/"
"""What tags begin with that readers of Dagster's pages need not see. Changed: rows of runs are full of them (test_ui.py)."""
COMMAND_TAG: Final = f"{HIDDEN}command"
"""Run tag: the command that asked for the run. Changed: as `HIDDEN`."""


def version_tags(version: str, inputs: Mapping[dg.AssetKey, str], seen: int) -> dict[str, str]:
    """The tags of a materialization that say which version its rows have, and what of the assets before it they rest on.

    `inputs`: their versions, of those without partitions; of the others counts what the event log held, up to its record
    `seen`. By itself Dagster writes these tags on the events that it makes at a step's end, and none on those that a step
    logs: to a session it would compare times, and call all sessions out of date with every new listing. Changed names of the
    tags: it does so again (test_status.py).
    """
    rests_on = {get_input_data_version_tag(key): version for key, version in inputs.items()}
    pointers = {get_input_event_pointer_tag(key): str(seen) for key in inputs}
    # Without a code version Dagster takes no notice of the rest.
    own = {DATA_VERSION_TAG: version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true", CODE_VERSION_TAG: "1"}
    return own | rests_on | pointers


def now_in_the_log(instance: dg.DagsterInstance) -> int:
    """The number of the event log's last record. Changed: as `version_tags`."""
    return instance.event_log_storage.get_maximum_record_id() or 0
