"""`doctor` tells whether the vault opens, and of logins that need their owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from quant_pipeline.console.doctor import accounts
from quant_pipeline.console.doctor.findings import Patient, State
from quant_pipeline.market import clock
from quant_pipeline.settings import load
from quant_pipeline.ths.accounts import Accounts
from quant_pipeline.ths.accounts import State as Login
from quant_pipeline.vault import keys
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database


@pytest.fixture
def patient(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.setenv("QUANT_HOME", str(tmp_path))
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    return Patient(load())


def test_a_vault_that_nobody_uses_is_no_trouble_and_one_that_does_not_open_is(
    patient: Patient, warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accounts.vault(patient).state is State.OK
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    Vault(warehouse).put("token", "wecom", "sandbox-secret")
    found = accounts.vault(patient)
    assert (found.state, found.facts) == (State.OK, {"records": 1})
    for other in (keys.made().reveal(), "weak", None):
        monkeypatch.delenv("SECRET_KEY") if other is None else monkeypatch.setenv("SECRET_KEY", other)
        found = accounts.vault(patient)
        assert found.state is State.FAILED
        assert "quant-pipeline vault init" in found.words


def test_a_login_that_is_not_there_is_optional_and_one_that_waits_is_told(patient: Patient, warehouse: Database) -> None:
    assert accounts.ths(patient).state is State.OK
    known = Accounts(warehouse)
    known.begun("default")
    known.move("default", Login.EXPIRED, "a first login that failed")
    assert accounts.ths(patient).facts == {}
    known.move("default", Login.ACTIVE, "as a test wants it", changes={"logged_in_at": clock.now()})
    assert accounts.ths(patient).state is State.OK
    known.move("default", Login.WAITING_FOR_PERSON, "as a test wants it")
    found = accounts.ths(patient)
    assert (found.state, found.facts) == (State.WARNING, {"default": "waiting_for_person"})
    assert found.advice.endswith("`quant-pipeline ths login qr`")
    known.begun("wang")
    known.move("wang", Login.EXPIRED, "as a test wants it", changes={"logged_in_at": clock.now()})
    known.move("default", Login.ACTIVE, "as a test wants it")
    assert accounts.ths(patient).advice.endswith("`quant-pipeline ths login qr --account wang`")
