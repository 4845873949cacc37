"""A journey under way: its pictures one after the other, and the sound for those that are finished."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from studio.errors import HearsightError
from studio.journey.plan import lone_track, plan
from studio.journey.settings import Journey
from studio.journey.sound import soundtrack
from studio.recipe import MAX_SEED, Recipe
from studio.result import Result, Step
from studio.scene import Clips, prepare_scene
from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.loudness import SilenceError
from studio.word import blend_words, pack_word, unpack_word

if TYPE_CHECKING:
    from PIL.Image import Image

    from studio.engine import Engine


@dataclass(frozen=True)
class Painting:
    """One denoising step of a picture is done. number: which picture, 0..total-1.  eta: seconds until all are."""

    number: int
    total: int
    step: Step
    eta: float


@dataclass(frozen=True)
class Frame:
    """One picture is finished.

    number: which, 0..total-1.  recipe: makes it again, and is what its PNG carries.  caption: where on the way it is.
    heard: (label, probability) of the sound there, best first; empty where it is silent.  eta: seconds until all are.
    """

    number: int
    total: int
    image: Image
    recipe: Recipe
    caption: str
    heard: list[tuple[str, float]]
    eta: float


@dataclass(frozen=True)
class _Meaning:
    """What the ear made of the sound at one point. recipe: resolved; where it is silent, a neighbour's word at 0."""

    recipe: Recipe
    heard: list[tuple[str, float]]


class Trip:
    """A journey with its sounds read and its way planned, so that whatever is wrong is known before a picture is made.

    recipe: the sounds, the words and the look; a word that it carries is not used, because the way needs the sounds.
    clips: sounds instead of the files that the tracks name, as for `Engine.stream`.
    Raises InputError when a sound cannot be used or the sounds do not suit the journey.
    """

    def __init__(self, recipe: Recipe, journey: Journey, clips: Clips = None) -> None:
        seed = secrets.randbelow(MAX_SEED + 1) if recipe.seed is None else recipe.seed
        self.journey = journey
        self.recipe = recipe.unheard().replace(seed=seed, count=1)
        given = [clips] if isinstance(clips, Clip) else list(clips or [None] * len(recipe.tracks))
        # Read once: a long recording takes seconds to decode, and each picture hears a part of it.
        self._clips: list[Clip | None] = []
        self._digests: list[str | None] = []
        for track, sounds, clip in zip(self.recipe.tracks, self.recipe.audible, given, strict=True):
            file = track.path if sounds and clip is None else None
            self._clips.append(read_clip(file) if file else clip)
            self._digests.append(_digest(file) if file else None)
        seconds = None
        if journey.kind == "window":
            lone_track(self.recipe)
            whole = self._clips[self.recipe.audible.index(True)]
            if whole is None:
                prepare_scene(self.recipe)  # raises, and says which sound is not here
            seconds = None if whole is None else whole.seconds
        self.points = plan(self.recipe, journey, seconds)
        self._meanings: dict[int, _Meaning | None] = {}
        self._sound: Clip | None = self.sound()

    def sound(self, finished: int | None = None) -> Clip:
        """The sound under the film of the first `finished` pictures (None = all), as long as that film; limited."""
        if finished in (None, len(self.points)) and getattr(self, "_sound", None) is not None:
            return cast(Clip, self._sound)
        return soundtrack(self.recipe, self.journey, self.points[:finished], self._clips)

    def stream(self, engine: Engine) -> Iterator[Painting | Frame]:
        """Make the pictures in their order: Paintings as each grows, then its Frame.

        Closing the iterator stops the work at the step in hand; the frames that came are good. Raises InputError as
        `Engine.stream` does, and HearsightError when the whole way is silent.
        """
        began, total = 0.0, len(self.points)
        for number, point in enumerate(self.points):
            meaning = self._smoothed(engine, number)
            began = began or time.monotonic()  # not earlier: the model may have been loaded first
            steps = cast("Generator[Step | Result]", engine.stream(meaning.recipe))
            with closing(steps) as stream:
                for item in stream:
                    if isinstance(item, Step):
                        each = (time.monotonic() - began + item.eta) / (number + 1)
                        yield Painting(number, total, item, item.eta + each * (total - number - 1))
                    else:
                        left = (time.monotonic() - began) / (number + 1) * (total - number - 1)
                        image, recipe = item.images[0], item.recipes[0]
                        yield Frame(number, total, image, recipe, point.caption, meaning.heard, left)

    def _smoothed(self, engine: Engine, number: int) -> _Meaning:
        """What is drawn at a point: its own meaning, with a share of its neighbours'.

        The weights fall in a straight line, and reach as far to both sides: the ends of the way keep their own.
        """
        own = self._heard_or_near(engine, number)
        reach = 0 if self.journey.kind == "morph" else self.journey.smoothing
        reach = min(reach, number, len(self.points) - 1 - number)
        if not reach:
            return own
        around = [self._heard_or_near(engine, number + away).recipe for away in range(-reach, reach + 1)]
        shares = [(reach + 1 - abs(away)) / (reach + 1) ** 2 for away in range(-reach, reach + 1)]
        levels = [1.0 if one.loudness is None else one.loudness for one in around]
        loudness = sum(share * level for share, level in zip(shares, levels, strict=True))
        word = blend_words([unpack_word(one.word or "") for one in around], shares)
        level = None if loudness > 1 - 1e-9 else loudness
        return _Meaning(own.recipe.replace(word=pack_word(word), loudness=level), own.heard)

    def _heard_or_near(self, engine: Engine, number: int) -> _Meaning:
        """A point's meaning; where it is silent, the nearest one's before or after, without any strength.

        So the sound fades out of the picture, and the words stand alone.
        """
        heard = self._listened(engine, number)
        if heard is not None:
            return heard
        for away in range(1, len(self.points)):
            for near in (number - away, number + away):
                other = self._listened(engine, near) if 0 <= near < len(self.points) else None
                if other is not None:
                    tracks = self._signed(self.points[number].recipe).tracks
                    return _Meaning(other.recipe.replace(tracks=tracks, loudness=0.0), [])
        raise HearsightError("Every part of this journey is silent. Choose a louder sound, or raise its volume.")

    def _listened(self, engine: Engine, number: int) -> _Meaning | None:
        """What the ear makes of the sound at a point, listened to once; None where it is silent."""
        if number not in self._meanings:
            drawn = self.points[number].recipe
            try:
                recipe, heard = engine.resolve(drawn, self._clips_of(drawn))
            except SilenceError:
                self._meanings[number] = None
            else:
                labels = heard.scene.labels if heard else []
                self._meanings[number] = _Meaning(self._signed(recipe), labels)
        return self._meanings[number]

    def _clips_of(self, drawn: Recipe) -> list[Clip | None]:
        if len(drawn.tracks) == len(self._clips):
            return self._clips
        return [self._clips[self.recipe.audible.index(True)]]  # a window's recipe has one track only

    def _signed(self, recipe: Recipe) -> Recipe:
        """With the digests of the files, by which they are known again: the engine was handed samples only."""
        digests = self._digests
        if len(recipe.tracks) != len(digests):
            digests = [digests[self.recipe.audible.index(True)]]
        tracks = [
            track.replace(sha256=digest) if digest else track
            for track, digest in zip(recipe.tracks, digests, strict=True)
        ]
        return recipe.replace(tracks=tuple(tracks))


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
