"""Listening and drawing without an end: the last seconds of a microphone become a picture, again and again.

No gradio here. Each open page has a Room of its own, so that nobody's sound gets into somebody else's picture. Each
picture is an ordinary request in the app's line: a page that listens has one place in it, like everybody who waits,
and takes the sound that is there when its turn comes. What was not drawn in time is dropped, never caught up with.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from studio.errors import InputError
from studio.recipe import Recipe, Track
from studio.result import Result
from studio.sound.clip import Clip, Samples
from studio.sound.ring import Level, Ring
from studio.ui import words
from studio.ui.jobs import Loading, Stopped, Waiting, glimpse
from studio.ui.service import Service
from studio.word import blend_words, pack_word, unpack_word

if TYPE_CHECKING:
    from PIL.Image import Image

    from studio.engine import Engine
    from studio.sound.record import Recorder

LONGEST_WINDOW = 10.0  # s, what the ear listens to at most
PACE = 1.0  # s between the beginnings of two pictures, where the machine is fast enough
PATIENCE = 20.0  # s without any sound from the browser, not even silence, after which nobody listens any more
MOST_LISTENING = 8  # pages at once: each more makes all pictures rarer
FAST_MODEL = "pocket-fast"
FEW_STEPS = 6  # of a model that was not made for few: rough, but a picture a second
_LOOK = 0.2  # s between two looks while there is nothing to draw


@dataclass(frozen=True)
class Wishes:
    """What the controls of the tab say; may change while it listens.

    window: s of sound that the ear hears.  smoothness: 0..0.95, how much of the last picture's word stays in the next.
    gain: dB, before the ear.  threshold: dB below full scale; below it nothing is drawn.  strength: as in a recipe.
    """

    prompt: str = "a photo of A*"
    window: float = 3.0
    smoothness: float = 0.5
    gain: float = 0.0
    threshold: float = -45.0
    strength: float = 1.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Frame:
    """One finished picture. recipe: what makes it again without the sound.  lufs: of the heard part after its gain."""

    picture: Image
    recipe: Recipe
    heard: list[tuple[str, float]]
    lufs: float
    seconds: float


@dataclass(frozen=True)
class Listening:
    """Nothing is loud enough to be drawn: the last picture stays."""


@dataclass(frozen=True)
class Lost:
    """No sound arrives any more."""


Glimpse = Waiting | Loading | Stopped | Listening | Lost | Frame


class Room:
    """One open page that listens. recorder: a device of this machine instead of the browser's microphone."""

    def __init__(self, wishes: Wishes, recorder: Recorder | None = None) -> None:
        self.wishes = wishes
        self.stop = threading.Event()
        self.shown: Frame | None = None
        self.ending = ""  # HTML that says why it ended; empty while it listens
        self._recorder = recorder
        self._ring = Ring(LONGEST_WINDOW)
        self._lock = threading.Lock()
        self.opened = self.swept = time.time()  # as files have it
        self._arrived = time.monotonic()
        self._heard: tuple[list[tuple[str, float]], float] = ([], float("-inf"))
        self._word: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None

    def add(self, samples: Samples, rate: int) -> None:
        """A block [C, n] from the browser; nothing is kept after a stop."""
        with self._lock:
            if not self.stop.is_set():
                self._arrived = time.monotonic()
                self._ring.add(samples, rate)

    def alive(self) -> None:
        """The browser has sent something, if only nothing that can be used."""
        self._arrived = time.monotonic()

    def latest(self, seconds: float) -> Clip | None:
        """The last seconds, None while there is nothing."""
        if self._recorder is not None:
            return self._recorder.latest(seconds)
        with self._lock:
            return self._ring.latest(seconds, words.LIVE_SOUND)

    @property
    def level(self) -> Level:
        """How loud the last half second was, before the gain."""
        if self._recorder is not None:
            return self._recorder.level
        with self._lock:
            return self._ring.level(0.5)

    @property
    def lost(self) -> bool:
        """Whether no sound arrives any more: a laptop went to sleep, a device was unplugged."""
        if self._recorder is not None:
            return not self._recorder.recording
        return time.monotonic() - self._arrived > PATIENCE

    def close(self) -> None:
        """Stop listening, and forget the sound; the picture in view can still be kept."""
        self.stop.set()
        if self._recorder is not None:
            self._recorder.close()
        with self._lock:
            self._ring.clear()
        self._word = None

    def heard_now(self) -> Clip | None:
        """What is to be drawn, before its gain; None while nothing is loud enough."""
        wishes = self.wishes
        clip = self.latest(wishes.window)
        if clip is None:
            return None
        swing = clip.samples - clip.samples.mean(axis=1, keepdims=True)  # a constant offset is no sound
        peak = 20 * np.log10(max(float(np.abs(swing).max()), 1e-9)) + wishes.gain
        return clip if peak >= wishes.threshold else None

    def order(self, engine: Engine, blank: Recipe) -> Recipe | None:
        """The recipe of the next picture, with its word on the way from the last one's; None = nothing to draw.

        blank: the recipe without sound and wishes. The word goes the share 1 - smoothness of the way (blend_words), so
        what was heard fades from the pictures like an echo: of a sound that ended k pictures ago smoothness^k is left.
        """
        from studio.scene import perceived  # scipy, not before the page is up
        from studio.sound.loudness import MATCHED_LUFS

        wishes, clip = self.wishes, self.heard_now()
        if clip is None:
            return None
        recipe = blank.replace(
            tracks=(Track(name=words.LIVE_SOUND, gain=wishes.gain),),
            prompt=wishes.prompt,
            seed=wishes.seed,
            sound_strength=wishes.strength,
        )
        resolved, heard = engine.resolve(recipe, clip)
        if heard is not None:
            self._heard = (heard.scene.labels, heard.scene.lufs)
        if resolved.word is not None:
            word, last = unpack_word(resolved.word), self._word
            if last is not None and last.shape == word.shape:
                word = blend_words([word, last], [1 - wishes.smoothness, wishes.smoothness])
            self._word = word
            resolved = resolved.replace(word=pack_word(word))
        # A recording's own level says nothing, but a microphone's does: the starters' level is full strength here.
        loudness = perceived(self._heard[1] - MATCHED_LUFS)
        return resolved.replace(loudness=None if loudness == 1 else loudness)

    def frame(self, result: Result, seconds: float) -> Frame:
        """The finished picture of the last order."""
        self.shown = Frame(result.images[0], result.recipes[0], *self._heard, seconds)
        return self.shown


