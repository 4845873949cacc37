"""A second picture that is painted in the same calls of the U-Net: a row more in a batch costs far less than a call.

Letters: R rows of the batch without the companion, C latent channels, h x w latent size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from studio.backbones.base import Backbone, TextStates

ROWS = slice(1, None)  # those of the picture: the companion is the first row, hooks that count from the end miss it


class Company:
    """Paints from the same steps as the picture, without guidance and untouched by its extensions.

    latents: float32 [1, C, h, w], moving on with every step.  states: one row.
    scheduler: its own, steps set, one that draws no noise.

    Kernels sum in another order for other numbers of rows, so a picture with a companion differs by rounding from the
    same one without.
    """

    def __init__(self, latents: Tensor, states: TextStates, scheduler: Any) -> None:
        self.latents, self._states, self._scheduler = latents, states, scheduler

    def predict(self, backbone: Backbone, batch: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        """The network's output for the picture's batch [R, C, h, w] alone; the companion goes one step on."""
        own = self._states.replace(guidance=torch.ones(1)) if backbone.embeds_guidance else self._states
        scaled = self._scheduler.scale_model_input(self.latents, timestep)
        output = backbone.predict(torch.cat([scaled, batch]), timestep, TextStates.cat([own, states]))
        self.latents = self._scheduler.step(output[:1], timestep, self.latents).prev_sample
        return output[ROWS]
