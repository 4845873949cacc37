"""What a journey is: which way it goes, in how many pictures, how fast they follow each other. Light to import."""

from __future__ import annotations

import json
from typing import Literal, Self

from studio.errors import InputError
from studio.fields import Strict, setting
from studio.limits import MOST_FRAMES
from studio.recipe import Recipe

FORMATS = (".mp4", ".gif", ".png")  # film, animation, contact sheet

Kind = Literal["morph", "volume", "window"]
Playback = Literal["once", "loop", "ping-pong"]


class Journey(Strict):
    """The way of a journey; the sounds, the words and the look are a Recipe's.

    kind: "morph" goes from each sound's meaning to the next one's; "volume" turns all sounds up or down; "window"
    slides over one recording, and each picture shows what is heard there.
    """

    version: Literal[1] = setting(1, "The form of these settings.")
    kind: Kind = setting("morph", "The way: from sound to sound, a volume sweep, or a window that slides along.")
    frames: int = setting(24, "How many pictures are made.", ge=2, le=MOST_FRAMES, step=1)
    fps: float = setting(8.0, "How many pictures are shown in a second.", ge=0.5, le=30, step=0.5, unit="1/s")
    playback: Playback = setting(
        "loop", "Once, over and over (a GIF repeats), or forth and back without drawing more pictures."
    )
    from_db: float = setting(-30.0, "Where a volume sweep begins, beside each sound's own.", ge=-60, le=40, unit="dB")
    to_db: float = setting(0.0, "Where a volume sweep ends.", ge=-60, le=40, unit="dB")
    duration: float = setting(4.0, "How long the sliding window is.", ge=0.5, le=60, step=0.5, unit="s")
    hop: float | None = setting(
        None,
        "How far the window goes from picture to picture; empty = so that it ends where the recording does.",
        ge=0.01,
        le=600,
        step=0.1,
        unit="s",
    )
    smoothing: int = setting(
        1,
        "How many neighbours on each side a picture shares its meaning with, against jumps; not used by a morph.",
        ge=0,
        le=10,
        step=1,
    )

    def order(self, finished: int) -> list[int]:
        """Which picture stands at each place of the film, when that many (the first ones) are finished."""
        forth = list(range(finished))
        return forth + forth[-2:0:-1] if self.playback == "ping-pong" else forth

    def to_json(self, recipe: Recipe, **more: object) -> str:
        """The settings and the recipe that the journey began with, without anything local, as one line of JSON."""
        values = {"journey": self.model_dump(mode="json"), "recipe": recipe.public().model_dump(mode="json")}
        return json.dumps(values | more, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> tuple[Self, Recipe]:
        """Read `to_json` back. Raises InputError for anything else."""
        try:
            values = json.loads(text)
            return cls(**values["journey"]), Recipe(**values["recipe"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"These are not the settings of a journey ({type(error).__name__}).") from None