class Rooms:
    """The rooms of all open pages, by Gradio's name for a page."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()

    def open(self, session: str, room: Room) -> None:
        """A page begins to listen; what it did before is stopped. Raises InputError when too many listen."""
        with self._lock:
            before = self._rooms.get(session)
            listening = sum(not one.stop.is_set() for one in self._rooms.values() if one is not before)
            if listening >= MOST_LISTENING:
                room.close()
                raise InputError(words.LIVE_FULL.format(count=listening))
            if before is not None:
                room.shown = before.shown
            self._rooms[session] = room
        if before is not None:
            before.close()

    def get(self, session: str) -> Room | None:
        """The room of a page that has listened."""
        return self._rooms.get(session)

    def forget(self, session: str) -> None:
        """The page was closed: nothing of it stays."""
        with self._lock:
            room = self._rooms.pop(session, None)
        if room is not None:
            room.close()


def wish(room: Room, **changes: object) -> None:
    """Change the wishes of a room that listens; the next picture follows them."""
    room.wishes = replace(room.wishes, **changes)  # type: ignore[arg-type]  # the names are those of the controls


def blank_recipe(service: Service) -> Recipe:
    """What every live picture begins with: the few-step model when it is here, else few steps of the page's own."""
    from studio.backbones.hub import embedded_models

    fast = service.model == "pocket" and FAST_MODEL in embedded_models() and service.offers(FAST_MODEL)
    blank = Recipe(
        model=FAST_MODEL if fast else service.model,
        adapter=service.adapter,
        num_inference_steps=None if fast else FEW_STEPS,
        preview_every=0,
    )
    return service.allowed(blank)


def listen(service: Service, room: Room, pace: float = PACE) -> Iterator[Glimpse]:
    """Draw what is heard until the room is closed or nothing arrives. pace: s between two beginnings, at least.

    Raises HearsightError; closing the generator frees the place in the line. The room is closed in any case.
    """
    blank = blank_recipe(service)
    quiet = False
    try:
        while not room.stop.is_set():
            begun = time.monotonic()
            if room.lost:
                yield Lost()
                return
            if room.heard_now() is None:
                if not quiet:
                    yield Listening()
                quiet = True
                room.stop.wait(_LOOK)
                continue
            quiet = False
            for moment in glimpse(service, room.stop, lambda engine: room.order(engine, blank)):
                if isinstance(moment, Result):
                    yield room.frame(moment, time.monotonic() - begun)
                elif isinstance(moment, Waiting | Loading | Stopped):
                    yield moment
            room.stop.wait(max(0.0, begun + pace - time.monotonic()))
    finally:
        room.close()
