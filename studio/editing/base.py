"""What an editor is: where painting begins, and which Extensions take part in the loop.

Letters: n sampling steps, C latent channels, h x w latent size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.coarse_to_fine import Stage
from studio.diffusion.loop import Extension, Moment
from studio.editing.sources import Source
from studio.recipe import Edit


@dataclass(frozen=True)
class Job:
    """One edit, ready to be painted.

    scheduler: DDIM with its steps set, for the noise levels.  steps: n.  prompt: with A*, n vectors long
    (`word_length`).  degree: 0..3, how strongly to change; 1 = as the settings say.
    photo: float32 [1, C, h, w], the photo's latents.  mask: float32 [1, 1, h, w] in 0..1, 1 = may change; None = all.
    source: what was read of the photo; None for an editor that does not use it.
    source_prompt: what it was read with; it has an A* of its own, `source_word_length` vectors long, only where the
        photo is a picture of ours (`studio.editing.origin`).
    """

    backbone: Backbone
    edit: Edit
    scheduler: Any
    steps: int
    prompt: str
    word_length: int
    degree: float
    photo: Tensor
    mask: Tensor | None
    source: Source | None
    source_prompt: str = ""
    source_word_length: int = 0

    @property
    def read(self) -> Source:
        """The source, for an editor that uses one."""
        if self.source is None:
            raise TypeError("this editor asked for no source")
        return self.source


@dataclass(frozen=True)
class Beginning:
    """latents: float32 [1, C, h, w] that `first_step` (1..n + 1) starts from; n + 1 = nothing is painted."""

    latents: Tensor
    first_step: int = 1


class Editor(ABC):
    """A way to edit. Subclasses register themselves in `studio.editing.EDITORS`; an object serves one picture.

    reads: whether it needs the photo's inversion.  guided_by_degree: whether the engine lets the volume act on the
    guidance; else the editor uses `Job.degree` itself.  replays: whether it can start from the recipe of a picture of
    ours, without reading it.
    """

    name: ClassVar[str]
    reads: ClassVar[bool] = True
    guided_by_degree: ClassVar[bool] = True
    replays: ClassVar[bool] = False

    @classmethod  # noqa: B027 - not abstract: most methods can use every setting
    def check(cls, edit: Edit, known: bool = False) -> None:
        """Raise InputError for settings that this method cannot use.

        known: whether the photo is a picture of ours whose recipe says what it shows.
        """

    @classmethod
    @abstractmethod
    def layers(cls, backbone: Backbone) -> tuple[str, ...]:
        """The layers whose outputs are to be recorded while the photo is read."""

    def begin(self, job: Job, generator: torch.Generator) -> Beginning:
        """Where painting begins: the photo's noise, with as much new noise in it as the recipe wants."""
        start = job.read.trajectory[:1].to(job.photo)
        return Beginning(start if job.edit.variation == 0 else varied(start, job.edit.variation, generator))

    @abstractmethod
    def extensions(self, job: Job) -> list[Extension]:
        """What takes part in the loop. Called after `begin`."""

    def outside(self, job: Job, step: int) -> Tensor:
        """What stands outside a mask after that step: float32 [1, C, h, w]."""
        return job.read.trajectory[step : step + 1].to(job.photo)


def held_steps(share: float, steps: int) -> int:
    """The first so many steps: floor(n * share), as the published methods count."""
    return int(steps * share + 1e-9)  # 0.3 * 10 is 2.9999999999999996


def varied(start: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Noise [1, C, h, w] with a share 0..1 of new noise; its deviation stays: sqrt(1 - share) and sqrt(share)."""
    new = torch.randn(start.shape, generator=generator, dtype=torch.float32).to(start)
    return (1 - share) ** 0.5 * start + share**0.5 * new


class KeepOutside(Extension):
    """Blended latent diffusion (Avrahami et al., 2023): after each step, outside the mask the photo is put back.

    outside: step -> float32 [1, C, h, w], the photo as noisy as it is after that step.
    mask: step -> float32 [1, 1, h, w], or None where there is none yet.  photo: the photo's latents, for previews.
    """

    def __init__(self, outside: Callable[[int], Tensor], mask: Callable[[int], Tensor | None], photo: Tensor) -> None:
        self._outside, self._mask, self._photo = outside, mask, photo

    def after_step(self, moment: Moment) -> None:
        mask = self._mask(moment.index)
        if mask is None:
            return
        around = self._outside(moment.index)
        moment.latents = around + mask * (moment.latents - around)
        moment.denoised = self._photo + mask * (moment.denoised - self._photo)

    def finer(self, last_step: int, stage: Stage, trajectory: Tensor) -> KeepOutside:
        """The same in a later, larger stage, with the mask that there was after `last_step`.

        trajectory: float32 [k, C, h, w], the source after each of the stage's steps.
        """
        mask = self._mask(last_step)
        if mask is not None:
            mask = F.interpolate(mask, trajectory.shape[-2:], mode="nearest-exact")
        after, enlarged = trajectory.to(self._photo), mask
        return KeepOutside(lambda step: after[step - stage.first_step][None], lambda _: enlarged, after[-1:])
