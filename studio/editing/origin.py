"""A picture of our own needs no inversion: it carries its recipe, so its noise is known and it is drawn once more.

That is how prompt-to-prompt was published (Hertz et al., 2023): source and target from one noise, with the same
settings, and only a word exchanged. Here the word is A*: the picture's own for the new sound's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from studio.backbones.base import Backbone, TextStates
from studio.diffusion.attention import layers_of, recorded, unet_of
from studio.diffusion.coarse_to_fine import Stage, paint, stages
from studio.diffusion.loop import Extension, Moment, denoise, initial_noise
from studio.diffusion.prompt import embed
from studio.editing.photo import Photo
from studio.editing.sources import Source
from studio.errors import InputError
from studio.recipe import Edit, Recipe
from studio.word import unpack_word


def origin_of(photo: Photo, edit: Edit, recipe: Recipe) -> Recipe | None:
    """The recipe that drew the photo, when it is a picture of ours from which this edit can start; else None.

    It can not when the picture is an edit itself, was drawn by several words, by sound tokens or with an adapter's own
    weights, was cut or scaled since, when the edit says in its own words what it shows, or asks for another number of
    steps or another size.
    """
    if not photo.recipe or edit.source_prompt:
        return None
    try:
        found = Recipe.from_json(photo.recipe)
    except InputError:
        return None
    drawn_by_one_word = found.resolved and found.word is not None and found.shares is None
    more = (found.sound_tokens, found.adapter_sha256, found.edit)
    if not drawn_by_one_word or any(one is not None for one in more):
        return None
    same = all(
        getattr(recipe, name) in (None, getattr(found, name)) for name in ("num_inference_steps", "width", "height")
    )
    return found if same and photo.image.size == (found.width, found.height) else None


def source_states(backbone: Backbone, origin: Recipe) -> TextStates:
    """What the picture was drawn from: one row, its prompt with its own A*."""
    return embed(backbone, [origin.prompt], own_word(origin))


def own_word(origin: Recipe) -> Tensor:
    """The picture's own A*: float32 [n, D]."""
    if origin.word is None:
        raise TypeError("an origin carries its word")
    return torch.from_numpy(unpack_word(origin.word))


def stages_of(backbone: Backbone, origin: Recipe) -> list[Stage]:
    """The stages in which the picture was drawn."""
    if origin.num_inference_steps is None or origin.width is None or origin.height is None:
        raise TypeError("an origin is resolved")
    return stages(backbone, origin.width, origin.height, origin.num_inference_steps)


def generator_of(backbone: Backbone, origin: Recipe) -> tuple[torch.Generator, Tensor]:
    """The picture's own generator, behind the first stage's noise, and that noise [1, C, h, w]."""
    if origin.seed is None:
        raise TypeError("an origin is resolved")
    generator, begun = torch.Generator().manual_seed(origin.seed), stages_of(backbone, origin)[0]
    return generator, initial_noise(backbone, begun.width, begun.height, generator)


def replay(backbone: Backbone, origin: Recipe, layers: tuple[str, ...]) -> Iterator[Moment | Source]:
    """Draw the picture once more, recording the named layers under its prompt: the loop's items, at last the Source.

    Its trajectory begins with the noise as the loop takes it and ends with the latents of the first stage, which alone
    is recorded: there it is decided what is where. Its reconstruction is the finished picture. Where the picture was
    led away from a negative prompt, what the features were under that is there too, see `under_negative`.
    """
    (_, noise), generator = generator_of(backbone, origin), torch.Generator().manual_seed(origin.seed or 0)
    strength = origin.sound_strength * (1.0 if origin.loudness is None else origin.loudness)
    word = own_word(origin)
    watcher, plan = _Watcher(backbone, layers), stages_of(backbone, origin)
    trails = [_Trail() for _ in plan]
    draw = partial(
        denoise,
        backbone,
        negative=embed(backbone, [origin.negative_prompt or ""], word[:0]),
        positive=source_states(backbone, origin),
        silent=embed(backbone, [origin.prompt], word[:0]) if strength != 1 else None,
        sound_strength=strength,
    )
    scale = 0.0 if origin.guidance_scale is None else origin.guidance_scale

    def watched(number: int) -> list[Extension]:
        return [trails[number]] if number else [watcher, trails[0]]

    yield from paint(backbone, plan, draw, scale, generator, watched)
    kept = {name: torch.cat(values).contiguous() for name, values in watcher.kept.items() if values}
    first, *later = (torch.cat(trail.latents).cpu().contiguous() for trail in trails)
    last = (later[-1] if later else first)[-1:].clone()
    yield Source(torch.cat([noise.cpu(), first]), kept, last, tuple(later))


def under_negative(name: str) -> str:
    """Under which name a Source has what a layer gave for the negative prompt."""
    return f"negative {name}"


class _Trail(Extension):
    """Keeps the latents after every step."""

    def __init__(self) -> None:
        self.latents: list[Tensor] = []

    def after_step(self, moment: Moment) -> None:
        self.latents.append(moment.latents)


class _Watcher(Extension):
    """Keeps what the named layers give for the prompt, the last row of the batch, at every step; of the features also
    what they give for the negative prompt, the first row where there is one.
    """

    def __init__(self, backbone: Backbone, layers: tuple[str, ...]) -> None:
        self._unet, self._layers = unet_of(backbone), layers
        self._features = [name for name in layers_of(backbone).features if name in layers]
        self._seen: dict[str, Tensor] = {}
        self.kept: dict[str, list[Tensor]] = {
            name: [] for name in (*layers, *(under_negative(one) for one in self._features))
        }

    def patch(self, moment: Moment) -> AbstractContextManager[Any]:
        return recorded(self._unet, self._layers, self._seen)

    def after_step(self, moment: Moment) -> None:
        for name in self._layers:
            self.kept[name].append(self._seen[name][-1:].cpu())
        if moment.guidance.leads_away:
            for name in self._features:
                self.kept[under_negative(name)].append(self._seen[name][:1].cpu())
