"""Everything needed to make the same picture again: validated, immutable, JSON.

Bounds, steps, units and help stand here once; `studio.fields.settings(Recipe)` hands them to command line and app.
Whatever is wrong with a value, the error is one InputError sentence.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from studio.concepts import read_concepts
from studio.errors import InputError
from studio.fields import Strict, setting
from studio.word import unpack_word

MAX_SEED = 2**31 - 1
MAX_PROMPT = 2000  # characters; the text encoder's own limit, in tokens, is checked when the prompt is used
MAX_TRACKS = 8
RECIPE_CHUNK = "hearsight"  # the PNG text chunk that holds a picture's recipe

Room = Literal["dry", "living-room", "stairwell", "concert-hall", "church", "cathedral"]
Join = Literal["mix", "sequence", "morph", "side-by-side"]
Weight = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]


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
    pan: float = setting(
        0.0,
        "Where it stands, in the sound and, with what it paints, in the picture: -1 is left, 0 the middle, 1 right.",
        ge=-1,
        le=1,
        step=0.05,
    )
    mute: bool = setting(False, "Whether it is silenced; this also counts when it is soloed.")
    solo: bool = setting(False, "Whether it is heard alone, together with other soloed ones.")
    room: Room = setting("dry", "The room it sounds in.")

    @classmethod
    def of(cls, path: str | Path, **fields: Any) -> Self:
        """The track of a sound file: its absolute path and its name."""
        return cls(path=str(Path(path).expanduser().absolute()), name=Path(path).name[-255:], **fields)


class Edit(Strict):
    """A photo to change, and how much of it stays. How strongly it changes is the sound's volume.

    photo, mask: files on this machine; a picture carries only their digests. A photo may also be handed to the engine.
    method: an editor of `studio.editing`: "pnp" (plug-and-play), "p2p" (prompt-to-prompt), "sdedit".
    keep_layout: plug-and-play and prompt-to-prompt hold the self-attention of the photo for this share of the steps,
        prompt-to-prompt with it the features of the decoder.
    keep_detail: plug-and-play holds features of the decoder for this share, prompt-to-prompt the attention
        to the words.  words, emphasis, local: prompt-to-prompt only.  noise: SDEdit only.
    """

    left_out: ClassVar[frozenset[str]] = frozenset({"words", "emphasis", "local", "noise", "variation", "check"})

    method: str = setting("pnp", "How to edit: pnp, p2p or sdedit.", min_length=1, max_length=40)
    photo: str | None = setting(None, "The photo on this machine; never written into a picture.")
    name: str = setting("", "The photo's file name, without its folder.", max_length=255)
    sha256: str | None = setting(None, "Digest of the photo, to know it again.", pattern=r"^[0-9a-f]{64}$")
    source_prompt: str = setting(
        "", "What the photo shows, in words; prompt-to-prompt needs it.", max_length=MAX_PROMPT
    )
    keep_layout: float = setting(
        0.8, "For which share of the steps shapes stay where they stand in the photo.", ge=0, le=1, step=0.05
    )
    keep_detail: float = setting(
        0.8, "For which share of the steps the photo's details are held.", ge=0, le=1, step=0.05
    )
    mask: str | None = setting(None, "A picture, white where the photo may change; never written into a picture.")
    mask_sha256: str | None = setting(None, "Digest of the mask.", pattern=r"^[0-9a-f]{64}$")
    words: Literal["auto", "replace", "refine"] = setting(
        "auto", "Prompt-to-prompt: replace words one by one, or add some; auto = replace where their number is equal."
    )
    emphasis: float = setting(
        1.0, "Prompt-to-prompt: how much of the attention A* gets, 1 = its own.", ge=0, le=5, step=0.1
    )
    local: bool = setting(False, "Prompt-to-prompt: change only where the exchanged words stand.")
    noise: float = setting(
        0.6, "SDEdit: how far into noise the photo is taken, 1 = nothing of it is left.", ge=0, le=1, step=0.05
    )
    variation: float = setting(
        0.0, "How much of the start is new noise of the seed; 0 = every seed gives the same.", ge=0, le=1, step=0.05
    )
    check: bool = setting(True, "Paint the photo itself once more, to say how well it comes back; once for a photo.")

    @classmethod
    def of(cls, photo: str | Path, mask: str | Path | None = None, **fields: Any) -> Self:
        """The edit of a photo file: its absolute path and its name."""
        path = Path(photo).expanduser().absolute()
        there = None if mask is None else str(Path(mask).expanduser().absolute())
        return cls(photo=str(path), name=path.name[-255:], mask=there, **fields)


class Recipe(Strict):
    """What to make. Fields that are None are filled by the engine; a resolved recipe replays byte for byte.

    join: "mix" adds the tracks in the air, all from the beginning; "sequence" plays one after the other; "morph" hears
    each alone and goes between their meanings; "side-by-side" is a mix whose tracks, when all stand in the middle, are
    panned evenly from left to right in their order.
    weights: of a morph, one for each track, muted ones included; only their ratios count, and None means equal. They
    are kept but not used by the other ways to join.
    shares: of a picture of several sounds, or of one that is placed by its pan; `word` then holds the words of all
    tracks with a share above 0, one after the other. None: one word, which acts everywhere.
    parted: True = sounds at one place part the picture, each acts where it has most to say. None in a recipe that
    carries its word: each acts everywhere with its share, as pictures were drawn before.
    concepts: of an adapter whose A* is made of phrases. Beside a `word` they say what it was made of; without one they
    were written by hand and A* is made of them, whatever the ear hears.
    """

    left_out: ClassVar[frozenset[str]] = frozenset(
        {"join", "weights", "sound_strength", "loudness", "shares", "parted", "edit", "sound_tokens", "adapter_sha256"}
        | {"ear", "top_k", "temperature", "concepts"}
    )

    version: Literal[1] = setting(1, "The form of this recipe.")
    tracks: tuple[Track, ...] = setting((), "The sounds; not needed when the word is carried.", max_length=MAX_TRACKS)
    join: Join = setting(
        "mix", "How several sounds become one: together, one after the other, between meanings, or each in its place."
    )
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
    shares: tuple[Share, ...] | None = setting(
        None, "How much of the picture each of several sounds gets, filled by the engine from how loud they are."
    )
    parted: bool | None = setting(
        None, "Whether several sounds at one place part the picture, filled by the engine; a morph's never do."
    )
    width: int | None = setting(
        None, "Width; empty = the model's own.", ge=64, le=1024, multiple_of=8, step=8, unit="px"
    )
    height: int | None = setting(
        None, "Height; empty = the model's own.", ge=64, le=1024, multiple_of=8, step=8, unit="px"
    )
    model: str = setting("pocket", "The image model: pocket, a Diffusers folder, or a hub name.", min_length=1)
    adapter: str = setting(
        "auto",
        "What turns the sound into A*: a name, or a folder with weights; auto = word for pocket, concepts for others.",
        min_length=1,
    )
    ear: str | None = setting(
        None, "What listens, where the adapter can read several ears; empty = the adapter's own.", min_length=1
    )
    top_k: int = setting(3, "Concepts: how many phrases at most A* is made of.", ge=1, le=10, step=1)
    temperature: float = setting(
        0.5, "Concepts: how even the phrases' weights are; 1 = as sure as the ear is.", ge=0.1, le=3, step=0.05
    )
    concepts: str | None = setting(
        None,
        'Concepts: what A* is made of, like "rain:0.7, river:0.3"; empty = what the ear hears.',
        max_length=1000,
    )
    edit: Edit | None = setting(None, "The photo to change; empty = a new picture.")
    preview_every: int = setting(2, "Show a preview every so many steps; 0 = never.", ge=0, le=100, step=1)
    word: str | None = setting(None, "A* itself, filled by the engine, so that the sound is not needed again.")
    sound_tokens: str | None = setting(
        None, "What the sound says beside the text, filled by the engine for adapters that work so, instead of A*."
    )
    versions: dict[str, str] = Field(default_factory=dict, description="The program versions that made the picture.")
    model_sha256: str | None = setting(None, "Short digest of the image model's weights.", max_length=64)
    adapter_sha256: str | None = setting(
        None, "Short digest of an adapter's weights that draw with the image model.", max_length=64
    )

    @field_validator("prompt")
    @classmethod
    def _prompt_says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError("it must hold at least one word")
        return prompt

    @field_validator("word", "sound_tokens")
    @classmethod
    def _word_is_whole(cls, word: str | None) -> str | None:
        if word is not None:
            unpack_word(word)
        return word

    @field_validator("concepts")
    @classmethod
    def _concepts_can_be_read(cls, concepts: str | None) -> str | None:
        if concepts is not None:
            read_concepts(concepts)
        return concepts

    @field_validator("weights", "shares")
    @classmethod
    def _weights_fit_the_tracks(cls, weights: tuple[float, ...] | None, info: ValidationInfo) -> Any:
        tracks = info.data.get("tracks")
        if weights is None or tracks is None:
            return weights
        called = str(info.field_name).removesuffix("s")
        if len(weights) != len(tracks):
            raise ValueError(f"it must hold one {called} for each of the {len(tracks)} tracks")
        if not sum(weights):
            raise ValueError(f"at least one {called} must be above 0")
        return weights

    @property
    def audible(self) -> tuple[bool, ...]:
        """For each track whether it sounds: not muted, and soloed when any track is, as on a mixing desk."""
        solo = any(track.solo for track in self.tracks)
        return tuple(not track.mute and (track.solo or not solo) for track in self.tracks)

    @property
    def resolved(self) -> bool:
        """Whether the engine has filled every open field, so that the recipe can be replayed without its sound."""
        open_fields = ("negative_prompt", "seed", "num_inference_steps", "guidance_scale", "width", "height")
        return self.carries_sound and all(getattr(self, name) is not None for name in open_fields)

    @property
    def carries_sound(self) -> bool:
        """Whether what the sounds say is written in the recipe: A*, or tokens beside the text."""
        return self.word is not None or self.sound_tokens is not None

    def unheard(self) -> Self:
        """The recipe without what the engine has filled in from its sounds, so that they are heard anew."""
        by_hand = self.concepts if self.word is None else None
        return self.replace(word=None, sound_tokens=None, loudness=None, shares=None, parted=None, concepts=by_hand)

    def public(self) -> Self:
        """The recipe without anything local to this machine: no sound path, and folder names instead of folders."""
        return self.replace(
            tracks=tuple(track.replace(path=None) for track in self.tracks),
            model=_without_folder(self.model),
            adapter=_without_folder(self.adapter),
            edit=None if self.edit is None else self.edit.replace(photo=None, mask=None),
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
    base, *additions = re.split(r"\+(?=[a-z]+=)", name)  # a model's name may end in "+lora=FILE:0.8"
    path = Path(base)
    short = path.name or "model" if path.is_absolute() else base
    for addition in additions:
        key, _, value = addition.partition("=")
        short += f"+{key}={Path(value).name}"
    return short
