"""The engine: a Recipe goes in, Steps come out, and at last a Result.

>>> engine = Engine()
>>> for item in engine.stream(Recipe(tracks=(Track.of("rain.ogg"),), prompt="a photo of A*", seed=7)):
...     ...  # Step, Step, ..., Result
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image

from studio.backbones.base import Backbone
from studio.backbones.hub import download_allowed
from studio.device import DeviceChoice, pick_device
from studio.diffusion.loop import denoise, initial_noise
from studio.diffusion.preview import preview
from studio.diffusion.prompt import embed, has_word
from studio.errors import HearsightError, InputError
from studio.hearing import Hearing
from studio.models import Models, check_size, settled_names
from studio.recipe import MAX_SEED, Recipe, Track
from studio.result import Heard, HeardScene, Result, Step
from studio.scene import Clips, Scene, prepare_scene, prepare_sound
from studio.sound.clip import Clip
from studio.versions import differences, versions
from studio.word import blend_words, pack_word, unpack_word

Value = TypeVar("Value")


class Engine:
    """Makes pictures from recipes. One engine serves a whole program, from any thread.

    device: "auto", "cpu" or "cuda".  allow_download: whether a model that is not on this machine may be fetched;
    None = what the environment variable HEARSIGHT_ALLOW_DOWNLOAD says, and by default that is no.
    """

    def __init__(self, device: str = "auto", *, allow_download: bool | None = None) -> None:
        self.choice: DeviceChoice = pick_device(device)
        self._models = Models(self.choice, download_allowed() if allow_download is None else allow_download)
        self._hearing = Hearing()

    def load(self, model: str = "pocket", adapter: str = "word") -> None:
        """Load what such a request needs, so that the first one need not wait. Raises InputError as `stream` does."""
        self._hearing.ear(self._models.adapter(model, adapter).encoder)

    def hear(self, sound: Clip | Track | str | Path, encoder: str = "pocket") -> Heard:
        """What the ear hears in a sound. Raises InputError for a sound that cannot be used, silence included."""
        if isinstance(sound, Clip):
            prepared = prepare_sound(Track(), sound)
        else:
            prepared = prepare_sound(sound if isinstance(sound, Track) else Track.of(sound))
        return self._hearing.listen(prepared, encoder)[1]

    def hear_scene(self, recipe: Recipe, clip: Clips = None, encoder: str = "pocket") -> HeardScene:
        """What the ear hears in all sounds of a recipe, and in each alone. Raises InputError as `stream` does."""
        return self._hearing.listen_to_scene(prepare_scene(recipe, clip), encoder)[1]

    def scene(self, recipe: Recipe, clip: Clips = None) -> Clip:
        """The joined sound of a recipe, sample by sample what the ear hears; no model is loaded for it.

        Of a morph, whose tracks the ear hears one by one, it is a preview: all together, each at its share of the
        power. clip and errors: as in `stream`.
        """
        return prepare_scene(recipe, clip).clip

    def run(self, recipe: Recipe, clip: Clips = None) -> Result:
        """The last item of `stream`."""
        for item in self.stream(recipe, clip):
            if isinstance(item, Result):
                return item
        raise HearsightError("The engine ended without a result. Please report this.")

    def stream(self, recipe: Recipe, clip: Clips = None) -> Iterator[Step | Result]:
        """Make the recipe's pictures, one after the other: a Step after each denoising step, then one Result.

        clip: the sound, instead of the file that the recipe's track names, or one (or None) for each of several
        tracks; the track's part, room, gain and place still apply. With neither, the recipe must carry its word.
        Closing the iterator stops the work; while it waits, nothing of the model is held or changed.
        Raises InputError when the recipe, the sound or the model cannot be used.
        """
        clock = _Clock(recipe.count)
        order = self._prepare(recipe, clip, clock)
        recipe, backbone = order.recipe, order.backbone
        size = (_filled(recipe.width), _filled(recipe.height))
        states = embed(backbone, [_filled(recipe.negative_prompt), recipe.prompt], order.word)
        strength = recipe.sound_strength * _given(recipe.loudness, 1.0)
        # The same prompt with A* left out, where the sound's part is told from the words'.
        silent = embed(backbone, [recipe.prompt], order.word[:0]) if strength != 1 else None
        clock.lap("prompt")
        seeds = [(_filled(recipe.seed) + index) % (MAX_SEED + 1) for index in range(recipe.count)]
        images = []
        for image_index, seed in enumerate(seeds):
            # Pictures are drawn one by one, each with its own generator: alone or among others, the same bytes.
            generator = torch.Generator().manual_seed(seed)
            for moment in denoise(
                backbone,
                initial_noise(backbone, *size, generator),
                negative=states[:1],
                positive=states[1:],
                silent=silent,
                num_inference_steps=_filled(recipe.num_inference_steps),
                guidance_scale=_filled(recipe.guidance_scale),
                sound_strength=strength,
                generator=generator,
            ):
                wanted = recipe.preview_every and moment.index % recipe.preview_every == 0
                shown = preview(moment.denoised, self._models.colours(backbone), *size) if wanted else None
                yield clock.step(image_index, moment.index, moment.total, shown)
            images.append(_picture(backbone, moment.latents))
        clock.lap("draw")
        heard = order.heard
        yield Result(
            recipe=recipe,
            images=images,
            recipes=[recipe.replace(seed=seed, count=1) for seed in seeds],
            seeds=seeds,
            timings=clock.timings(),
            heard=heard.scene.labels if heard else [],
            window=heard.scene.window if heard else None,
            lufs=heard.scene.lufs if heard else None,
            warnings=order.warnings,
            heard_tracks=heard.tracks if heard else [],
        )

    def _prepare(self, recipe: Recipe, clip: Clips, clock: _Clock) -> _Order:
        """Everything before the first step: check, listen, load, and fill what the recipe leaves open."""
        if not has_word(recipe.prompt):
            raise InputError(
                "Your prompt has no A*, so the sound would not be used. Add A* where the sound belongs, "
                'for example "a photo of A*".'
            )
        scene: Scene | None = None
        if clip is not None or recipe.word is None:  # a bad sound is refused before seconds are spent on loading
            scene = prepare_scene(recipe, clip)
            clock.lap("sound")
        backbone = self._models.backbone(recipe.model)
        clock.lap("load")
        heard: HeardScene | None = None
        if scene is None:
            packed = _filled(recipe.word)
        else:
            adapter = self._models.adapter(recipe.model, recipe.adapter)
            meanings, heard = self._hearing.listen_to_scene(scene, adapter.encoder)
            words = [adapter.condition(one).word[0].detach().float().cpu().numpy() for one, _ in meanings]
            packed = pack_word(blend_words(words, [weight for _, weight in meanings]))
            clock.lap("hear")
        defaults = backbone.defaults
        resolved = recipe.replace(
            tracks=recipe.tracks if scene is None else scene.tracks,
            negative_prompt=_given(recipe.negative_prompt, defaults.negative_prompt),
            seed=_given(recipe.seed, secrets.randbelow(MAX_SEED + 1)),
            num_inference_steps=_given(recipe.num_inference_steps, defaults.num_inference_steps),
            guidance_scale=_given(recipe.guidance_scale, defaults.guidance_scale),
            # Left open where it is 1, as in pictures that were made before it was known.
            loudness=recipe.loudness if scene is None else None if scene.loudness == 1 else scene.loudness,
            width=_given(recipe.width, defaults.native_size),
            height=_given(recipe.height, defaults.native_size),
            **settled_names(recipe),
            word=packed,
            versions=versions(self.choice),
            model_sha256=backbone.digest(),
        )
        check_size(backbone, _filled(resolved.width), _filled(resolved.height))
        # The word goes through its text form here too, so a replay starts from exactly the same numbers.
        word = torch.from_numpy(unpack_word(packed))
        return _Order(resolved, backbone, word, heard, differences(recipe, resolved))


@dataclass(frozen=True)
class _Order:
    """A request that is ready to be drawn. word: float32 [n, D]. heard: None when the recipe carried its word."""

    recipe: Recipe
    backbone: Backbone
    word: torch.Tensor
    heard: HeardScene | None
    warnings: list[str]


class _Clock:
    """Times the stages of a request and estimates how long it will still take."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._began = self._last = time.monotonic()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """The stage is over; what passed since the one before is its time."""
        now = time.monotonic()
        self._laps[stage] = now - self._last
        self._last = now

    def step(self, image_index: int, index: int, total: int, shown: Image.Image | None) -> Step:
        now = time.monotonic()
        # `_last` is when drawing began. Decoding a picture takes about as long as a step, so it counts as one.
        done = image_index * (total + 1) + index
        eta = (now - self._last) / done * (self._count * (total + 1) - done)
        return Step(index, total, now - self._began, eta, shown, image_index)

    def timings(self) -> dict[str, float]:
        return self._laps | {"total": time.monotonic() - self._began}


def _picture(backbone: Backbone, latents: torch.Tensor) -> Image.Image:
    """Decode and check: a picture of one colour is a failure, not a picture."""
    with backbone.lock:
        pixels: Any = backbone.decode(latents)[0]
    if int(pixels.max()) - int(pixels.min()) < 3:
        raise HearsightError(
            "The model drew an empty picture. Try another seed or lower guidance; "
            "if it happens always, the model's weights are damaged."
        )
    return Image.fromarray(pixels)


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _filled(value: Value | None) -> Value:
    """A field of a resolved recipe, which is never None."""
    if value is None:
        raise TypeError("a resolved recipe has no open fields")
    return value
