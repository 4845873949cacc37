"""The sound under a journey, as long as its film: what the pictures show, when they show it.

Letters: C channels, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.journey.plan import Point, at_volume, lone_track
from studio.journey.settings import Journey
from studio.recipe import Recipe
from studio.scene import prepare_scene
from studio.sound.clip import Clip
from studio.sound.limiter import limit
from studio.sound.mix import CROSSFADE, mix, sequence
from studio.sound.window import cut

GRAIN = 0.2  # s

Curve = NDArray[np.float64]


def soundtrack(recipe: Recipe, journey: Journey, points: Sequence[Point], clips: Sequence[Clip | None]) -> Clip:
    """The sound under the film of those points (the first ones, when the journey was stopped), limited.

    Its length is that of the film: len(journey.order(len(points))) / fps seconds, to the sample.
    morph: the sounds together, each with its weight as its share of the power (so two fade into each other).
    volume: the joined sound with the sweep as its gain.  window: the recording from the first window's start to the
    last one's end; where the film is shorter or longer than that it plays faster or slower at its own pitch.
    clips: each track's whole sound, None for a file to be read again.
    Raises InputError when the sounds are silent, or cannot be used.
    """
    film = [points[index] for index in journey.order(len(points))]
    seconds = len(film) / journey.fps
    if journey.kind == "morph":
        return _crossfade(recipe, journey, film, seconds, clips)
    if journey.kind == "volume":
        loudest = max(point.db for point in film)
        clip = _fit(prepare_scene(at_volume(recipe, loudest), list(clips)).clip, seconds)
        gain = 10 ** (_along([point.db - loudest for point in film], journey.fps, clip) / 20)
        return limit(replace(clip, samples=(clip.samples * gain).astype(np.float32)))
    track = lone_track(recipe)
    own = clips[recipe.audible.index(True)]
    first, end = points[0].start, points[-1].start + points[-1].duration
    part = track.replace(start=first, duration=round(end - first, 6))
    clip = prepare_scene(recipe.replace(tracks=(part,), join="mix", weights=None), [own]).clip
    places = [(index + 0.5) / len(points) * clip.seconds for index in journey.order(len(points))]
    return limit(_at_places(clip, places, journey.fps))


def _crossfade(
    recipe: Recipe, journey: Journey, film: Sequence[Point], seconds: float, clips: Sequence[Clip | None]
) -> Clip:
    whole = recipe.replace(join="morph", weights=None)
    parts = []
    for index, sound in enumerate(prepare_scene(whole, list(clips)).alone):
        if sound is None:
            continue
        clip = _fit(sound.clip, seconds)
        weights = _along([point.weights[index] for point in film], journey.fps, clip)
        # Different sounds are not correlated, so it is their powers that add up.
        parts.append(replace(clip, samples=(clip.samples * np.sqrt(weights)).astype(np.float32)))
    return _exactly(mix(parts), seconds)


def _fit(clip: Clip, seconds: float) -> Clip:
    """The clip, cut to a length or repeated up to it, each round crossfading into the next."""
    if clip.seconds < seconds:
        more = clip.seconds - min(CROSSFADE, clip.seconds / 2)
        clip = sequence([clip] * (math.ceil((seconds - clip.seconds) / more) + 2))
    return _exactly(cut(clip, 0.0, seconds), seconds)


def _exactly(clip: Clip, seconds: float) -> Clip:
    """The clip with that many seconds to the sample; what is missing, at most rounding, is silence."""
    count = round(seconds * clip.rate)
    samples = np.zeros((clip.channels, count), np.float32)
    kept = clip.samples[:, :count]
    samples[:, : kept.shape[1]] = kept
    return replace(clip, samples=samples)


def _along(values: Sequence[float], fps: float, clip: Clip) -> Curve:
    """[N]: a curve through each picture's value in the middle of its time; flat outside the middles."""
    middles = (np.arange(len(values)) + 0.5) / fps
    return np.interp(np.arange(clip.samples.shape[1]) / clip.rate, middles, values)


def _at_places(clip: Clip, places: Sequence[float], fps: float) -> Clip:
    """A clip played along a curve of places in it (s), one a picture, at its own pitch.

    Overlap-add of Hann grains, which is the clip itself where the places move as fast as time does. For recordings of
    places this is enough; music changes its timbre a little (no phases are matched, as WSOLA would).
    """
    half = round(GRAIN / 2 * clip.rate)
    count = round(len(places) / fps * clip.rate)
    middles = (np.arange(len(places)) + 0.5) / fps
    ends = [places[0] - (places[1] - places[0]) / 2, places[-1] + (places[-1] - places[-2]) / 2]
    times = np.concatenate([[0.0], middles, [len(places) / fps]])
    centres = np.arange(0, count + half, half)
    sources = np.interp(centres / clip.rate, times, [ends[0], *places, ends[1]]) * clip.rate
    if centres[-1] > count:  # the last grain's centre lies behind the end: its source goes on from the one before
        sources[-1] += centres[-1] - count
    grain: NDArray[Any] = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * half) / half)  # periodic: halves add up to 1
    padded = np.pad(clip.samples, ((0, 0), (half, 3 * half)))
    out = np.zeros((clip.channels, count + 3 * half), np.float64)
    for centre, source in zip(centres, sources, strict=True):
        begin = min(max(round(source), 0), padded.shape[1] - 2 * half)
        out[:, centre : centre + 2 * half] += padded[:, begin : begin + 2 * half] * grain
    return replace(clip, samples=out[:, half : half + count].astype(np.float32))
