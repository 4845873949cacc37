"""Previews: from the model's own colours or fitted ones, always a picture of the right size."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.diffusion.preview import LatentColours, fit_latent_colours, latent_colours, preview
from tests.models import build_tiny_stable_diffusion

ROWS = [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5], [0.1, 0.1, 0.1]]


def test_the_model_s_own_colours(tmp_path: Path) -> None:
    backbone = load_backbone(str(build_tiny_stable_diffusion(tmp_path, latent_rgb=ROWS)), pick_device("cpu"))
    colours = latent_colours(backbone)
    assert torch.equal(colours.matrix, torch.tensor(ROWS))
    image = preview(torch.zeros(1, 4, 8, 12), colours, 96, 64)
    assert (image.mode, image.size) == ("RGB", (96, 64))
    assert np.asarray(image)[30, 30].tolist() == [140, 128, 115]  # the bias 0.1, 0, -0.1 as levels


def test_fitted_colours(tiny_backbone: Backbone) -> None:
    colours = fit_latent_colours(tiny_backbone)
    assert colours.matrix.shape == (4, 3)
    assert colours.bias.shape == (3,)
    again = fit_latent_colours(tiny_backbone)
    assert torch.equal(colours.matrix, again.matrix)
    assert torch.isfinite(colours.matrix).all()


def test_a_fit_finds_colours_that_are_there() -> None:
    """An autoencoder whose latents are colours, turned: the fit turns them back."""
    turn = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        return torch.einsum("cr,brhw->bchw", turn, torch.nn.functional.avg_pool2d(pixels, 8)) + 0.2

    turned: Any = SimpleNamespace(dims=SimpleNamespace(downscale=8), lock=nullcontext(), encode=encode)
    colours = fit_latent_colours(turned)
    latents = (turn @ torch.tensor([0.5, -0.5, 0.0]) + 0.2)[None, :, None, None].expand(1, 4, 4, 4)
    level = np.asarray(preview(latents, colours, 32, 32))[16, 16].astype(int)
    assert np.abs(level - [191, 64, 128]).max() <= 2


def test_a_preview_never_fails() -> None:
    colours = LatentColours(torch.tensor(ROWS), torch.zeros(3))
    latents = torch.full((1, 4, 8, 8), float("nan"))
    latents[0, 0, 0, 0] = float("inf")
    assert preview(latents, colours, 64, 64).size == (64, 64)
