"""What the controls of the sounds stand for: their values -> the tracks of a recipe. No gradio here.

Values come by name, with the track's letter behind: "gain" is track A's, "gain_b" track B's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import HearsightError
from studio.limits import limits
from studio.recipe import MAX_TRACKS, Recipe, Track
from studio.ui import words
from studio.ui.sounds import Look, Unusable

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:MAX_TRACKS]
PLACED = ("gain", "pan", "room", "mute", "solo")  # what a track has under the same name in a recipe
_NAMES = ("sound", "facts", "start", "duration", *PLACED, "weight")


@dataclass(frozen=True)
class Missing:
    """A restored picture's sound that is not on this machine any more."""

    track: Track


def most_sounds() -> int:
    """How many tracks the desk grows to, the first included: what this app gives, which `Service.allowed` holds."""
    return int(limits().below("sounds", MAX_TRACKS))


def named(name: str, letter: str) -> str:
    """The name of a track's control: track A's has none added, because it is the page's first sound."""
    return name if letter == LETTERS[0] else f"{name}_{letter.lower()}"


@dataclass(frozen=True)
class Values:
    """The values of one track's controls.

    sound: the file in place.  facts: what is known about it, Look | Unusable | Missing | None.  weight: in percent.
    """

    letter: str
    sound: str | None
    facts: object
    start: float
    duration: float
    gain: float
    pan: float
    room: str
    mute: bool
    solo: bool
    weight: float

    @classmethod
    def of(cls, values: Mapping[str, Any], letter: str) -> Values:
        """One track's out of all the values of the page."""
        return cls(letter, **{name: values[named(name, letter)] for name in _NAMES})

    @property
    def used(self) -> bool:
        """Whether there is a sound here, or was one when the picture was made."""
        return self.sound is not None or self.missing is not None

    @property
    def known(self) -> Look | None:
        """What is known about the sound; None also when Make was pressed faster than the look at a new sound."""
        return self.facts if isinstance(self.facts, Look) and self.facts.path == self.sound else None

    @property
    def name(self) -> str:
        """What the sound is called; empty when there is none."""
        if self.known is not None:
            return self.known.name
        return Path(self.sound).name if self.sound else self.missing.name if self.missing else ""

    @property
    def missing(self) -> Track | None:
        """The track whose sound is not here any more."""
        return self.facts.track if self.sound is None and isinstance(self.facts, Missing) else None

    def track(self) -> Track:
        """The track of a recipe. Raises HearsightError for a sound that cannot be used."""
        if isinstance(self.facts, Unusable) and self.facts.path == self.sound:
            raise HearsightError(self.facts.sentence)
        placed = {name: getattr(self, name) for name in PLACED}
        if self.missing is not None:
            return self.missing.replace(path=None, **placed)
        if self.known is None:  # then its best part is heard, as always
            return Track.of(self.sound or "", **placed)
        return track_of(self.known, self.start, self.duration, **placed)

    def show(self, track: Track) -> bool:
        """Whether the controls still show the sound of a restored track, its part, volume and place."""
        here = self.known.sha256 if self.known else self.missing.sha256 if self.missing else ""
        if not self.used or here != track.sha256:
            return False
        if self.known is not None:
            part = part_of(track, self.known)
        else:
            part = (_given(track.start, self.start), _given(track.duration, self.duration))
        close = abs(self.gain - track.gain) < 0.01 and abs(self.pan - track.pan) < 0.001
        switches = (self.room, self.mute, self.solo) == (track.room, track.mute, track.solo)
        return close and switches and same_part((self.start, self.duration), part)


def used(values: Mapping[str, Any]) -> list[Values]:
    """The tracks that are shown and have a sound, in the order of their letters, which is their order in a recipe.

    The letters in "opened" decide and not an empty sound alone: a browser may still hold one that was just removed.
    """
    shown = (LETTERS[0], *values["opened"])
    return [one for one in (Values.of(values, letter) for letter in LETTERS if letter in shown) if one.used]


def arrangement(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe that the sounds set: tracks, join, weights; of a single sound its track alone.

    Raises HearsightError when there is no sound, when one cannot be used, or when one that sounds is not here.
    """
    slots = used(values)
    if not slots:
        raise HearsightError(words.NO_SOUND)
    tracks = tuple(one.track() for one in slots)
    for one, track, sounds in zip(slots, tracks, Recipe(tracks=tracks).audible, strict=True):
        if sounds and one.missing is not None:
            raise HearsightError(words.MISSING.format(letter=one.letter, name=track.name or words.SOUND_HEADING))
    if len(slots) == 1:
        return {"tracks": tracks}
    return {"tracks": tracks, "join": values["join"], "weights": _weights(slots, values)}


def missing_sound(values: Mapping[str, Any]) -> bool:
    """Whether a sound of a restored picture is not here any more."""
    return any(one.missing is not None for one in used(values))


def unchanged(carried: Recipe, values: Mapping[str, Any]) -> bool:
    """Whether the controls still show all the sounds of a restored picture, so that its own word may be used."""
    slots, tracks = used(values), carried.tracks or (Track(),)
    if len(slots) != len(tracks) or not all(one.show(track) for one, track in zip(slots, tracks, strict=True)):
        return False
    if len(tracks) == 1:
        return True
    if carried.join != values["join"] or carried.join != "morph":
        return carried.join == values["join"]
    now = shares(_weights(slots, values) or (), len(slots))
    then = shares(carried.weights, len(slots))  # the sliders' steps are 1: less is rounding
    return all(abs(one - other) < 0.05 for one, other in zip(now, then, strict=True))


def shares(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """Each of `count` weights in percent of all; None = all the same. Nothing of nothing is nothing."""
    weights = weights or (1.0,) * count
    return tuple(100 * weight / (sum(weights) or 1.0) for weight in weights)


def track_of(facts: Look, start: float, duration: float, **placed: Any) -> Track:
    """The track of a looked-at sound. An unmoved window is left open, so that the engine finds the same one itself.

    placed: its gain, pan, room, mute, solo.
    """
    track = Track(path=facts.path, name=facts.name, sha256=facts.sha256, **placed)
    automatic = part_of(track, facts)
    if same_part((start, duration), automatic):
        return track
    begin = min(max(start, 0.0), max(facts.seconds - 0.05, 0.0))
    return track.replace(start=begin, duration=min(duration, facts.seconds - begin))


def part_of(track: Track, facts: Look) -> tuple[float, float]:
    """(start, duration) in s of the part that a track hears of a sound."""
    start, end = facts.window
    return (_given(track.start, start), _given(track.duration, end - start))


def same_part(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two (start, duration) are the same on the sliders, which know hundredths of a second."""
    return all(abs(first - second) < 0.006 for first, second in zip(one, other, strict=True))


def _weights(slots: Sequence[Values], values: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Of a morph: from the one slider between two sounds, or from each sound's own."""
    if values["join"] != "morph":
        return None
    if len(slots) == 2:
        return (round(1 - values["balance"] / 100, 4), round(values["balance"] / 100, 4))
    return tuple(round(one.weight / 100, 4) for one in slots)


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
