"""A folder of files that changes as a whole: written beside the one that is read, then put in its place in one step.

    exports/sandbox/qlib -> .qlib.7      what readers open: a link to the present generation
    exports/sandbox/.qlib.7/             its files, and manifest.json, which was written last
    exports/sandbox/.qlib.6/             the one before: who opened it reads on; the next change removes it

Files that did not change are shared with the generation before (hard links; copies where the disk has none).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from quant_pipeline.exports.contract import ExportError, Origin
from quant_pipeline.language import say

MANIFEST = "manifest.json"


class Folder:
    """The place and what stands in it. Only for who alone may write (`contract.alone`)."""

    def __init__(self, place: Path, export: str, origin: Origin) -> None:
        """ExportError where something stands in the place that is not this export's, or the other mode's."""
        self.place = place
        if not place.is_symlink():
            if place.exists() and not (place.is_dir() and not any(place.iterdir())):
                raise ExportError(
                    say("{place} holds something else already: name a folder that is empty, or is not there", place=place)
                )
        elif not _is_generation(place.readlink().name, place):
            raise ExportError(say("{place} is a link to something else: name another folder", place=place))
        refuse_another_s(self.manifest, str(place), export, origin)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the present generation says of itself; empty where there is none."""
        try:
            read: dict[str, Any] = json.loads((self.place / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return read

    @contextmanager
    def renewed(self) -> Iterator[Generation]:
        """A new generation to fill; `finish` puts it in the place. Without that (an error, a kill) nothing has changed."""
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            present = self.place.resolve() if self.place.is_symlink() else None
            number = 0
            for each in _generations(self.place):
                number = max(number, int(each.suffix[1:]))
                if each.resolve() != present:
                    shutil.rmtree(each)
            new = self.place.with_name(f".{self.place.name}.{number + 1}")
            new.mkdir()
            generation = Generation(self.place, new, present)
            try:
                yield generation
            finally:
                if not generation.finished:
                    shutil.rmtree(new, ignore_errors=True)
        except OSError as error:
            raise ExportError(
                say(
                    "{place} cannot be written ({why}): free what it needs, or name another folder",
                    place=self.place,
                    why=error.strerror or error,
                )
            ) from None


class Generation:
    """A folder that nobody sees yet."""

    def __init__(self, place: Path, new: Path, former: Path | None) -> None:
        self._place, self._new, self._former = place, new, former
        self._folders: set[Path] = set()
        self._names: set[str] = set()
        self.finished = False

    def put(self, name: str, content: bytes) -> bool:
        """The file with this content; False where it is as it was before."""
        former = None
        if self._former is not None:
            with suppress(OSError):
                former = (self._former / name).read_bytes()
        if former == content and self.keep(name):
            return False
        self.new(name).write_bytes(content)
        return True

    def keep(self, name: str) -> bool:
        """Takes the file over as it was before. False where there is none."""
        if self._former is None:
            return False
        target = self.new(name)
        try:
            os.link(self._former / name, target)
        except FileNotFoundError:
            return False
        except OSError:  # a disk without hard links
            shutil.copy2(self._former / name, target)
        return True

    def new(self, name: str) -> Path:
        """Where to write a file that is new or changed."""
        path = self._new / name
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        self._names.add(name)
        return path

    def removed(self) -> int:
        """How many files of the generation before this one does not have."""
        if self._former is None:
            return 0
        former = (each.relative_to(self._former).as_posix() for each in self._former.rglob("*") if each.is_file())
        return len(set(former) - self._names - {MANIFEST})

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Writes the manifest and puts the generation in the place, in one step: also where the power fails."""
        text = json.dumps(dict(manifest), indent=1, ensure_ascii=False)
        (self._new / MANIFEST).write_text(text + "\n", encoding="utf-8")
        os.sync()  # tens of thousands of small files, all at once
        link = self._place.with_name(f".{self._place.name}.link")
        link.unlink(missing_ok=True)
        link.symlink_to(self._new.name)
        if not self._place.is_symlink() and self._place.is_dir():
            self._place.rmdir()  # it is empty
        link.replace(self._place)
        self.finished = True


def refuse_another_s(manifest: Mapping[str, Any], place: str, export: str, origin: Origin) -> None:
    """ExportError where the place holds another export, or the rows of the other mode: simulated and real never mix."""
    if manifest and (manifest.get("export"), manifest.get("mode")) != (export, origin.settings.mode.value):
        raise ExportError(
            say(
                "{place} holds the export {export} of the mode {mode}: name another place",
                place=place,
                export=manifest.get("export"),
                mode=manifest.get("mode"),
            )
        )


def _generations(place: Path) -> list[Path]:
    return [each for each in place.parent.glob(f".{place.name}.*") if each.is_dir() and _is_generation(each.name, place)]


def _is_generation(name: str, place: Path) -> bool:
    head, _, number = name.rpartition(".")
    return head == f".{place.name}" and number.isdecimal()
