"""The gallery: a folder of PNGs that carry their recipe, and an index beside them to find them by.

The pictures are the truth. The index is made from them, and made again when it is lost or damaged; only which of them
are favourites lies in a small file of its own, `.favourites.json`, which survives that.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from studio import __version__
from studio.errors import HearsightError, InputError
from studio.library.entries import COLUMNS, Entry, Page, Wanted, entry_of, is_name, row_of
from studio.library.index import Index, IndexRenewed
from studio.library.png import read_picture, save_png
from studio.library.thumbnails import forget_thumbnail, thumbnail
from studio.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger("hearsight.gallery")

FAVOURITES_FILE = ".favourites.json"
PAGE = 24
_BATCH = 50  # pictures read between two writes, so that a long rebuild keeps nobody waiting
_LEFTOVER = re.compile(r"\..*\.png\.\d+\.part", re.IGNORECASE)  # what `save_png` leaves when its process is killed
_LEFTOVER_AGE = 3600.0  # seconds

Answer = TypeVar("Answer")


class Gallery:
    """The pictures of one folder, which need not exist yet. Safe to use from many threads and processes at once."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._index = Index(self.folder)

    def save(self, image: Image, recipe: Recipe, heard: Sequence[tuple[str, float]] = ()) -> Path:
        """Write a picture with its recipe and what was heard, and say where. It is safe on the disk when this returns.

        Named by time and seed, so that the order of names is the order of making. Raises InputError when the folder
        cannot be written; an index that cannot be written costs nothing, `refresh` adopts the picture later.
        """
        # With microseconds, because the small model makes several pictures in one second.
        stem = f"{datetime.now():%Y%m%d-%H%M%S-%f}-{recipe.seed}"
        path = self.folder / f"{stem}.png"
        for again in range(2, 1000):
            if not path.exists():
                break
            path = self.folder / f"{stem}-{again}.png"
        save_png(image, recipe, path, heard)
        try:
            self._adopt([path.name])
        except (HearsightError, sqlite3.Error, OSError) as error:
            log.warning("The picture %s is saved, but not yet in the index: %s", path, error)
        return path

    def refresh(self) -> int:
        """Bring the index in line with the folder; how many entries changed. Nearly free when nothing did.

        Pictures it lacks are adopted, entries of files that are gone are dropped.
        """
        known = self._ask(_known)  # before the folder: a picture saved between the two is adopted twice, never dropped
        there = self._files()
        fresh = sorted((name for name, state in there.items() if known.get(name) != state), reverse=True)
        gone = [name for name in known if name not in there]
        for begin in range(0, len(fresh), _BATCH):
            self._adopt(fresh[begin : begin + _BATCH])
        if gone:
            self._ask(lambda connection: _drop(connection, gone), write=True)
            for name in gone:
                forget_thumbnail(self.folder, name)
        return len(fresh) + len(gone)

    def page(self, wanted: Wanted | None = None, number: int = 1, size: int = PAGE) -> Page:
        """The entries that fit, newest first. number: from 1, the nearest page that exists when there is no such one.

        size: entries on a page, 0 = all of them on one. The index is asked as it is: call `refresh` before.
        """
        where, values = (wanted or Wanted()).where()

        def ask(connection: sqlite3.Connection) -> Page:
            total = connection.execute(f"SELECT COUNT(*) FROM pictures WHERE {where}", values).fetchone()[0]
            long = size or max(total, 1)
            pages = max(-(-total // long), 1)
            shown = min(max(number, 1), pages)
            query = f"SELECT {COLUMNS} FROM pictures WHERE {where} ORDER BY made DESC, name DESC LIMIT ? OFFSET ?"
            rows = connection.execute(query, [*values, long, (shown - 1) * long])
            return Page([Entry.of(row) for row in rows], total, shown, pages)

        return self._ask(ask)

    def get(self, name: str) -> Entry | None:
        """The entry of that file name, or None; a name cannot reach outside the folder."""
        if not is_name(name) or not _is_plain_file(self.folder / name):
            return None
        query = f"SELECT {COLUMNS} FROM pictures WHERE name = ?"
        row = self._ask(lambda connection: connection.execute(query, [name]).fetchone())
        return None if row is None else Entry.of(row)

    def find(self, name: str) -> Path | None:
        """The file of that entry, or None."""
        return None if self.get(name) is None else self.folder / name

    def thumbnail(self, name: str) -> Path | None:
        """A JPEG of at most 256 px of an entry's picture, or None when it is gone or cannot be read."""
        return thumbnail(self.folder, name) if is_name(name) else None

    def set_favourite(self, name: str, on: bool) -> bool:
        """Mark an entry or take the mark away; False when there is no such entry.

        Raises HearsightError when it cannot be written down.
        """
        if self.get(name) is None:
            return False

        def mark(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE pictures SET favourite = ? WHERE name = ?", [on, name])
            self._write_favourites(self._marked(connection))  # inside, so that two processes do not undo each other

        self._ask(mark, write=True)
        return True

    def delete(self, name: str) -> bool:
        """Delete a picture and its entry for good; False when there is no such entry.

        Raises HearsightError when the file cannot be deleted.
        """
        entry = self.get(name)
        if entry is None:
            return False
        try:
            (self.folder / name).unlink(missing_ok=True)  # first, because the file is the truth
        except OSError as error:
            raise HearsightError(f"The picture {name!r} cannot be deleted ({error.strerror}).") from error
        forget_thumbnail(self.folder, name)

        def drop(connection: sqlite3.Connection) -> None:
            _drop(connection, [name])
            if entry.favourite:
                self._write_favourites(self._marked(connection))

        self._ask(drop, write=True)
        return True

    def _ask(self, work: Callable[[sqlite3.Connection], Answer], *, write: bool = False) -> Answer:
        """Run one transaction; when the index had to be made anew, fill it and run once more."""
        try:
            return self._index.run(work, write=write)
        except IndexRenewed:
            self.refresh()
            return self._index.run(work, write=write)

    def _files(self) -> dict[str, tuple[int, int]]:
        """(bytes, time of change) of every file that may be a picture; leftovers of killed processes are removed."""
        found: dict[str, tuple[int, int]] = {}
        if not self.folder.is_dir():
            return found
        with os.scandir(self.folder) as files:
            for file in files:
                with suppress(OSError):  # deleted meanwhile
                    if is_name(file.name) and file.is_file(follow_symlinks=False):
                        status = file.stat(follow_symlinks=False)
                        found[file.name] = (status.st_size, status.st_mtime_ns)
                    elif _LEFTOVER.fullmatch(file.name) and time.time() - file.stat().st_mtime > _LEFTOVER_AGE:
                        os.unlink(file.path)
        return found

    def _adopt(self, names: Iterable[str]) -> None:
        """Read pictures and write their entries; what carries no recipe is remembered, so as not to be read again."""
        rows, others = [], []
        for name in names:
            path = self.folder / name
            try:
                status = path.stat()
                state = (status.st_size, status.st_mtime_ns)
                recipe, heard = read_picture(path)
                rows.append(row_of(entry_of(name, status.st_mtime, recipe, heard, path), state))
            except OSError:  # gone meanwhile
                continue
            except InputError:
                others.append((name, *state, __version__))

        def write(connection: sqlite3.Connection) -> None:
            marked = self._read_favourites()  # inside, or a mark that is set meanwhile would be taken away again
            for row in rows:
                row["favourite"] = row["name"] in marked
                _drop(connection, [str(row["name"])])
                places = ", ".join(f":{column}" for column in row)
                connection.execute(f"INSERT INTO pictures ({', '.join(row)}) VALUES ({places})", row)
            for other in others:
                _drop(connection, [other[0]])
                connection.execute("INSERT INTO others VALUES (?, ?, ?, ?)", other)

        if rows or others:
            self._ask(write, write=True)

    def _marked(self, connection: sqlite3.Connection) -> set[str]:
        return {name for (name,) in connection.execute("SELECT name FROM pictures WHERE favourite")}

    def _read_favourites(self) -> set[str]:
        """The names in the favourites' file; none when it is missing or damaged."""
        try:
            names = json.loads((self.folder / FAVOURITES_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return set()
        return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()

    def _write_favourites(self, names: set[str]) -> None:
        target = self.folder / FAVOURITES_FILE
        part = target.with_name(f"{FAVOURITES_FILE}.part")  # one writer at a time: the index is locked meanwhile
        try:
            with part.open("w", encoding="utf-8") as file:
                json.dump(sorted(names), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        except OSError as error:
            raise HearsightError(f"The favourites cannot be written to {str(target)!r} ({error.strerror}).") from error


def check_export(path: Path, folder: Path) -> bool:
    """Whether a copy of the picture is there already. Raises InputError when something else of that name is."""
    target = folder / path.name
    try:
        if not target.exists():
            return False
        if target.is_file() and target.read_bytes() == path.read_bytes():
            return True
    except OSError as error:
        raise _cannot_write(target, error) from None
    raise InputError(f"{str(target)!r} is there already and differs: choose another folder.")


def export(path: Path, folder: Path) -> Path:
    """Copy a picture, byte for byte, whole or not at all; says where. The folder is made as needed.

    Raises InputError when another file of that name is there, or when it cannot be written.
    """
    target = folder / path.name
    if check_export(path, folder):
        return target
    part = folder / f".{path.name[-200:]}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(target, error) from None
    return target


def _cannot_write(target: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(f"The picture cannot be written to {str(target)!r} ({reason}). Choose another place.")


def _known(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """What the index has seen of each file. Files that an older program could not read count as never seen."""
    rows = connection.execute(
        "SELECT name, bytes, changed FROM pictures UNION ALL SELECT name, bytes, changed FROM others WHERE reader = ?",
        [__version__],
    )
    return {name: (size, changed) for name, size, changed in rows}


def _drop(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    for name in names:
        connection.execute("DELETE FROM pictures WHERE name = ?", [name])
        connection.execute("DELETE FROM others WHERE name = ?", [name])


def _is_plain_file(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink()
    except (OSError, ValueError):
        return False
