"""The vault: sealed at rest, under one key at a time; what it refuses changes nothing; a rotation is all or nothing."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from quant_pipeline import settings
from quant_pipeline.vault import keeping, key_file, keys
from quant_pipeline.vault.errors import Damaged, NoKey, NoRecord, VaultError, WeakKey, WrongKey
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database

PASSWORD = "sandbox-Geheim-4711"
COMMAND = "quant-pipeline vault init"
_ITERATIONS = keys.ITERATIONS


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of the environment."""
    made = keys.made().reveal()
    monkeypatch.setenv("SECRET_KEY", made)
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A derivation takes a third of a second on purpose; but for the tests that look at it, nobody waits for that."""
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)


@pytest.fixture
def as_slow_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ITERATIONS", _ITERATIONS)


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return connection.execute("SELECT kind, name, salt, iterations, sealed FROM vault_records ORDER BY 1, 2").fetchall()


def dumped(database: Database) -> str:
    with database.connect() as connection:
        return str(connection.execute("SELECT vault_records::text, convert_from(sealed, 'UTF8') FROM vault_records").fetchall())


def test_what_is_kept_comes_back_as_it_was_given(vault: Vault, key: str) -> None:
    del key
    vault.put("token", "wecom", PASSWORD)
    vault.put("ths_session", "default", {"cookies": {"ticket": "sandbox-ticket"}, "中文": 1}, about={"method": "qr"})
    assert vault.get("token", "wecom") == PASSWORD
    assert vault.get("ths_session", "default") == {"cookies": {"ticket": "sandbox-ticket"}, "中文": 1}
    assert [(each.kind, each.name, each.about) for each in vault.records()] == [
        ("ths_session", "default", {"method": "qr"}),
        ("token", "wecom", {}),
    ]


@pytest.mark.usefixtures("as_slow_as_it_is")
def test_at_rest_nothing_of_it_can_be_read_and_each_record_has_a_salt_of_its_own(
    vault: Vault, warehouse: Database, key: str
) -> None:
    vault.put("token", "one", PASSWORD)
    vault.put("token", "other", PASSWORD)
    stored = rows(warehouse)
    assert PASSWORD not in dumped(warehouse)
    assert key not in dumped(warehouse)
    assert len({row[2] for row in stored}) == len(stored) == 3
    assert all(isinstance(row[3], int) and row[3] >= 600_000 for row in stored)
    vault.put("token", "one", PASSWORD)
    assert {row[2] for row in rows(warehouse)} != {row[2] for row in stored}, "a new salt each time it is sealed"


def test_the_key_is_derived_once_in_a_process_for_each_record(vault: Vault, key: str) -> None:
    del key
    vault.put("token", "wecom", PASSWORD)
    derived = keys._fernet.cache_info().misses
    assert [vault.get("token", "wecom") for _ in range(5)] == [PASSWORD] * 5
    assert keys._fernet.cache_info().misses == derived


def test_the_derivation_is_pbkdf2_with_the_record_s_salt(vault: Vault, warehouse: Database, key: str) -> None:
    """As the cryptography library does it, from what stands in the table: another program can open a record."""
    import base64

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    vault.put("token", "wecom", PASSWORD)
    ((_, _, salt, iterations, sealed),) = [row for row in rows(warehouse) if row[0] == "token"]
    assert isinstance(iterations, int)
    derived = PBKDF2HMAC(hashes.SHA256(), 32, bytes(salt), iterations).derive(key.encode())  # type: ignore[call-overload]
    assert PASSWORD.encode() in Fernet(base64.urlsafe_b64encode(derived)).decrypt(bytes(sealed))  # type: ignore[call-overload]


def test_without_a_key_a_sentence_names_the_command_that_makes_one(vault: Vault, warehouse: Database) -> None:
    for refused in (lambda: vault.put("token", "wecom", PASSWORD), lambda: vault.get("token", "wecom"), vault.check):
        with pytest.raises(NoKey, match=COMMAND) as raised:
            refused()
        assert PASSWORD not in str(raised.value)
    assert rows(warehouse) == []


@pytest.mark.parametrize("weak", ["short", "changeme", "a" * 64, "abc" * 20])
def test_a_weak_key_is_refused_and_not_shown(
    vault: Vault, warehouse: Database, monkeypatch: pytest.MonkeyPatch, weak: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", weak)
    with pytest.raises(WeakKey, match=COMMAND) as raised:
        vault.put("token", "wecom", PASSWORD)
    assert weak not in str(raised.value)
    assert rows(warehouse) == []


def test_another_key_opens_nothing_and_overwrites_nothing(
    vault: Vault, warehouse: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put("token", "wecom", PASSWORD)
    before = rows(warehouse)
    other = keys.made().reveal()
    monkeypatch.setenv("SECRET_KEY", other)
    for refused in (
        lambda: vault.put("token", "wecom", "sandbox-other"),
        lambda: vault.put("token", "new", "sandbox-other"),
        lambda: vault.get("token", "wecom"),
        lambda: vault.take("token", "wecom"),
        lambda: vault.rotate(keys.made()),
        vault.check,
    ):
        with pytest.raises(WrongKey, match=COMMAND) as raised:
            refused()
        assert other not in str(raised.value)
    assert rows(warehouse) == before
    monkeypatch.setenv("SECRET_KEY", key)
    assert vault.get("token", "wecom") == PASSWORD


def test_a_record_that_was_moved_to_another_name_is_not_taken_for_that_one(vault: Vault, warehouse: Database, key: str) -> None:
    del key
    vault.put("token", "mine", PASSWORD)
    with warehouse.connect() as connection:
        connection.execute("UPDATE vault_records SET name = 'yours' WHERE name = 'mine'")
    with pytest.raises(Damaged, match="forget token yours"):
        vault.get("token", "yours")


def test_what_is_not_there_is_said(vault: Vault, key: str) -> None:
    del key
    with pytest.raises(NoRecord, match="vault list"):
        vault.get("token", "wecom")
    assert not vault.forget("token", "wecom")


def test_what_lives_for_a_while_is_gone_after_that_and_what_is_taken_is_taken_once(
    vault: Vault, warehouse: Database, key: str
) -> None:
    del key
    vault.put("ths_code", "default", "246810", lives=dt.timedelta(minutes=5))
    assert vault.holds("ths_code", "default")
    assert vault.take("ths_code", "default") == "246810"
    with pytest.raises(NoRecord):
        vault.take("ths_code", "default")
    vault.put("ths_code", "default", "135790", lives=dt.timedelta(minutes=5))
    with warehouse.connect() as connection:
        connection.execute("UPDATE vault_records SET expires_at = now() - interval '1 second' WHERE kind = 'ths_code'")
    assert not vault.holds("ths_code", "default")
    assert vault.records() == []
    with pytest.raises(NoRecord):
        vault.get("ths_code", "default")
    vault.put("token", "wecom", PASSWORD)
    assert [row[0] for row in rows(warehouse)] == ["token", "vault"], "the next writer clears it away"


def test_init_makes_a_key_for_its_owner_only_and_writes_it_once(vault: Vault, folder: Path) -> None:
    (folder / ".env").write_text("QUANT_LANG=zh\n# mine\nSECRET_KEY=\n")
    file = keeping.init(vault)
    assert file == folder / ".env"
    text = file.read_text()
    assert re.fullmatch(r"QUANT_LANG=zh\n# mine\nSECRET_KEY=[\w-]{43}\n", text)
    assert file.stat().st_mode & 0o777 == 0o600
    vault.put("token", "wecom", PASSWORD)
    assert keeping.init(vault) is None
    assert file.read_text() == text


def test_init_makes_no_second_key_for_a_vault_that_has_one(vault: Vault, folder: Path) -> None:
    keeping.init(vault)
    vault.put("token", "wecom", PASSWORD)
    (folder / ".env").unlink()
    with pytest.raises(VaultError, match="forget --all"):
        keeping.init(vault)
    assert not (folder / ".env").exists()
    assert vault.forget_all() == 1
    assert keeping.init(vault) is not None
    vault.put("token", "wecom", PASSWORD)
    assert vault.get("token", "wecom") == PASSWORD


def test_rotate_seals_everything_under_a_new_key(vault: Vault, warehouse: Database, folder: Path) -> None:
    keeping.init(vault)
    former = key_file.written("SECRET_KEY")
    vault.put("token", "wecom", PASSWORD)
    vault.put("token", "bark", "sandbox-bark", about={"why": "phone"})
    before = rows(warehouse)
    done = keeping.rotate(vault)
    assert done == keeping.Rotated(2, folder / ".env")
    assert key_file.written("SECRET_KEY") != former
    assert key_file.written("SECRET_KEY_NEXT") is None
    assert not {row[4] for row in before} & {row[4] for row in rows(warehouse)}
    assert vault.get("token", "wecom") == PASSWORD
    assert vault.records()[0].about == {"why": "phone"}


def test_a_key_of_the_environment_is_moved_by_hand(vault: Vault, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.put("token", "wecom", PASSWORD)
    with pytest.raises(VaultError, match="SECRET_KEY_NEXT"):
        keeping.rotate(vault)
    following = keys.made().reveal()
    monkeypatch.setenv("SECRET_KEY_NEXT", following)
    assert keeping.rotate(vault) == keeping.Rotated(1, None)
    assert vault.get("token", "wecom") == PASSWORD, "both are set: it opens before the keys are moved, too"
    monkeypatch.setenv("SECRET_KEY", following)
    monkeypatch.delenv("SECRET_KEY_NEXT")
    assert vault.get("token", "wecom") == PASSWORD
    monkeypatch.setenv("SECRET_KEY", key)
    with pytest.raises(WrongKey):
        vault.get("token", "wecom")


_ROTATE = """
import sys
from quant_pipeline.settings import Mode
from quant_pipeline.vault import keeping
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database
keeping.rotate(Vault(Database(sys.argv[1], Mode.SANDBOX)))
"""
_STUCK = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_a_rotation_that_is_killed_in_the_middle_changes_nothing_and_is_finished_by_the_next(
    vault: Vault, warehouse: Database, folder: Path
) -> None:
    """Two of three records are sealed anew when SIGKILL comes: it waits for the third, which another holds."""
    keeping.init(vault)
    former = key_file.written("SECRET_KEY")
    for name in ("a", "b", "c"):
        vault.put("token", name, f"{PASSWORD}-{name}")
    before = rows(warehouse)
    with warehouse.connect() as holder, warehouse.connect(autocommit=True) as watch:
        holder.execute("SELECT FROM vault_records WHERE name = 'c' FOR UPDATE")
        process = subprocess.Popen(
            [sys.executable, "-c", _ROTATE, warehouse.url], cwd=folder, env=os.environ | {"QUANT_HOME": str(folder / ".quant")}
        )
        deadline = time.monotonic() + 60
        while not watch.execute(_STUCK).fetchall()[0][0]:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert rows(warehouse) == before
    assert key_file.written("SECRET_KEY") == former
    assert [vault.get("token", name) for name in "abc"] == [f"{PASSWORD}-{name}" for name in "abc"]
    following = key_file.written("SECRET_KEY_NEXT")
    assert keeping.rotate(vault).records == 3
    assert key_file.written("SECRET_KEY") == following
    assert vault.get("token", "c") == f"{PASSWORD}-c"
    # Killed after the transaction, before the key took its place: it opens, and the next call only moves the key.
    key_file.write({"SECRET_KEY": following, "SECRET_KEY_NEXT": (third := keys.made()).reveal()})
    assert vault.rotate(third) == 3
    assert vault.get("token", "c") == f"{PASSWORD}-c"
    assert keeping.rotate(vault).records == 0
    assert key_file.written("SECRET_KEY") == third.reveal()
    assert vault.get("token", "c") == f"{PASSWORD}-c"
    assert settings.load().secret_key_next is None


@pytest.mark.usefixtures("folder")
def test_a_second_rotation_waits_for_the_first_and_writes_no_key_over_its_own(
    vault: Vault, warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first has made its key and not written it yet, the second has looked at nothing."""
    keeping.init(vault)
    vault.put("token", "a", PASSWORD)
    looked: list[str] = []
    made = keys.made

    def slowly() -> keys.Key:
        second = threading.Thread(target=lambda: looked.append(str(keeping.rotate(Vault(warehouse)).records)))
        monkeypatch.setattr(keys, "made", made)
        second.start()
        waiting.append(second)
        with warehouse.connect(autocommit=True) as watch:
            while not watch.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall()[0][
                0
            ]:
                assert second.is_alive(), "it did not wait"
        assert key_file.written("SECRET_KEY_NEXT") is None
        return made()

    waiting: list[threading.Thread] = []
    monkeypatch.setattr(keys, "made", slowly)
    assert keeping.rotate(vault).records == 1
    waiting[0].join(60)
    assert looked == ["1"]
    assert vault.get("token", "a") == PASSWORD
    assert key_file.written("SECRET_KEY_NEXT") is None


def test_a_writer_of_the_former_key_does_not_write_after_a_rotation(
    vault: Vault, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put("token", "wecom", PASSWORD)
    following = keys.made()
    vault.rotate(following)
    with pytest.raises(WrongKey):
        vault.put("token", "wecom", "sandbox-late")
    monkeypatch.setenv("SECRET_KEY", following.reveal())
    assert vault.get("token", "wecom") == PASSWORD
    assert key not in repr(keys.known())
    assert following.reveal() not in repr(following)


def test_a_kill_while_the_key_is_written_leaves_the_file_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("SECRET_KEY=former\n")

    def full(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        key_file.write({"SECRET_KEY": "new"})
    assert (folder / ".env").read_text() == "SECRET_KEY=former\n"


def test_many_who_write_first_at_once_are_under_one_seal(warehouse: Database, key: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    del key
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: Vault(warehouse).put("token", str(number), PASSWORD), range(4)))
    assert [Vault(warehouse).get("token", str(number)) for number in range(4)] == [PASSWORD] * 4
