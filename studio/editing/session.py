"""One edit from photo to pictures, as the engine runs it: open the photo, read it, begin each picture, finish it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from studio.adapters.base import Adapter
from studio.backbones.base import Backbone, ModelDefaults, TextStates
from studio.diffusion.beside import Along, Beside
from studio.diffusion.coarse_to_fine import Stage, paint
from studio.diffusion.company import Company
from studio.diffusion.inversion import FIRST_GUESSES, Undone, ddim_scheduler, groups
from studio.diffusion.loop import Extension, Moment, denoise
from studio.diffusion.prompt import embed, has_word
from studio.editing import EDITORS
from studio.editing.base import Editor, Job, KeepOutside
from studio.editing.origin import generator_of, origin_of, own_word, replay, source_states, stages_of
from studio.editing.photo import (
    Photo,
    affordable_pixels,
    paste,
    psnr,
    read_mask,
    read_photo,
    to_latent_mask,
    to_pixels,
    working_size,
)
from studio.editing.sources import Source, Sources, read_source, source_key
from studio.errors import InputError
from studio.limits import limits
from studio.recipe import Edit, Recipe
from studio.result import PhotoRead

Picture = Image.Image | str | Path
UNCHANGED = 30.0  # dB; drawn again on another machine a picture comes back with 40 or more
Value = TypeVar("Value")


@dataclass(frozen=True)
class Opened:
    """A photo and its mask, decoded and checked; no model was needed for it. edit: with digests and names filled.

    origin: the recipe of a picture of ours, which the edit starts from instead of reading it.
    """

    edit: Edit
    photo: Photo
    mask: Photo | None
    kind: type[Editor]
    origin: Recipe | None = None

    def with_model(self, backbone: Backbone, along: bool) -> Opened:
        """The same for that model: a recipe of another model says nothing. Raises InputError if it was needed.

        along: whether an adapter changes how the model draws.
        """
        if self.origin is None or (self.origin.model_sha256 == backbone.digest() and not along):
            return self
        self.kind.check(self.edit)
        return replace(self, origin=None)

    def defaults(self, backbone: Backbone) -> ModelDefaults:
        """What an edit gets that leaves these open; one of a picture of ours gets what that was drawn with."""
        like = backbone.defaults
        if self.origin is not None:
            return like.replace(
                num_inference_steps=_given(self.origin.num_inference_steps, like.num_inference_steps),
                guidance_scale=_given(self.origin.guidance_scale, like.guidance_scale),
                negative_prompt=self.origin.negative_prompt or "",
            )
        # Guidance that leads away from what the photo was read with, and from nothing else, does not tear it
        # (negative-prompt inversion, Miyake et al., 2023).
        return like.replace(
            guidance_scale=_given(like.edit_guidance_scale, like.guidance_scale),
            negative_prompt=self.edit.source_prompt if self.kind.reads else like.negative_prompt,
        )

    def size(self, backbone: Backbone) -> tuple[int, int]:
        """Width and height to work in, for the model's native size and the memory that is free."""
        if self.origin is not None:
            return self.photo.image.size
        vae = backbone.modules().get("vae")
        channels = vae.config["block_out_channels"][0] if vae is not None else 128  # type: ignore[index]
        most = affordable_pixels(int(channels), backbone.choice.device)
        if (limit := limits().size) is not None:
            most = min(most, limit**2)
        return working_size(self.photo.image.size, backbone.defaults.native_size, backbone.dims.downscale, most)

    def notes(self, before: Edit) -> list[str]:
        """What to say of the photo, also that it is not the one that the recipe was made with."""
        found = [*self.photo.notes, *(self.mask.notes if self.mask else ())]
        if self.origin is not None:
            found.append("This picture carries its recipe: it is drawn from its own noise, with one word exchanged.")
        for what, then, now in (
            ("photo", before.sha256, self.edit.sha256),
            ("mask", before.mask_sha256, self.edit.mask_sha256),
        ):
            if then is not None and then != now:
                found.append(f"This is not the {what} that the recipe was made with, so the picture will differ.")
        return found


def open_photo(recipe: Recipe, edit: Edit, photo: Picture | None = None, mask: Picture | None = None) -> Opened:
    """Read and check everything of an edit that needs no model.

    photo, mask: instead of the files that the edit names. Raises InputError as `read_photo` and `read_mask`, and for
    settings that do not fit together.
    """
    kind = EDITORS.get(edit.method)
    if has_word(edit.source_prompt):
        raise InputError("The source prompt says what the photo shows, so it has no A*: write the words themselves.")
    if kind.reads and recipe.count > 1 and edit.variation == 0:
        raise InputError(
            f"{recipe.count} pictures would all be the same: an edit begins with the photo's own noise, not the "
            "seed's. Give some variation, or ask for one picture."
        )
    given = edit.photo if photo is None else photo
    if given is None:
        called = f"photo {edit.name!r} is not on this machine" if edit.name else "edit names no photo"
        raise InputError(f"The {called}. Give a picture file.")
    found = read_photo(given)
    origin = origin_of(found, edit, recipe) if kind.replays else None
    kind.check(edit, origin is not None)
    over = edit.mask if mask is None else mask
    if over is None and edit.mask_sha256 is not None:
        raise InputError("This edit was made with a mask, which is not on this machine. Give it too.")
    covered = None if over is None else read_mask(over, found)
    filled = edit.replace(
        sha256=found.sha256,
        name=(found.name or edit.name)[-255:],
        mask_sha256=None if covered is None else covered.sha256,
    )
    return Opened(filled, found, covered, kind, origin)


