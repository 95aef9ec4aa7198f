"""A vault in a real database, and a project's folder whose `.env` its key stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline import project
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's project, in which the test works."""
    (tmp_path / project.HOME).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "ENV", ".env")
    return tmp_path


@pytest.fixture
def vault(warehouse: Database) -> Vault:
    return Vault(warehouse)
