"""A second picture that is painted in the same calls of the U-Net, and changes nothing of the first, not a bit.

A row more in a batch costs far less than a call of its own where the network is small. But kernels of matrix products
sum in another order for other numbers of rows, and a picture must not depend on who stood beside it. So the linear
layers compute the companion's row apart; convolutions and attention treat every row alike. Whether that holds on this
machine is asked before (`keeps_bits`), because no kernel promises it.

Letters: R rows of the batch without the companion, C latent channels, h x w latent size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from studio.backbones.base import Backbone, TextStates
from studio.diffusion.attention import unet_of

ROWS = slice(1, None)  # those of the picture: the companion is the first row, hooks that count from the end miss it


class Company:
    """Paints from the same steps as the picture, without guidance and untouched by its extensions.

    latents: float32 [1, C, h, w], moving on with every step.  states: one row.
    scheduler: its own, steps set, one that draws no noise.
    """

    def __init__(self, latents: Tensor, states: TextStates, scheduler: Any) -> None:
        self.latents, self._states, self._scheduler = latents, states, scheduler

    def predict(self, backbone: Backbone, batch: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        """The network's output for the picture's batch [R, C, h, w] alone; the companion goes one step on."""
        scaled = self._scheduler.scale_model_input(self.latents, timestep)
        output = predict_beside(backbone, scaled, self._states, batch, timestep, states)
        self.latents = self._scheduler.step(output[:1], timestep, self.latents).prev_sample
        return output[ROWS]


def predict_beside(
    backbone: Backbone, first: Tensor, own: TextStates, batch: Tensor, timestep: Tensor, states: TextStates
) -> Tensor:
    """[1 + R, C, h, w]: the output for a row `first` [1, C, h, w] under `own`, then for `batch` under `states`."""
    if backbone.embeds_guidance:
        own = own.replace(guidance=torch.ones(1))
    with _first_row_apart(unet_of(backbone), 1 + len(batch)):
        return backbone.predict(torch.cat([first, batch]), timestep, TextStates.cat([own, states]))


def keeps_bits(backbone: Backbone, latents: Tensor, states: TextStates, timestep: Tensor, rows: int) -> bool:
    """Whether `rows` rows of latents [1, C, h, w] come out bit for bit the same with a companion and without.

    states: one row. The order in which a kernel sums depends on shapes, not on numbers, so any numbers show it.
    """
    batch, several = latents.expand(rows, -1, -1, -1), TextStates.cat([states] * rows)
    if backbone.embeds_guidance:
        several = several.replace(guidance=torch.ones(rows))
    with torch.no_grad(), backbone.lock:
        alone = backbone.predict(batch, timestep, several)
        beside = predict_beside(backbone, latents, states, batch, timestep, several)
    return torch.equal(alone, beside[ROWS])


@contextmanager
def _first_row_apart(unet: nn.Module, rows: int) -> Iterator[None]:
    """While open, linear layers compute the first of `rows` rows apart; hooks see the whole batch."""
    firsts: dict[nn.Module, Tensor] = {}

    def others(module: nn.Module, inputs: Any) -> tuple[Tensor] | None:
        if len(inputs[0]) != rows:  # an extension asks for something of its own
            return None
        firsts[module] = inputs[0][:1]
        return (inputs[0][1:],)

    def both(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        if module not in firsts:
            return None
        return torch.cat([module.forward(firsts.pop(module)), output])

    with ExitStack() as handles:
        for module in unet.modules():
            if isinstance(module, nn.Linear):
                for handle in (
                    module.register_forward_pre_hook(others),
                    module.register_forward_hook(both, prepend=True),
                ):
                    handles.callback(handle.remove)
        yield
