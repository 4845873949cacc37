"""The way of a journey as recipes, one a picture. Nothing is heard or drawn here; light to import."""

from __future__ import annotations

from dataclasses import dataclass

from studio.errors import InputError
from studio.fields import settings
from studio.journey.settings import Journey
from studio.recipe import MAX_TRACKS, Recipe, Track

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:MAX_TRACKS]
_TOLERANCE = 0.001  # s, as studio.sound.window forgives


@dataclass(frozen=True)
class Point:
    """One stop of the way.

    recipe: what is drawn there, with count 1.  caption: where that is, in letters that every font has.
    weights: of a morph, one a track.  db: of a volume sweep, beside each track's own gain.
    start, duration: of a window, in s of the recording.
    """

    recipe: Recipe
    caption: str
    weights: tuple[float, ...] = ()
    db: float = 0.0
    start: float = 0.0
    duration: float = 0.0


def plan(recipe: Recipe, journey: Journey, seconds: float | None = None) -> tuple[Point, ...]:
    """The stops of a journey, `journey.frames` of them. All share the recipe's seed, so that only the sound changes.

    seconds: length of the recording under a sliding window; not needed for other journeys.
    Raises InputError when the sounds do not suit the journey.
    """
    recipe = recipe.unheard().replace(count=1)
    if not any(recipe.audible):
        raise InputError("A journey needs a sound, but none sounds: add one, or unmute one.")
    if journey.kind == "morph":
        return _morph(recipe, journey)
    if journey.kind == "volume":
        return _volume(recipe, journey)
    return _window(recipe, journey, seconds)


def at_volume(recipe: Recipe, db: float) -> Recipe:
    """The recipe with every track that much louder, within the bounds of a track's gain."""
    bounds = settings(Track)["gain"]
    low, high = bounds.minimum or 0.0, bounds.maximum or 0.0
    tracks = [track.replace(gain=round(min(max(track.gain + db, low), high), 2)) for track in recipe.tracks]
    return recipe.replace(tracks=tuple(tracks))


def lone_track(recipe: Recipe) -> Track:
    """The one recording that a window slides over. Raises InputError when there are several."""
    sounding = [track for track, sounds in zip(recipe.tracks, recipe.audible, strict=True) if sounds]
    if len(sounding) != 1:
        raise InputError(
            f"A window slides over one recording, but {len(sounding)} sound: mute the others, or solo the one to use."
        )
    return sounding[0].replace(mute=False, solo=False)


def _morph(recipe: Recipe, journey: Journey) -> tuple[Point, ...]:
    """From the first sound that is audible to the last, through all between, at an even pace."""
    stops = [index for index, sounds in enumerate(recipe.audible) if sounds]
    if len(stops) < 2:
        raise InputError("A morph goes from sound to sound, but only one sounds: add a second one.")
    points = []
    for number in range(journey.frames):
        # In whole numbers, so that the sounds at the ends stand alone exactly.
        leg, rest = divmod(number * (len(stops) - 1), journey.frames - 1)
        share = round(rest / (journey.frames - 1), 6)
        weights = [0.0] * len(recipe.tracks)
        weights[stops[leg]] = round(1 - share, 6)
        if share:
            weights[stops[leg + 1]] = share
        caption = " ".join(f"{LETTERS[i]} {round(100 * weight)}" for i, weight in enumerate(weights) if weight)
        drawn = recipe.replace(join="morph", weights=tuple(weights))
        points.append(Point(drawn, caption, weights=tuple(weights)))
    return tuple(points)


def _volume(recipe: Recipe, journey: Journey) -> tuple[Point, ...]:
    if journey.from_db == journey.to_db:
        raise InputError(
            f"A volume sweep from {journey.from_db:g} dB to {journey.to_db:g} dB does not change: choose two volumes."
        )
    points = []
    for number in range(journey.frames):
        share = number / (journey.frames - 1)
        db = round((1 - share) * journey.from_db + share * journey.to_db, 2)
        points.append(Point(at_volume(recipe, db), f"{db:+.1f} dB".replace("+0.0", "0.0"), db=db))
    return tuple(points)


def _window(recipe: Recipe, journey: Journey, seconds: float | None) -> tuple[Point, ...]:
    """Over the part of the recording that its track chooses; all of it when it chooses none."""
    track = lone_track(recipe)
    if seconds is None:
        raise ValueError("a window needs the length of its recording")
    first = track.start or 0.0
    part = seconds - first if track.duration is None else min(track.duration, seconds - first)
    room = part - journey.duration
    if room <= _TOLERANCE:
        raise InputError(
            f"A window of {journey.duration:g} s has no way to go in {max(part, 0):.1f} s of sound: "
            "make the window shorter, or take a longer recording."
        )
    steps = journey.frames - 1
    hop = room / steps if journey.hop is None else journey.hop
    if hop * steps > room + _TOLERANCE:
        fit = int((room + _TOLERANCE) / hop) + 1
        remedy = f"use at most {fit} pictures or a smaller hop" if fit > 1 else "use a smaller hop"
        raise InputError(
            f"{journey.frames} windows of {journey.duration:g} s, {hop:g} s apart, need "
            f"{journey.duration + hop * steps:.1f} s of sound, but there are {part:.1f} s: {remedy}."
        )
    points = []
    for number in range(journey.frames):
        start = round(first + min(number * hop, room), 6)
        heard = track.replace(start=start, duration=journey.duration)
        drawn = recipe.replace(tracks=(heard,), join="mix", weights=None)
        caption = f"{_clock(start)}-{_clock(start + journey.duration)}"
        points.append(Point(drawn, caption, start=start, duration=journey.duration))
    return tuple(points)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}"
