"""SDEdit: Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations", 2022.

Noise is added to the photo, and from there it is painted as the prompt says: the more noise, the more may change. It
knows nothing of the photo's layout, and is here as the baseline and for models without a U-Net.
"""

from __future__ import annotations

import torch
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.inversion import shares
from studio.diffusion.loop import Extension
from studio.editing import EDITORS
from studio.editing.base import Beginning, Editor, Job


@EDITORS.register("sdedit")
class SDEdit(Editor):
    """`noise` is the method's t0; the volume acts on it, so that a silent sound leaves the photo as it is."""

    reads, guided_by_degree = False, False

    def __init__(self) -> None:
        self._noise: Tensor | None = None

    @classmethod
    def layers(cls, backbone: Backbone) -> tuple[str, ...]:
        return ()

    def begin(self, job: Job, generator: torch.Generator) -> Beginning:
        self._noise = torch.randn(job.photo.shape, generator=generator, dtype=torch.float32).to(job.photo)
        painted = round(min(1.0, job.edit.noise * job.degree) * job.steps)
        first = job.steps - painted + 1
        if first > job.steps:
            return Beginning(job.photo, first)
        if first == 1:
            return Beginning(self._noise)
        share = shares(job.scheduler, job.scheduler.timesteps[first - 1])
        return Beginning(share.a * job.photo + share.s * self._noise, first)

    def extensions(self, job: Job) -> list[Extension]:
        return []

    def outside(self, job: Job, step: int) -> Tensor:
        if self._noise is None:
            raise TypeError("painting has not begun")
        share = shares(job.scheduler, job.scheduler.timesteps[step - 1])
        return share.a_after * job.photo + share.s_after * self._noise
