"""Revisions: where a database stands, what there is, and the way back, which loses nothing unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from quant_pipeline.cli import main
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.warehouse import revisions, schema
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.revisions import Revision
from quant_pipeline.warehouse.schema import SchemaError
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

SECOND = """\"\"\"Notes beside bars, and a table of them.\"\"\"
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9998", "{former}"
def upgrade():
    op.add_column("daily_kline", sa.Column("note", sa.Text))
    op.create_table("notes", sa.Column("words", sa.Text))
def downgrade():
    op.drop_column("daily_kline", "note")
    op.drop_table("notes")
    op.execute("DELETE FROM source_state WHERE api = 'note'")
"""
THIRD = """\"\"\"A fill-in that nobody can take back.\"\"\"
revision, down_revision = "9999", "9998"
def upgrade(): pass
"""


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The newest revision of this version; another one of the test follows it."""
    newest = schema.newest_revision()
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    (folder / "versions" / "9998_notes.py").write_text(SECOND.format(former=newest))
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    schema.fingerprint.cache_clear()
    return newest


@pytest.fixture(autouse=True)
def _own_fingerprint() -> object:
    yield
    schema.fingerprint.cache_clear()


def run(warehouse: Database, *statements: str) -> None:
    with warehouse.connect() as connection:
        for statement in statements:
            connection.execute(statement)


def columns(warehouse: Database) -> set[str]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'daily_kline'"
    return set(read_sql(warehouse, query)["column_name"])


def test_it_says_where_the_database_stands(warehouse: Database, ground: str) -> None:
    before = revisions.standing(warehouse)
    assert (before.revision, before.newest, before.mode, before.current) == (ground, "9998", "sandbox", False)
    assert [each.applied for each in revisions.revisions(warehouse)][:2] == [False, True]
    warehouse.upgrade()
    after = revisions.standing(warehouse)
    assert (after.revision, after.current, after.fingerprint) == ("9998", True, schema.fingerprint())
    assert revisions.revisions(warehouse)[0] == Revision("9998", "Notes beside bars, and a table of them.", True)


def test_what_holds_nothing_is_taken_back_and_made_again(warehouse: Database, ground: str) -> None:
    warehouse.upgrade()
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 2), source="tushare")
    assert revisions.downgrade(warehouse, ground) == []
    assert revisions.standing(warehouse).revision == ground
    assert "note" not in columns(warehouse)
    warehouse.upgrade()
    assert "note" in columns(warehouse)
    assert read_sql(warehouse, "SELECT count(*) FROM daily_kline").item() == 6


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("UPDATE daily_kline SET note = 'x' WHERE ts_code = '600001.SH'", "daily_kline.note"),
        ("INSERT INTO notes VALUES ('x')", "notes.words"),
        ("INSERT INTO source_state (source, api) VALUES ('ths', 'note')", "rows of source_state"),
    ],
    ids=["a column's values", "a table's rows", "rows"],
)
def test_what_would_be_lost_is_named_and_kept_unless_told_otherwise(
    warehouse: Database, ground: str, statement: str, lost: str
) -> None:
    warehouse.upgrade()
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 2), source="tushare")
    run(warehouse, statement)
    with pytest.raises(SchemaError, match=f"would lose {lost}: make a backup, and say --yes"):
        revisions.downgrade(warehouse, ground)
    assert "note" in columns(warehouse)
    assert revisions.standing(warehouse).revision == "9998"
    assert revisions.downgrade(warehouse, ground, even_if_rows_are_lost=True) == [lost]
    assert revisions.standing(warehouse).revision == ground


def test_what_cannot_be_taken_back_or_is_no_way_back_is_refused(warehouse: Database, ground: str) -> None:
    (schema.MIGRATIONS / "versions" / "9999_fill.py").write_text(THIRD)
    with pytest.raises(SchemaError, match=f"stands at revision {ground}, which is not after 9999"):
        revisions.downgrade(warehouse, "9999")
    warehouse.upgrade()
    with pytest.raises(SchemaError, match="revision 9999 cannot be taken back: restore a backup"):
        revisions.downgrade(warehouse, ground)
    with pytest.raises(SchemaError, match=f"there is no revision '12'; there are .*{ground}, 9998, 9999"):
        revisions.downgrade(warehouse, "12")
    assert revisions.standing(warehouse).revision == "9999"


def test_the_commands(warehouse: Database, ground: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUANT_DATABASE_URL", warehouse.url)
    monkeypatch.setenv("QUANT_HOME", str(tmp_path / "home"))
    warehouse.upgrade()
    run(warehouse, "INSERT INTO notes VALUES ('x')")

    def invoke(*arguments: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(main, ["db", *arguments])
        assert result.exit_code == exit_code, result.output
        return result.output

    assert json.loads(invoke("current", "--json"))["revision"] == "9998"
    assert "up to date" in invoke("current")
    assert json.loads(invoke("history", "--json"))["revisions"][0]["applied"]
    assert invoke("history").startswith("* 9998  Notes beside bars")
    assert "would lose notes.words" in invoke("downgrade", ground, exit_code=1)
    assert json.loads(invoke("downgrade", ground, "--yes", "--json")) == {"revision": ground, "lost": ["notes.words"]}
    assert "db upgrade" in invoke("current")
