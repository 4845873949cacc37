"""The image model's loss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from studio.training.image import diffusion_loss


class Silent:
    """A U-Net that predicts nothing, so that the loss is the weight of what it was to predict."""

    dtype = torch.float32

    def __call__(self, noisy: Tensor, timesteps: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=torch.zeros_like(noisy))


@pytest.mark.parametrize(
    ("snr", "weight"),
    [(0.04, (0.04 / 1.04) ** 0.5), (1.0, 0.5**0.5), (20.0, 5 / 21), (400.0, 5 / 401)],
)
def test_much_noise_counts_by_the_root_of_min_snr_and_little_noise_by_min_snr(snr: float, weight: float) -> None:
    alphas = torch.full((1000,), snr / (snr + 1))
    latents, hidden = torch.zeros(64, 4, 8, 8), torch.zeros(64, 1, 1)
    generator = torch.Generator().manual_seed(0)
    loss = diffusion_loss(cast("Any", Silent()), latents, hidden, alphas, generator)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    velocity = alphas[0].sqrt() * noise  # of latents that are nothing
    assert float(loss) == pytest.approx(weight * float(velocity.square().mean()), rel=1e-4)