class Session:
    """An edit that is being made. recipe: resolved.  word: float32 [n, D].  degree: 0..3, the volume.

    beside: an adapter that works beside the text, and the sound's tokens. The photo is read without them, so what was
    read serves every adapter.
    plan: the stages in which a picture is painted.
    along: one whose own weights draw along. The photo is read with them, as by any other model: guidance can then lead
    away from just what was read.

    `read` first; then for each picture `begin`, its moments, and `finish`. Raises InputError when another adapter made
    the tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        recipe: Recipe,
        opened: Opened,
        word: Tensor,
        degree: float,
        sources: Sources,
        beside: tuple[Adapter, Tensor] | None = None,
        along: Adapter | None = None,
    ) -> None:
        if recipe.width is None or recipe.height is None or recipe.num_inference_steps is None:
            raise TypeError("an edit is made from a resolved recipe")
        self._backbone, self._recipe, self._opened, self._sources = backbone, recipe, opened, sources
        self._word, self._degree, self._steps = word, degree, recipe.num_inference_steps
        self._size = (recipe.width, recipe.height)
        self._along = None if along is None else Along(along)
        # An edit that does not read the photo is a drawing like any other, once it has begun.
        self._beside = [] if beside is None else [Beside(*beside, alone=opened.kind.reads)]
        origin = self._origin = opened.origin
        # A photo is edited in one stage; a picture of ours in its own, of which the first says what is where.
        self.plan = [Stage(*self._size, self._steps)] if origin is None else stages_of(backbone, origin)
        pixels = to_pixels(opened.photo.image, self._size)
        with backbone.lock:
            self._latents = self._encoded = backbone.encode(pixels).float()
        levels = ((pixels[0] / 2 + 0.5) * 255).round().to(torch.uint8).permute(1, 2, 0)
        self._photo = Image.fromarray(levels.numpy())
        about = opened.edit.source_prompt if origin is None else origin.to_json()
        if along is not None:
            about = f"{about}, drawn along by {along.digest()}"
        self._layers = opened.kind.layers(backbone) if opened.kind.reads else ()
        self._key = source_key(backbone, pixels, about, self._steps, self._layers)
        self._source = sources.get(self._key) if opened.kind.reads else None
        self._cached = self._source is not None
        if self._cached and origin is not None:
            self._latents = self._read_already.trajectory[-1:].to(self._latents)
        self._evaluations = 0
        # Whatever can be refused is refused before seconds are spent on reading.
        ddim_scheduler(backbone, self._steps)

    @cached_property
    def _states(self) -> TextStates:
        """What is said of the photo, one row."""
        if self._origin is not None:
            return source_states(self._backbone, self._origin)
        return embed(self._backbone, [self._opened.edit.source_prompt], self._word[:0])

    @property
    def to_read(self) -> int:
        """Evaluations that `read` will take; 0 when everything of the photo is known."""
        if not self._opened.kind.reads:
            return 0
        known = self._source
        if self._origin is not None:
            return sum(stage.steps for stage in self.plan) if known is None else 0
        return 0 if known is not None else len(groups(self._steps)) + FIRST_GUESSES - 1

    def read(self) -> Iterator[Tensor]:
        """Read the photo, or remember it: latents [1, C, h, w] to show after each of `to_read` evaluations."""
        if not self.to_read:
            return
        if self._origin is not None:
            yield from self._replay(self._origin)
        elif self._source is None:
            along = nullcontext if self._along is None else partial(self._along.adapter.along, self._backbone)
            reading = read_source(self._backbone, self._latents, self._states, self._steps, self._layers, along)
            for item in reading:
                if isinstance(item, Undone):
                    self._evaluations += 1
                    yield item.latents[0]
                else:
                    self._source = item
        self._sources.put(self._key, self._read_already)

    def _replay(self, origin: Recipe) -> Iterator[Tensor]:
        """Draw a picture of ours once more: it is its own reconstruction, if nobody has changed it since."""
        for item in replay(self._backbone, origin, self._layers):
            if isinstance(item, Moment):
                self._evaluations += len(item.states)
                yield item.denoised
                continue
            self._latents = item.trajectory[-1:].to(self._latents)
            self._source = item
            if item.reconstruction is None or psnr(self._decode(item.reconstruction), self._photo) < UNCHANGED:
                raise InputError(
                    "This picture is not what its recipe draws here, so it was changed since it was made: give a "
                    'source prompt that says what it shows, for example "a photo of a street".'
                )

    @property
    def _read_already(self) -> Source:
        if self._source is None:
            raise TypeError("the photo is not read yet")
        return self._source

    def _decode(self, latents: Tensor) -> Image.Image:
        with self._backbone.lock:
            return Image.fromarray(self._backbone.decode(latents.to(self._latents))[0])

    def begin(self, negative: TextStates, positive: TextStates, generator: torch.Generator) -> Begun:
        """One picture: its moments, to be run through. negative, positive: text states, one row each."""
        recipe, edit = self._recipe, self._opened.edit
        editor = self._opened.kind()
        mask = self._opened.mask
        job = Job(
            backbone=self._backbone,
            edit=edit,
            scheduler=ddim_scheduler(self._backbone, self._steps),
            steps=self._steps,
            prompt=recipe.prompt,
            word_length=len(self._word),
            degree=self._degree,
            photo=self._latents,
            mask=None
            if mask is None
            else to_latent_mask(mask.image, self._first_size, self._backbone.dims.downscale).to(self._latents),
            source=self._source,
            source_prompt=edit.source_prompt if self._origin is None else self._origin.prompt,
            source_word_length=0 if self._origin is None else len(own_word(self._origin)),
        )
        beginning = editor.begin(job, generator)
        # Hooks act in their order: what the photo holds takes the place of what a changed model gives, and to what is
        # held a sound adds.
        along: list[Extension] = [] if self._along is None else [self._along]
        extensions = [*along, *editor.extensions(job), *self._beside]
        if (area := job.mask) is not None:
            extensions.append(KeepOutside(lambda step: editor.outside(job, step), lambda _: area, job.photo))
        scale, sound = self._guided()
        company = None
        if self._opened.kind.reads and edit.check and self._origin is None:
            # With every picture, also when it is known how the photo comes back: the same recipe, the same bytes.
            again = job.read.trajectory[:1].to(self._latents)
            company = Company(again, self._states, ddim_scheduler(self._backbone, self._steps))
        scheduler = None
        if self._origin is not None:  # a sampler that adds noise adds the same again
            scheduler, generator = self._backbone.scheduler(), generator_of(self._backbone, self._origin)[0]
        draw = partial(
            denoise,
            self._backbone,
            negative=negative,
            positive=positive,
            silent=None if sound == 1 else self._states,
            sound_strength=sound,
        )
        moments = draw(
            beginning.latents,
            num_inference_steps=self._steps,
            guidance_scale=scale,
            generator=generator,
            extensions=extensions,
            first_step=beginning.first_step,
            scheduler=ddim_scheduler(self._backbone, self._steps) if scheduler is None else scheduler,
            company=company,
        )
        if company is not None:
            moments = self._checked(moments, company)

        def finer(number: int) -> list[Extension]:
            trajectory = job.read.later[number - 1]
            held = [one for one in extensions if isinstance(one, KeepOutside)]
            kept = [one.finer(self._steps, self.plan[number], trajectory) for one in held]
            return [*along, *self._beside, *kept]

        moments = paint(self._backbone, self.plan, draw, scale, generator, finer, moments)
        return Begun(moments, beginning.latents, beginning.first_step)

    @property
    def _first_size(self) -> tuple[int, int]:
        """Width and height of the first stage."""
        return self.plan[0].width, self.plan[0].height

    def _guided(self) -> tuple[float, float]:
        """Guidance scale and sound strength: how far to go from what is said of the photo."""
        scale, kind = self._recipe.guidance_scale or 0.0, self._opened.kind
        if not kind.guided_by_degree:
            return scale, 1.0
        # Without a negative prompt of its own, two predictions do. A model that has the scale as an input leads away
        # from nothing, so there is no such prediction.
        away_from_the_photo = self._recipe.negative_prompt == self._opened.edit.source_prompt
        if self._origin is None and away_from_the_photo and not self._backbone.embeds_guidance:
            return scale * self._degree, 1.0
        return scale, self._degree

    def _checked(self, moments: Iterator[Moment], company: Company) -> Iterator[Moment]:
        """A picture's moments; after the last one the photo has come back beside it."""
        for moment in moments:
            self._evaluations += 1
            yield moment
        self._source = replace(self._read_already, reconstruction=company.latents)

    def finish(self, painted: Image.Image) -> Image.Image:
        """The picture as it is shown: under a mask, what is outside is the photo itself, pixel by pixel."""
        mask = self._opened.mask
        return painted if mask is None else paste(painted, self._photo, mask.image)

    def found(self) -> PhotoRead:
        """What is to be said of the photo, once it was read."""
        again = self._source.reconstruction if self._source is not None else None
        shown = self._decode(again) if again is not None and self._opened.edit.check else None
        return PhotoRead(
            photo=self._photo,
            reconstruction=shown,
            psnr=None if shown is None else psnr(shown, self._photo),
            autoencoder_psnr=psnr(self._decode(self._encoded), self._photo),
            cached=self._cached,
            evaluations=self._evaluations,
        )


@dataclass(frozen=True)
class Begun:
    """A picture being painted. moments: the loop's.  latents: the outcome if there are none.  first_step: 1..n + 1."""

    moments: Iterator[Moment]
    latents: Tensor
    first_step: int


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value
