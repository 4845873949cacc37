"""The sounds of finished pictures, kept so that a picture can bring them back, to be changed and not only repeated.

Each lies in a folder named by its digest, under its own name. They may be deleted at any time: a picture carries its
word, and is made again without them.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from studio.recipe import Recipe

MOST_BYTES = 2 * 10**9  # of all together; what was used longest ago goes first
_DIGEST = re.compile(r"[0-9a-f]{64}")


class KeptSounds:
    """A folder of sounds, which need not exist yet. Safe to use from many threads and processes at once."""

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        self.folder, self.most = folder, most

    def keep(self, recipe: Recipe) -> None:
        """Keep the sounds of a picture that was made from files. recipe: resolved, so that it has their digests.

        A disk that cannot be written costs nothing but that: pictures are more important.
        """
        for track in recipe.tracks:
            if track.path is not None and track.sha256 is not None and _DIGEST.fullmatch(track.sha256):
                with suppress(OSError):
                    self._take(Path(track.path), track.name, self.folder / track.sha256)
        self._shorten()

    def find(self, sha256: str | None) -> Path | None:
        """The sound with this digest, or None; a digest cannot reach outside the folder."""
        if sha256 is None or not _DIGEST.fullmatch(sha256):
            return None
        return next(iter(_sounds(self.folder / sha256)), None)

    def held(self) -> list[Path]:
        """The files of all sounds."""
        return [path for one in _folders(self.folder) for path in _sounds(one)]

    def empty(self) -> int:
        """Delete all; the bytes that are free now."""
        return sum(_forget(one) for one in _folders(self.folder))

    def _take(self, source: Path, name: str, place: Path) -> None:
        if _sounds(place):
            os.utime(place)  # used again: among the last to go
            return
        place.mkdir(parents=True, exist_ok=True)
        part = place / f".{uuid.uuid4().hex}.part"
        try:
            try:
                os.link(source, part)  # what is in the page's cache takes no room twice
            except OSError:
                shutil.copyfile(source, part)
            os.replace(part, place / (Path(name).name.lstrip(".") or source.name))
        finally:
            part.unlink(missing_ok=True)

    def _shorten(self) -> None:
        """Delete what was used longest ago, until the rest is within bounds."""
        sizes = {one: _size(one) for one in _folders(self.folder)}
        for one in sorted(sizes, key=_used):
            if sum(sizes.values()) <= self.most:
                return
            _forget(one)
            del sizes[one]


def _folders(folder: Path) -> list[Path]:
    """Those of one sound each; whatever else lies there is not ours."""
    with suppress(OSError):
        return [one for one in folder.iterdir() if _DIGEST.fullmatch(one.name) and one.is_dir()]
    return []


def _sounds(place: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in place.iterdir() if not path.name.startswith(".") and path.is_file())
    return []


def _size(place: Path) -> int:
    size = 0
    for path in _sounds(place):
        with suppress(OSError):
            size += path.stat().st_size
    return size


def _used(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0


def _forget(place: Path) -> int:
    size = _size(place)
    shutil.rmtree(place, ignore_errors=True)
    return size
