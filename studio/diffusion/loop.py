"""The denoising loop, the only one: noise in, latents out, with named moments for whatever wants to take part.

A technique (an editor, a recorder of attention) is an Extension. In each step, in this order:
patch opened -> before_predict -> U-Net -> after_predict -> scheduler -> after_step -> patch closed.

Letters: R rows of the batch (1 to 3), C latent channels, h x w latent size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from studio.backbones.base import Backbone, TextStates
from studio.diffusion.company import ROWS, Company
from studio.diffusion.guidance import Guidance
from studio.errors import InputError


@dataclass
class Moment:
    """Where the loop is. Extensions may replace the tensors; they must not change them in place.

    index: 1..total.  timestep: [] the scheduler's.  latents: float32 [1, C, h, w], before the step, then after it.
    states: R rows.  prediction: guided U-Net output [1, C, h, w] of this step, None before it.
    denoised: the scheduler's guess of the finished latents [1, C, h, w] (the latents themselves if it makes none).
    company: another picture in the same batch, or None.
    """

    backbone: Backbone
    guidance: Guidance
    scheduler: Any
    generator: torch.Generator
    index: int
    total: int
    timestep: Tensor
    latents: Tensor
    states: TextStates
    prediction: Tensor | None = None
    company: Company | None = None
    denoised: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.denoised = self.latents

    @property
    def rows(self) -> slice:
        """Which rows of the U-Net's batch extensions may touch: R of them, the last ones."""
        return slice(None) if self.company is None else ROWS


class Extension:
    """Takes part in the loop. Every method may be left as it is."""

    def patch(self, moment: Moment) -> AbstractContextManager[Any]:
        """Hooks on the backbone for one step: open them here, take every one away when the context closes."""
        return nullcontext()

    def before_predict(self, moment: Moment) -> None:
        """The last chance to change `latents` or `states` of this step."""

    def after_predict(self, moment: Moment) -> None:
        """`prediction` is there and guided; the scheduler has not used it yet."""

    def after_step(self, moment: Moment) -> None:
        """`latents` and `denoised` are the step's outcome."""


def initial_noise(backbone: Backbone, width: int, height: int, generator: torch.Generator) -> Tensor:
    """Unit Gaussian noise float32 [1, C, h, w] for a picture of that size in pixels.

    Drawn on the CPU from the picture's own generator: a seed means the same picture on every device, alone or not.
    """
    scale = backbone.dims.downscale
    shape = (1, backbone.dims.latent_channels, height // scale, width // scale)
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(backbone.choice.device)


def denoise(
    backbone: Backbone,
    noise: Tensor,
    negative: TextStates,
    positive: TextStates,
    *,
    silent: TextStates | None = None,
    num_inference_steps: int,
    guidance_scale: float,
    sound_strength: float = 1.0,
    generator: torch.Generator,
    extensions: Sequence[Extension] = (),
    scheduler: Any = None,
    first_step: int = 1,
    company: Company | None = None,
) -> Iterator[Moment]:
    """Denoise one picture and yield after each step; the last moment's `latents` are the picture.

    noise: float32 [1, C, h, w], unit variance.  negative, positive: text states, one row each.
    silent: those of the prompt without its A*; needed only for a `sound_strength` other than 1 (see Guidance).
    generator: the picture's own, for schedulers that add noise.
    scheduler: a fresh one to use instead of the model's own.
    company: a second picture, painted along from its own noise in the same steps; only with extensions that keep to
        `Moment.rows`.
    first_step: the step to begin with; above 1, `noise` is latents that are as noisy as that step expects.

    Between two moments nothing is held: no lock, no hook, no torch mode. So the caller may stop, throw, or go on from
    another thread at any yield, and the backbone is as it was. Raises InputError when the scheduler refuses the steps.
    """
    # A model that has the scale as an input gives the guided prediction in one go: the prompt alone is asked for.
    guidance = Guidance(1.0 if backbone.embeds_guidance else guidance_scale, sound_strength)
    scheduler = backbone.scheduler() if scheduler is None else scheduler
    try:
        scheduler.set_timesteps(num_inference_steps, device=backbone.choice.device)
    except (ValueError, IndexError) as error:
        raise InputError(f"This model's scheduler cannot do {num_inference_steps} steps: {error}") from None
    states = guidance.states(negative, positive if silent is None else silent, positive)
    if backbone.embeds_guidance:
        states = states.replace(guidance=torch.full((len(states),), float(guidance_scale)))
    latents = noise * scheduler.init_noise_sigma if first_step == 1 else noise
    timesteps = scheduler.timesteps
    for index, timestep in enumerate(timesteps[first_step - 1 :], start=first_step):
        moment = Moment(
            backbone, guidance, scheduler, generator, index, len(timesteps), timestep, latents, states, company=company
        )
        _step(moment, extensions)
        yield moment
        latents = moment.latents


def _step(moment: Moment, extensions: Sequence[Extension]) -> None:
    """One step of the loop, all of it under the backbone's lock and inside the extensions' patches."""
    with torch.no_grad(), moment.backbone.lock, ExitStack() as patches:
        for extension in extensions:
            patches.enter_context(extension.patch(moment))
        for extension in extensions:
            extension.before_predict(moment)
        scaled = moment.scheduler.scale_model_input(moment.latents, moment.timestep)
        batch = scaled.expand(len(moment.states), -1, -1, -1)
        predict = (
            moment.backbone.predict if moment.company is None else partial(moment.company.predict, moment.backbone)
        )
        prediction = predict(batch, moment.timestep, moment.states)
        moment.prediction = moment.guidance.combine(prediction)
        for extension in extensions:
            extension.after_predict(moment)
        outcome = moment.scheduler.step(
            moment.prediction, moment.timestep, moment.latents, **_noise_source(moment.scheduler, moment.generator)
        )
        moment.latents = outcome.prev_sample
        guess = getattr(outcome, "pred_original_sample", None)
        moment.denoised = moment.latents if guess is None else guess
        for extension in extensions:
            extension.after_step(moment)


def _noise_source(scheduler: Any, generator: torch.Generator) -> dict[str, torch.Generator]:
    """The generator argument for those schedulers that draw noise; left to themselves they use torch's global one."""
    return {"generator": generator} if _draws_noise(type(scheduler).step) else {}


@cache
def _draws_noise(step: Callable[..., Any]) -> bool:
    """Looked up once a class and not in every step, of which it would be a sixth."""
    return "generator" in inspect.signature(step).parameters
