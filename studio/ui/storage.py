"""How much room pictures and what was read of photos take on this machine. No gradio here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_UNITS = ("kB", "MB", "GB", "TB")


def held(files: Iterable[Path]) -> tuple[int, int]:
    """How many files there are, and their bytes together; one that goes away meanwhile is not counted."""
    count = size = 0
    for file in files:
        with suppress(OSError):
            size += file.stat().st_size
            count += 1
    return count, size


def spoken_size(size: int) -> str:
    """Bytes for people: 0 kB, 812 kB, 3.4 MB, 12 GB."""
    value, unit = size / 1000, 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if 0 < value < 9.95 and unit else f"{value:.0f} {_UNITS[unit]}"


def emptied(folder: Path) -> int:
    """Delete what was read of photos; the bytes that are free now. Only files that Hearsight writes there go."""
    freed = 0
    for file in (*folder.glob("*.safetensors"), *folder.glob(".*.part")):
        with suppress(OSError):  # in use on a system that locks files: it goes the next time
            size = file.stat().st_size
            file.unlink()
            freed += size
    return freed
