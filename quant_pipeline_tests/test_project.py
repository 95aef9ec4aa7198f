"""Where settings, dagster.yaml and home are found; where none is, nothing is made, and the folders looked at are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from quant_pipeline import home, project, settings, timetable
from quant_pipeline.cli import main
from quant_pipeline.settings import NoProject

MARKS = {
    ".quant": None,
    "dagster.yaml": "storage: {custom: {module: quant_pipeline.resources.dagster_private}}",
    ".env": "# mine\nexport QUANT_MODE=live\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of nobody, in which the process works, two levels deep."""
    monkeypatch.setattr(project, "ENV", ".env")
    for name in ("QUANT_HOME", "DAGSTER_HOME", "QUANT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    below = tmp_path / "mine" / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return tmp_path / "mine"


def mark(folder: Path, name: str) -> None:
    text = MARKS[name]
    if text is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_text(text)


@pytest.mark.parametrize("name", MARKS)
def test_a_project_is_found_from_below(folder: Path, name: str) -> None:
    mark(folder, name)
    assert project.found() == project.Project(folder, folder / ".quant")
    assert settings.load().home == folder / ".quant"
    assert settings.load().mode == ("live" if name == ".env" else "sandbox")


def test_the_nearest_one_counts(folder: Path) -> None:
    mark(folder, ".env")
    mark(folder / "notebooks", ".quant")
    assert settings.load().home == folder / "notebooks" / ".quant"


@pytest.mark.parametrize(("name", "text"), [("dagster.yaml", "telemetry: {enabled: false}"), (".env", "DJANGO_SECRET=1\n")])
def test_what_is_somebody_elses_is_passed_by(folder: Path, name: str, text: str) -> None:
    (folder / "notebooks" / name).write_text(text)
    assert project.found() is None
    mark(folder, ".quant")
    assert settings.load().home == folder / ".quant"


def test_a_path_in_the_file_stands_beside_the_file_and_one_in_the_environment_for_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("QUANT_HOME=data\nQUANT_RATE_LIMITS=limits.toml\nQUANT_SCHEDULES=~/times.toml\n")
    current = settings.load()
    assert (current.home, current.rate_limits) == (folder / "data", folder / "limits.toml")
    assert current.schedules == Path.home() / "times.toml"
    monkeypatch.setenv("QUANT_HOME", "here")
    assert settings.load().home == folder / "notebooks" / "deep" / "here"


def test_the_folder_of_quant_home_is_the_project_where_the_working_folder_is_nobodys(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder.parent / "other"
    other.mkdir()
    for name in MARKS:
        mark(other, name)
    monkeypatch.setenv("QUANT_HOME", str(other / ".quant"))
    assert (settings.load().home, settings.load().mode) == (other / ".quant", "live")
    assert project.dagster_folder() == other


def test_the_users_configuration_comes_last(folder: Path) -> None:
    configuration = folder.parent / "XDG_CONFIG_HOME" / "quant-pipeline"
    configuration.mkdir(parents=True)
    mark(configuration, ".env")
    assert settings.load().mode == "live"
    assert settings.load().home == folder.parent / "XDG_DATA_HOME" / "quant-pipeline"
    mark(folder, ".quant")
    assert (settings.load().mode, settings.load().home) == ("sandbox", folder / ".quant")


def test_schedules_are_those_of_the_project(folder: Path) -> None:
    mark(folder, ".quant")
    (folder / "schedules.toml").write_text('[daily_sync]\ncron = "1 18 * * *"\n')
    assert timetable.load(None)["daily_sync"].cron == "1 18 * * *"


@pytest.mark.parametrize("arguments", [("status",), ("db", "url"), ("db", "upgrade"), ("history",), ("run",)], ids=" ".join)
def test_where_there_is_none_the_folders_are_told_and_nothing_is_made(folder: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("quant-pipeline: no project of quant_pipeline is found")
    for path in (folder / "notebooks" / "deep", folder, folder.parent / "XDG_CONFIG_HOME" / "quant-pipeline"):
        assert str(path) in line
    assert "set QUANT_HOME" in line
    assert sorted(path.name for path in folder.rglob("*")) == ["deep", "notebooks"]


def test_python_is_told_the_same(folder: Path) -> None:
    with pytest.raises(NoProject, match=str(folder)):
        settings.load()


def test_the_sandbox_may_have_the_working_folder(folder: Path) -> None:
    assert settings.load(or_here=True).home == folder / "notebooks" / "deep" / ".quant"


def test_a_home_that_cannot_be_used_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").touch()
    for path, told in {
        folder / "file": f"{folder / 'file'} is a file, not a folder: set QUANT_HOME to a folder of yours",
        folder / "file" / "below": f"{folder / 'file'} is a file, not a folder: set QUANT_HOME to a folder of yours",
        folder / ("x" * 300): "the path of QUANT_HOME is too long for this machine: set it to a shorter one",
        Path("/proc/quant"): "/proc/quant cannot be made (No such file or directory): set QUANT_HOME to a folder of yours",
        Path("/sys/quant"): "/sys/quant cannot be written to: set QUANT_HOME to a folder of yours",
    }.items():
        with pytest.raises(home.HomeError) as raised:
            home.made(path)
        assert str(raised.value) == told
        monkeypatch.setenv("QUANT_HOME", str(path))
        result = CliRunner().invoke(main, ["db", "url"])
        assert (result.exit_code, result.stderr) == (1, f"quant-pipeline: {told}\n")


def test_settings_are_made_once_until_something_they_are_made_of_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("QUANT_MODE=live\n")
    first = settings.load()
    assert settings.load() is first
    (folder / ".env").write_text("QUANT_SERVE_PORT=8100\n")
    assert (settings.load().mode, settings.load().serve_port) == ("sandbox", 8100)
    monkeypatch.setenv("QUANT_SERVE_PORT", "8200")
    assert settings.load().serve_port == 8200
    monkeypatch.setenv("QUANT_HOME", "here")
    monkeypatch.chdir(folder)
    assert settings.load().home == folder / "here"
