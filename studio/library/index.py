"""The gallery's list of what its pictures carry: one SQLite file beside them, which can always be made anew.

Every call opens and closes the file: nothing has to be shared between threads, and a process may die at any moment.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from studio.errors import HearsightError

log = logging.getLogger("hearsight.gallery")

INDEX_FILE = ".gallery.sqlite3"
VERSION = 1  # of the tables below; an index of another version is set aside and made anew
BUSY = 15.0  # seconds to wait for another process that writes

_TABLES = """
CREATE TABLE pictures (
    name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, changed INTEGER NOT NULL, made TEXT NOT NULL,
    prompt TEXT NOT NULL, sounds TEXT NOT NULL, heard TEXT NOT NULL, seed INTEGER, model TEXT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, favourite INTEGER NOT NULL,
    searched TEXT NOT NULL, searched_sounds TEXT NOT NULL
);
CREATE INDEX pictures_made ON pictures (made DESC, name DESC);
CREATE TABLE others (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, changed INTEGER NOT NULL, reader TEXT NOT NULL);
"""

Answer = TypeVar("Answer")


class IndexRenewed(Exception):
    """The index was damaged, was set aside, and is empty now: fill it, then ask again."""


class Unreadable(sqlite3.DatabaseError):
    """What the index holds cannot be understood: damage that SQLite does not see."""


class Index:
    """The SQLite file of one folder. Where none can be written (a disk that is full or read-only), one in memory."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / INDEX_FILE
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.RLock()  # threads may share the one in memory, but not its transactions
        self._renewals = 0

    def run(self, work: Callable[[sqlite3.Connection], Answer], *, write: bool = False) -> Answer:
        """What `work` answers, done as one transaction.

        Raises IndexRenewed when the file was damaged, HearsightError when other processes keep it locked.
        """
        if self._memory is not None:
            with self._lock:
                return _transaction(self._memory, work, write)
        if (
            not self.path.parent.is_dir()
        ):  # a visitor who has made nothing gets no folder, and there is nothing to list
            with closing(_in_memory()) as connection:
                return _transaction(connection, work, write)
        before = _identity(self.path)
        try:
            with closing(_open(self.path)) as connection:
                return _transaction(connection, work, write)
        except sqlite3.DatabaseError as error:
            match _kind(error):
                case "busy":
                    text = "The gallery is busy with another process: try again in a moment."
                    raise HearsightError(text) from None
                case "damaged" if self._renewals < 3 and self._set_aside(before, error):
                    self._renewals += 1
                case "damaged" | "unwritable":
                    log.warning("The gallery's index %s cannot be used (%s); it is kept in memory.", self.path, error)
                    with self._lock:
                        self._memory = self._memory or _in_memory()
                case _:
                    raise
            raise IndexRenewed from error

    def _set_aside(self, seen: tuple[int, int] | None, error: Exception) -> bool:
        """Rename the damaged file; False when that cannot be done.

        Nothing is renamed when another process that met the same damage was faster: then a good one lies there.
        """
        if seen is None or _identity(self.path) != seen:
            return True
        aside = f"{self.path}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}"
        log.warning("The gallery's index is damaged (%s). It is kept as %s and made anew.", error, aside)
        try:
            for ending in ("", "-wal", "-shm"):  # these two belong to it, and would damage its successor
                with suppress(FileNotFoundError):
                    os.replace(f"{self.path}{ending}", f"{aside}{ending}")
        except OSError:
            return False
        return True


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_TABLES)
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            _create(connection)
        # In WAL a finished transaction outlives kill -9; what a power cut may take, the pictures give back.
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, once, whoever of several processes comes first."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        raise Unreadable(f"it is of version {version}, this program's is {VERSION}")
    if version == 0:
        for statement in _TABLES.split(";"):  # not executescript, which would end the transaction first
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Answer], write: bool) -> Answer:
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        answer = work(connection)
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return answer


def _kind(error: sqlite3.DatabaseError) -> str:
    """What is wrong: another process writes ("busy"), the disk ("unwritable"), the file ("damaged"), or a "bug"."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own; OperationalError: text that is no UTF-8
        return "damaged" if isinstance(error, Unreadable | sqlite3.OperationalError) else "bug"
    code &= 0xFF  # extended codes carry the plain one in their last byte
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "busy"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM):
        return "unwritable"
    # ERROR: a table is missing, in a file that says it has our version
    damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR)
    return "damaged" if code in damage else "bug"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
