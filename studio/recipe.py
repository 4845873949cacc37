"""Everything needed to make the same picture again: validated, immutable, JSON.

Bounds, steps, units and help stand here once; `studio.fields.settings(Recipe)` hands them to command line and app.
Whatever is wrong with a value, the error is one InputError sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from studio.errors import InputError
from studio.fields import Strict, setting
from studio.word import unpack_word

MAX_SEED = 2**31 - 1
MAX_PROMPT = 2000  # characters; the text encoder's own limit, in tokens, is checked when the prompt is used
MAX_TRACKS = 8

Room = Literal["dry", "living-room", "stairwell", "concert-hall", "church", "cathedral"]
Join = Literal["mix", "sequence", "morph"]
Weight = Annotated[float, Field(ge=0, le=100)]


class Track(Strict):
    """One sound of a recipe: where it comes from, which part is heard, how loud, where it stands, in which room."""

    left_out: ClassVar[frozenset[str]] = frozenset({"pan", "mute", "solo", "room"})

    path: str | None = setting(None, "The sound file on this machine; never written into a picture.")
    name: str = setting("", "The file's name, without its folder.", max_length=255)
    sha256: str | None = setting(None, "Digest of the sound, to know it again.", pattern=r"^[0-9a-f]{64}$")
    start: float | None = setting(
        None, "Where the heard part starts; empty = the most energetic part.", ge=0, le=1800, step=0.1, unit="s"
    )
    duration: float | None = setting(
        None, "How long the heard part is; empty = at most 10 s.", ge=0.05, le=1800, step=0.1, unit="s"
    )
    gain: float = setting(0.0, "Louder or softer, before the ear hears it.", ge=-60, le=40, step=0.5, unit="dB")
    pan: float = setting(0.0, "Where it stands: -1 is left, 0 the middle, 1 right.", ge=-1, le=1, step=0.05)
    mute: bool = setting(False, "Whether it is silenced; this also counts when it is soloed.")
    solo: bool = setting(False, "Whether it is heard alone, together with other soloed ones.")
    room: Room = setting("dry", "The room it sounds in.")

    @classmethod
    def of(cls, path: str | Path, **fields: Any) -> Self:
        """The track of a sound file: its absolute path and its name."""
        return cls(path=str(Path(path).expanduser().absolute()), name=Path(path).name[-255:], **fields)


class Recipe(Strict):
    """What to make. Fields that are None are filled by the engine; a resolved recipe replays byte for byte.

    join: "mix" adds the tracks in the air, all from the beginning; "sequence" plays one after the other; "morph" hears
    each alone and goes between their meanings.  weights: of a morph, one for each track, muted ones included; only
    their ratios count, and None means equal. They are kept but not used by the other ways to join.
    """

    left_out: ClassVar[frozenset[str]] = frozenset({"join", "weights", "sound_strength", "loudness"})

    version: Literal[1] = setting(1, "The form of this recipe.")
    tracks: tuple[Track, ...] = setting((), "The sounds; not needed when the word is carried.", max_length=MAX_TRACKS)
    join: Join = setting("mix", "How several sounds become one: together, one after the other, or between meanings.")
    weights: tuple[Weight, ...] | None = setting(
        None, "How much each sound counts in a morph; empty = all the same.", step=0.05
    )
    prompt: str = setting(
        "a photo of A*",
        "What to make; A* stands for the sound, anywhere, several times, also weighted: (A*:1.3).",
        max_length=MAX_PROMPT,
    )
    negative_prompt: str | None = setting(
        None, "What to stay away from; empty = the model's own.", max_length=MAX_PROMPT
    )
    seed: int | None = setting(
        None, "The same seed gives the same picture; empty = a new one.", ge=0, le=MAX_SEED, step=1
    )
    count: int = setting(1, "How many pictures; picture i uses seed + i.", ge=1, le=8, step=1)
    num_inference_steps: int | None = setting(
        None, "Denoising steps: more is slower and cleaner; empty = the model's own.", ge=1, le=100, step=1
    )
    guidance_scale: float | None = setting(
        None, "How strictly the picture follows sound and words; empty = the model's own.", ge=0, le=30, step=0.1
    )
    sound_strength: float = setting(
        1.0, "How strongly the sound acts beside the words; 0 = the words alone.", ge=0, le=3, step=0.05
    )
    loudness: float | None = setting(
        None, "How loud the sound is against its own level, filled by the engine from the tracks' gains.", ge=0, le=1
    )
    width: int | None = setting(
        None, "Width; empty = the model's own.", ge=64, le=1024, multiple_of=8, step=8, unit="px"
    )
    height: int | None = setting(
        None, "Height; empty = the model's own.", ge=64, le=1024, multiple_of=8, step=8, unit="px"
    )
    model: str = setting("pocket", "The image model: pocket, a Diffusers folder, or a hub name.", min_length=1)
    adapter: str = setting("word", "What turns the sound into A*: a name, or a folder with weights.", min_length=1)
    preview_every: int = setting(2, "Show a preview every so many steps; 0 = never.", ge=0, le=100, step=1)
    word: str | None = setting(None, "A* itself, filled by the engine, so that the sound is not needed again.")
    versions: dict[str, str] = Field(default_factory=dict, description="The program versions that made the picture.")
    model_sha256: str | None = setting(None, "Short digest of the image model's weights.", max_length=64)

    @field_validator("prompt")
    @classmethod
    def _prompt_says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("it must hold at least one word")
        return prompt

    @field_validator("word")
    @classmethod
    def _word_is_whole(cls, word: str | None) -> str | None:
        if word is not None:
            unpack_word(word)
        return word

    @field_validator("weights")
    @classmethod
    def _weights_fit_the_tracks(cls, weights: tuple[float, ...] | None, info: ValidationInfo) -> Any:
        tracks = info.data.get("tracks")
        if weights is None or tracks is None:
            return weights
        if len(weights) != len(tracks):
            raise ValueError(f"it must hold one weight for each of the {len(tracks)} tracks")
        if not sum(weights):
            raise ValueError("at least one weight must be above 0")
        return weights

    @property
    def audible(self) -> tuple[bool, ...]:
        """For each track whether it sounds: not muted, and soloed when any track is, as on a mixing desk."""
        solo = any(track.solo for track in self.tracks)
        return tuple(not track.mute and (track.solo or not solo) for track in self.tracks)

    @property
    def resolved(self) -> bool:
        """Whether the engine has filled every open field, so that the recipe can be replayed without its sound."""
        open_fields = ("negative_prompt", "seed", "num_inference_steps", "guidance_scale", "width", "height", "word")
        return all(getattr(self, name) is not None for name in open_fields)

    def public(self) -> Self:
        """The recipe without anything local to this machine: no sound path, and folder names instead of folders."""
        return self.replace(
            tracks=tuple(track.replace(path=None) for track in self.tracks),
            model=_without_folder(self.model),
            adapter=_without_folder(self.adapter),
        )

    def to_json(self) -> str:
        """The recipe as one line of ASCII JSON."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json` back. Raises InputError for anything that is not a recipe."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"This is not a recipe: it is not valid JSON ({error}).") from None
        if not isinstance(values, dict):
            raise InputError(f"This is not a recipe: it must be a JSON object, not {type(values).__name__}.")
        return cls(**values)


def _without_folder(name: str) -> str:
    """A local folder's own name; names of the registry and of the hub ("owner/name") are left as they are.

    The engine makes local folders absolute when it resolves a recipe, so an absolute path is what local looks like.
    """
    path = Path(name)
    return path.name or "model" if path.is_absolute() else name
