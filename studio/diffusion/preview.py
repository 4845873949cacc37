"""Previews: a picture from unfinished latents by one small matrix, a thousand times cheaper than decoding.

Letters: C latent channels, h x w latent size. Colours are RGB in -1..1, as the autoencoder has them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from studio.backbones.base import Backbone


class LatentColours(NamedTuple):
    """colour = latents @ matrix + bias.  matrix: float32 [C, 3].  bias: float32 [3]."""

    matrix: Tensor
    bias: Tensor


def latent_colours(backbone: Backbone) -> LatentColours:
    """What the model's hearsight.json says (`latent_rgb`, `latent_rgb_bias`), else fitted to its autoencoder."""
    defaults, channels = backbone.defaults, backbone.dims.latent_channels
    if defaults.latent_rgb is not None and len(defaults.latent_rgb) == channels:
        return LatentColours(torch.tensor(defaults.latent_rgb), torch.tensor(defaults.latent_rgb_bias))
    return fit_latent_colours(backbone)


def fit_latent_colours(backbone: Backbone, pixels: Tensor | None = None) -> LatentColours:
    """Least squares from latents to the mean colour of the pixels under them.

    pixels: float32 [B, 3, H, W] in -1..1 to fit on, photos at best; None = soft random colours, the same every time.
    """
    if pixels is None:
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(4, 3, 6, 6, generator=generator) * 2 - 1
        size = 16 * backbone.dims.downscale
        pixels = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(-1, 1)
    with torch.no_grad(), backbone.lock:
        latents = backbone.encode(pixels).float().cpu()
    colours = torch.nn.functional.avg_pool2d(pixels.float().cpu(), backbone.dims.downscale)
    inputs = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    # A small ridge: an untrained autoencoder's channels can be copies of each other.
    normal = inputs.T @ inputs + 1e-4 * len(inputs) * torch.eye(inputs.shape[1])
    solution = torch.linalg.solve(normal, inputs.T @ colours.permute(0, 2, 3, 1).reshape(-1, 3))
    return LatentColours(solution[:-1].contiguous(), solution[-1].contiguous())


def preview(latents: Tensor, colours: LatentColours, width: int, height: int) -> Image.Image:
    """Latents [1, C, h, w] -> an RGB picture of width x height pixels."""
    pixels = latents[0].float().cpu().permute(1, 2, 0) @ colours.matrix + colours.bias
    # Half-finished latents may be anything; a preview never fails.
    levels = ((pixels.nan_to_num() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(levels.numpy()).resize((width, height), Image.Resampling.BICUBIC)
