"""What a shared app deletes: journeys beyond a number, and files of visitors after some days.

Only folders with a visitor's name are looked into, so the owner's own pictures and journeys are never touched.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from studio.limits import limits
from studio.ui.album import VISITOR

log = logging.getLogger("hearsight.app")

EVERY = 3600.0  # s between two looks
_JOURNEY = re.compile(r"\d{8}-\d{6}-\d{6}-\d+")


def journeys_in(folder: Path) -> list[Path]:
    """The folders of all journeys in a folder, also unfinished ones, newest first; they are named by their time."""
    with suppress(OSError):
        found = [one for one in folder.iterdir() if _JOURNEY.fullmatch(one.name) and one.is_dir()]
        return sorted(found, key=lambda one: one.name, reverse=True)
    return []


def keep_newest(folder: Path, count: int | None) -> None:
    """Delete all but the newest `count` journeys in a folder; None = keep all."""
    if count is not None:
        for old in journeys_in(folder)[count:]:
            shutil.rmtree(old, ignore_errors=True)


def forget_old(home: Path, days: float, now: float | None = None) -> int:
    """Delete what visitors have made more than so many days ago. Gives how many pictures and journeys went.

    home: the data folder.  now: seconds since 1970, None = now.
    """
    before = (time.time() if now is None else now) - days * 86_400
    gone = 0
    for visitor in _visitors(home / "journeys"):
        for journey in journeys_in(visitor):
            if _changed(journey) < before:
                shutil.rmtree(journey, ignore_errors=True)
                gone += 1
        with suppress(OSError):
            visitor.rmdir()  # when nothing is left
    for visitor in _visitors(home / "pictures"):
        pictures = list(visitor.glob("*.png"))
        old = [one for one in pictures if _changed(one) < before]
        gone += len(old)
        if len(old) == len(pictures) and _changed(visitor) < before:
            shutil.rmtree(visitor, ignore_errors=True)  # with the index
            continue
        for one in old:
            one.unlink(missing_ok=True)
    return gone


def start(home: Path) -> None:
    """Look now and every hour, in the background, as long as HEARSIGHT_KEEP_DAYS or a Space says so."""

    def look() -> None:
        while (days := limits().days) is not None:
            try:
                if gone := forget_old(home, days):
                    log.info("Deleted %d pictures and journeys of visitors, older than %d days", gone, days)
            except OSError as error:
                log.warning("Old files cannot be deleted: %s", error)
            time.sleep(EVERY)

    if limits().days is not None:
        threading.Thread(target=look, name="keeping", daemon=True).start()


def _visitors(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [one for one in folder.iterdir() if VISITOR.fullmatch(one.name) and one.is_dir()]


def _changed(path: Path) -> float:
    """When a file or a folder was last changed; never, for one that is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")
