"""Small copies of pictures, made once and kept in a hidden folder beside them."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from PIL import Image

SIDE = 256  # px, the longer side
FOLDER = ".thumbnails"


def thumbnail(folder: Path, name: str) -> Path | None:
    """A JPEG of at most 256 px of the picture `name` in `folder`, made when it is missing or older than the picture.

    The picture itself where none can be kept; None when the picture is gone or cannot be read.
    """
    source, target = folder / name, _place(folder, name)
    try:
        changed = source.stat().st_mtime_ns
    except OSError:
        return None
    with suppress(OSError):
        if target.stat().st_mtime_ns >= changed:
            return target
    try:
        with Image.open(source) as image:
            small = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    part = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        target.parent.mkdir(exist_ok=True)
        try:
            small.save(part, "JPEG", quality=88)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError:  # a disk that is full or read-only
        return source
    return target


def forget_thumbnail(folder: Path, name: str) -> None:
    """Delete the small copy, if there is one."""
    with suppress(OSError):
        _place(folder, name).unlink(missing_ok=True)


def _place(folder: Path, name: str) -> Path:
    # Not the picture's name: with one more ending it may be too long for the disk.
    return folder / FOLDER / f"{hashlib.sha256(name.encode('utf-8')).hexdigest()[:32]}.jpg"
