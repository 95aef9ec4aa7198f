"""The commands find the same Dagster instance as `dg dev`: the folder with dagster.yaml, at or above the working folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quant_pipeline.resources.instance import InstanceError, prepare_environment


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # set, so that what the code puts there is taken back


def test_the_folder_with_dagster_yaml_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("module: quant_pipeline.resources.dagster_private")
    (tmp_path / "notebooks" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "mine")
    prepare_environment()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path)


def test_what_the_user_set_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    prepare_environment()
    assert os.environ["DAGSTER_HOME"] == str(tmp_path)


def test_outside_of_a_checkout_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InstanceError, match=r"no dagster\.yaml in .* or set DAGSTER_HOME"):
        prepare_environment()
