"""What the engine yields: Steps while it works, then one Result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from studio.concepts import Concepts
from studio.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image


READING, PAINTING = "reading the photo", "painting"


@dataclass(frozen=True)
class Step:
    """One denoising step is done.

    index: 1..total, the step of this picture.  total: steps of one picture.
    seconds: since the request began.  eta: seconds the whole request will still take, all its pictures included.
    preview: the picture so far in its final size, or None on steps without a preview.
    image_index: 0..count-1, which picture of the request.
    phase: what is going on: PAINTING, or READING while an edit reads its photo (index and total are then its own).
    """

    index: int
    total: int
    seconds: float
    eta: float
    preview: Image | None
    image_index: int
    phase: str = PAINTING


@dataclass(frozen=True)
class Heard:
    """What the ear heard.

    labels: (label, probability in 0..1), best first.  seconds: length of the whole sound.
    lufs: integrated loudness of the heard part after its gain.  window: (start, end) of the heard part in s.
    """

    labels: list[tuple[str, float]]
    seconds: float
    lufs: float
    window: tuple[float, float]


@dataclass(frozen=True)
class HeardScene:
    """What the ear heard in all sounds of a recipe.

    scene: in the joined sound. Of a morph, which has none, the weighted mean of the tracks' probabilities; its lufs
        and seconds are those of the preview that `Engine.scene` gives.
    tracks: in each track alone, as if it was soloed; None for one that does not sound (muted, silent, or without
        weight in a morph).
    """

    scene: Heard
    tracks: list[Heard | None]


@dataclass(frozen=True)
class PhotoRead:
    """What an edit knows of its photo.

    photo: as it was worked on, in the size of the pictures.  reconstruction: the photo painted again from its own
    noise, without a sound.  psnr: of that against `photo`, in dB; autoencoder_psnr: of the autoencoder alone, which no
    edit can exceed.  reconstruction and psnr are None where none was made (SDEdit, or `Edit.check` off).
    cached: whether the photo had been read before.  evaluations: of the U-Net, spent on reading it now.
    """

    photo: Image
    reconstruction: Image | None
    psnr: float | None
    autoencoder_psnr: float
    cached: bool
    evaluations: int


@dataclass(frozen=True)
class Result:
    """The finished pictures of one request.

    recipe: the request, resolved.  images: `count` RGB pictures.  recipes: the recipe of each single picture
    (its seed, count 1), which is what its PNG carries.  seeds: one per picture.
    timings: seconds by stage ("load", "hear", "prompt", "draw", "total").
    heard, window, lufs: what the ear heard, as in Heard; empty, None and None when the recipe carried its word.
    heard_tracks: the same for each track, as in HeardScene; empty when the recipe carried its word.
    read: what an edit knows of its photo; None for a new picture.
    concepts: what A* is made of, (phrase, weight), the heaviest first; empty for adapters that say nothing of it.
    warnings: sentences about things that may make the picture differ from the one the recipe was made for.
    """

    recipe: Recipe
    images: list[Image]
    recipes: list[Recipe]
    seeds: list[int]
    timings: dict[str, float]
    heard: list[tuple[str, float]] = field(default_factory=list)
    window: tuple[float, float] | None = None
    lufs: float | None = None
    warnings: list[str] = field(default_factory=list)
    heard_tracks: list[Heard | None] = field(default_factory=list)
    read: PhotoRead | None = None
    concepts: Concepts = ()
