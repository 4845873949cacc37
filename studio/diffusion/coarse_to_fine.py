"""A picture is begun small and doubled until it has its size: coarse to fine, each stage by the same model.

A small model knows what a whole thing looks like at the size at which it saw most of its photos; asked for a larger
picture in one go it repeats what it knows. So the first stage draws the whole from noise, and each following one
takes that picture twice as large, adds noise up to where details are lost but the whole is not, and denoises it from
there (SDEdit, Meng et al., ICLR 2022, between the sizes of a cascade, Ho et al., JMLR 2022).

Models say where they begin in their hearsight.json; those that do not are drawn in one stage, by the plain loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.loop import Extension, Moment, initial_noise

NOISED = 0.5  # of the noise schedule that a stage after the first goes through
FEWER = 0.5  # of the first stage's steps that a whole schedule of a later one would have
GUIDED = 1 / 3  # of the guidance above 1 that later stages get: details burn before things do


@dataclass(frozen=True)
class Stage:
    """One pass of the loop. width, height: px.  num_inference_steps: of the whole schedule.  first_step: 1..n."""

    width: int
    height: int
    num_inference_steps: int
    first_step: int = 1

    @property
    def steps(self) -> int:
        """How many steps are taken."""
        return self.num_inference_steps - self.first_step + 1


def stages(backbone: Backbone, width: int, height: int, num_inference_steps: int) -> list[Stage]:
    """The stages of a picture of that size in px; the last has that size. Only the first takes all steps."""
    begin, grid = backbone.defaults.begin_size, backbone.dims.downscale
    halvings = 0
    while begin is not None and min(width, height) / 2 ** (halvings + 1) >= begin:
        halvings += 1
    later = max(2, round(FEWER * num_inference_steps))
    found = []
    for number in range(halvings + 1):
        wide, high = (max(grid, round(side / 2 ** (halvings - number) / grid) * grid) for side in (width, height))
        if number == 0:
            found.append(Stage(wide, high, num_inference_steps))
        else:
            found.append(Stage(wide, high, later, 1 + max(1, round((1 - NOISED) * later))))
    return found


def work(plan: Sequence[Stage], steps: int | None = None) -> float:
    """What the first so many steps of all stages cost, None = all of them; one of the last stage is 1."""
    left = sum(stage.steps for stage in plan) if steps is None else steps
    done, area = 0.0, plan[-1].width * plan[-1].height
    for stage in plan:
        taken = min(left, stage.steps)
        done, left = done + taken * stage.width * stage.height / area, left - taken
    return done


Draw = Callable[..., Iterator[Moment]]


def paint(
    backbone: Backbone,
    plan: Sequence[Stage],
    draw: Draw,
    guidance_scale: float,
    generator: torch.Generator,
    extensions: Callable[[int], Sequence[Extension]],
    first: Iterator[Moment] | None = None,
) -> Iterator[Moment]:
    """Draw one picture and yield after each step of every stage; the last moment's `latents` are the picture.

    plan: the picture's `stages`.  generator: the picture's own; noise is drawn from it, first stage first.
    draw: the loop (`denoise`), given the states.  guidance_scale: of the first stage, later ones get less.
    extensions: what takes part in stage 0, 1, ...
    first: the first stage's moments, where that is drawn in another way; its noise was drawn from `generator` then.

    A moment's `index` and `total` count over all stages. As with the loop, nothing is held between two moments.
    """
    total, done = sum(stage.steps for stage in plan), 0

    def stage_from(number: int, latents: Tensor, scheduler: Any = None) -> Iterator[Moment]:
        return draw(
            latents,
            guidance_scale=min(guidance_scale, 1 + GUIDED * (guidance_scale - 1)) if number else guidance_scale,
            num_inference_steps=plan[number].num_inference_steps,
            first_step=plan[number].first_step,
            scheduler=scheduler,
            generator=generator,
            extensions=extensions(number),
        )

    if first is None:
        first = stage_from(0, initial_noise(backbone, plan[0].width, plan[0].height, generator))
    moments = first
    for number, stage in enumerate(plan):
        for moment in moments:
            latents = moment.latents
            moment.index, moment.total = done + moment.index - (stage.first_step - 1), total
            yield moment
        done += stage.steps
        if number + 1 < len(plan):
            scheduler = backbone.scheduler()
            start = _enlarged(backbone, latents, plan[number + 1], scheduler, generator)
            moments = stage_from(number + 1, start, scheduler)


def _enlarged(backbone: Backbone, latents: Tensor, stage: Stage, scheduler: Any, generator: torch.Generator) -> Tensor:
    """What a stage starts from: the picture of the one before, [1, C, h, w], at the stage's size and with the noise of
    its first step. scheduler: the stage's own; its steps are set.
    """
    scheduler.set_timesteps(stage.num_inference_steps, device=backbone.choice.device)
    with backbone.lock:
        small = Image.fromarray(backbone.decode(latents)[0])
        large = small.resize((stage.width, stage.height), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(large, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        known = backbone.encode(pixels.contiguous()).float()
    noise = initial_noise(backbone, stage.width, stage.height, generator)
    at = scheduler.timesteps[stage.first_step - 1 : stage.first_step]
    noised: Tensor = scheduler.add_noise(known, noise, at)
    return noised
