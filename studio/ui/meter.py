"""A level meter as HTML: how loud it is now, from -60 dBFS to full scale."""

from __future__ import annotations

import math
from html import escape

from studio.sound.ring import Level
from studio.ui import words

FLOOR = -60.0  # dBFS, the left end


def meter(level: Level | None) -> str:
    """A bar of the RMS with the peak as a mark in it, and both in dB; None = nothing is open."""
    if level is None:
        return '<div class="meter off" aria-hidden="true"><span class="bar"><i style="width:0"></i></span></div>'
    text = words.LEVEL.format(peak=_plain(level.peak), rms=_plain(level.rms))
    if level.clipped:
        text += f" · {words.CLIPPED}"
    return (
        f'<div class="meter{" clipped" if level.clipped else ""}"><span class="bar" aria-hidden="true">'
        f'<i style="width:{_share(level.rms):.0f}%"></i><b style="left:{_share(level.peak):.0f}%"></b></span>'
        f"<small>{escape(text)}</small></div>"
    )


def _share(value: float) -> float:
    return 100 * min(max((value - FLOOR) / -FLOOR, 0.0), 1.0) if math.isfinite(value) else 0.0


def _plain(value: float) -> str:
    return str(round(value)).replace("-", "\N{MINUS SIGN}") if value > -100 else "\N{MINUS SIGN}\N{INFINITY}"
