"""The listening half of the engine: a track or a Clip -> what the ear understood of it, cached by content."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.recipe import Track
from studio.result import Heard
from studio.sound.clip import MIN_SECONDS, Clip
from studio.sound.decode import read_clip
from studio.sound.loudness import apply_gain, lufs, refuse_silence
from studio.sound.window import choose_window, cut

_REMEMBERED = 32  # sounds; an embedding is some hundred kilobytes


@dataclass(frozen=True)
class Sound:
    """A sound ready for the ear.

    clip: the part that is heard, with its gain.  seconds: of the whole sound, before the cut.
    track: where it came from, with name, digest, start and duration filled: it cuts out the same samples again.
    """

    clip: Clip
    seconds: float
    track: Track


def prepare_sound(track: Track, clip: Clip | None = None) -> Sound:
    """Read the track's file (unless its sound is given as `clip`), choose its part, set its gain.

    Raises InputError when there is no sound, when it cannot be read, when the part is outside it, or silent.
    """
    if clip is None:
        if track.path is None:
            called = f"sound {track.name!r} is not on this machine" if track.name else "recipe names no sound"
            raise InputError(f"The {called}. Give a recording or a sound file.")
        clip = read_clip(track.path)
        with open(track.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    else:
        digest = _digest(clip)
    start, end = choose_window(clip, track.start, track.duration)
    # Rounded before use and not after, so that the resolved times are the ones that were used.
    start, duration = round(start, 6), max(round(end - start, 6), MIN_SECONDS)
    part = apply_gain(cut(clip, start, duration), track.gain)
    refuse_silence(part)
    name = track.name or clip.name[-255:]
    return Sound(part, clip.seconds, track.replace(name=name, sha256=digest, start=start, duration=duration))


class Hearing:
    """Ears, loaded on first use, and what they last heard. Safe to use from several threads."""

    def __init__(self) -> None:
        self._ears: dict[str, Encoder] = {}
        self._embeddings: OrderedDict[tuple[str, str], SoundEmbedding] = OrderedDict()
        self._lock = threading.RLock()

    def ear(self, name: str) -> Encoder:
        """The ear registered under `name`, with its embedded weights. Raises InputError when there is none."""
        kind = ENCODERS.get(name)
        with self._lock:
            if name not in self._ears:
                self._ears[name] = kind.load()
            return self._ears[name]

    def listen(self, sound: Sound, encoder: str) -> tuple[SoundEmbedding, Heard]:
        """What the ear called `encoder` makes of one sound (B = 1), and the same in words."""
        ear = self.ear(encoder)
        key = (encoder, _digest(sound.clip))
        with self._lock:  # around the ear itself: two requests for one sound listen to it once
            if key not in self._embeddings:
                self._embeddings[key] = ear.encode([sound.clip])
                while len(self._embeddings) > _REMEMBERED:
                    self._embeddings.popitem(last=False)
            self._embeddings.move_to_end(key)
            embedding = self._embeddings[key]
        probabilities = ear.probabilities(embedding)[0].tolist()
        labels = sorted(zip(ear.labels, probabilities, strict=True), key=lambda pair: -pair[1])
        start, duration = sound.track.start or 0.0, sound.track.duration or 0.0
        return embedding, Heard(labels, sound.seconds, lufs(sound.clip), (start, start + duration))


def _digest(clip: Clip) -> str:
    """Of the samples, their shape and their rate: the content of a sound, whatever file it came from."""
    total = hashlib.sha256(f"{clip.rate}:{clip.samples.shape}".encode())
    total.update(clip.samples.tobytes())
    return total.hexdigest()
