"""Sounds on the page: the starters, a first look at a sound, and a form of it that every browser can play."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from html import escape
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image

from studio.paths import assets_folder
from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.loudness import lufs, peak_dbfs
from studio.sound.pictures import spectrogram
from studio.sound.window import cut, loudest_window
from studio.sound.write import write_wav
from studio.ui import words
from studio.ui.status import clock, length

PLAYABLE = frozenset({".wav", ".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a"})  # in the browsers of 2026
STRIP_SIZE = (640, 72)
PORTRAIT_SIZE = (512, 512)
RECORDED = "audio.wav"  # what Gradio's page calls every recording
_on_desks: set[str] = set()


@dataclass(frozen=True)
class Starter:
    """A sound that comes with the app. author, licence, source (an address): whom to thank and where it comes from."""

    path: Path
    title: str
    author: str
    licence: str
    source: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file's name, which is the same in every language."""
        return self.path.name


@dataclass(frozen=True, eq=False)  # eq: Gradio hashes what a State holds, and a PIL picture has no hash
class Look:
    """What can be said about a sound without a model.

    path: the file as the page holds it.  sha256: its digest.
    window: (start, end) in s of the part that is heard unless another is chosen.
    peak: dB below full scale.  lufs: integrated loudness, None = not measured; both of all of it.
    strip: spectrogram of all of it as a data URI.  portrait: spectrogram of the heard part, square.
    """

    path: str
    name: str
    sha256: str
    seconds: float
    channels: int
    window: tuple[float, float]
    peak: float
    lufs: float | None
    strip: str
    portrait: Image.Image


@dataclass(frozen=True)
class Unusable:
    """A sound that cannot be used, and the sentence that says why."""

    path: str
    sentence: str


@cache
def starters() -> tuple[Starter, ...]:
    """The starter sounds in the order of their credits file; empty when the assets hold none."""
    folder = assets_folder() / "sounds"
    credits = folder / "credits.json"
    if not credits.is_file():
        return ()
    entries = json.loads(credits.read_text(encoding="utf-8"))
    return tuple(
        Starter(
            path=folder / one["name"],
            title=one["title"],
            author=one["author"],
            licence=one["licence"],
            source=one["source"],
            sha256=digest(folder / one["name"]),
        )
        for one in entries
    )


def digest(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal, as `Track.sha256` has it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=16)
def look(path: str, loudness: bool = True) -> Look:
    """A first look at a sound; the last ones are remembered. Raises InputError when it cannot be used.

    loudness: measure it, for which the first time scipy is imported; the page does not wait for that at its start.
    """
    _on_desks.add(os.path.realpath(path))
    clip = read_clip(path)
    start, end = loudest_window(clip)
    part = cut(clip, start, end - start)
    strip = data_uri(spectrogram(clip, *STRIP_SIZE))
    return Look(
        path=path,
        name=_called(Path(path)),
        sha256=digest(path),
        seconds=clip.seconds,
        channels=clip.channels,
        window=(start, end),
        peak=peak_dbfs(clip),
        lufs=lufs(clip) if loudness else None,
        strip=strip,
        portrait=spectrogram(part, *PORTRAIT_SIZE),
    )


def _called(path: Path) -> str:
    """The name of a sound's file. What the browser records is always called the same, so it gets its time instead."""
    if path.name != RECORDED:
        return path.name
    time = datetime.fromtimestamp(path.stat().st_mtime)
    return f"{words.RECORD_NAME.format(time=f'{time:%Y%m%d-%H%M%S}')}.wav"


def is_on_a_desk(path: str | Path) -> bool:
    """Whether somebody has put this file on a desk since the start: then it is looked at, and may be used again."""
    return os.path.realpath(path) in _on_desks


def playable(path: str) -> str | None:
    """A WAV of a sound that browsers may not play, in a folder the page may serve; None when the file itself will do.

    Raises InputError when the sound cannot be read.
    """
    source = Path(path)
    if source.suffix.lower() in PLAYABLE:
        return None
    return str(as_wav(read_clip(source), source.stem))


def as_wav(clip: Clip, stem: str, subtype: str = "PCM_16") -> Path:
    """Write a clip as WAV into a fresh folder of Gradio's cache. subtype: as for `write_wav`."""
    cache_folder = Path(get_upload_folder())
    cache_folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=cache_folder)) / f"{stem}.wav"
    write_wav(clip, path, subtype)
    return path


def data_uri(picture: Image.Image) -> str:
    """A picture inside an address, so that the page needs no second request for it."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def facts_line(facts: Look) -> str:
    """'4.0 s · stereo · peak -6 dB · -23 LUFS' as HTML, with the spectrogram and the heard part marked in it."""
    channels = {1: words.FACT_MONO, 2: words.FACT_STEREO}.get(
        facts.channels, words.FACT_CHANNELS.format(count=facts.channels)
    )
    loudness = [] if facts.lufs is None else [f"{round(facts.lufs)} LUFS" if facts.lufs > -100 else words.FACT_SILENT]
    peak = words.FACT_PEAK.format(peak=round(facts.peak)) if facts.peak > -100 else words.FACT_NO_PEAK
    parts = [length(facts.seconds), channels, peak, *loudness]
    return " · ".join(escape(part) for part in parts).replace("-", "\N{MINUS SIGN}")


def heard_part(facts: Look, start: float, duration: float) -> str:
    """The line of facts above the spectrogram with a frame around the part that is heard. start, duration in s."""
    end = min(start + duration, facts.seconds)
    left, width = (100 * start / facts.seconds, 100 * max(end - start, 0.0) / facts.seconds)
    whole = start < 0.005 and end > facts.seconds - 0.005
    part = words.FACT_ALL if whole else words.FACT_PART.format(start=clock(start), end=clock(end))
    drawing = f"{words.FACT_SPECTROGRAM}, {part}"
    frame = "" if whole else f'<i style="left:{left:.2f}%;width:{width:.2f}%"></i>'
    # Read by the page's script, which draws the grips on the waveform.
    trim = {"start": f"{start:.3f}", "duration": f"{end - start:.3f}", "seconds": f"{facts.seconds:.3f}"}
    trim |= {"from": words.TRIM_START, "to": words.TRIM_END}
    data = " ".join(f'data-{name}="{escape(value)}"' for name, value in trim.items())
    return (
        f'<div class="facts"><p><b>{facts_line(facts)}</b> · {part}</p>'
        f'<div class="strip{"" if whole else " part"}" role="img" aria-label="{escape(drawing)}" {data}>'
        f'<img alt="" src="{facts.strip}">{frame}</div></div>'
    )
