"""How several sounds that stand at the same place part the picture: each acts where its word has most to say.

Blended everywhere, two words make one thing that is neither. So each point goes to the word that changes the
prediction there most, beside the prompt without A*. MagicFusion (Zhao et al., "Boosting Text-to-Image Generation
Performance by Fusing Diffusion Models", ICCV 2023, section 3.2) lets two models part a picture by such saliency maps;
here they are wide, so that the parts are places and not specks, and every word gets the area of its share.

Letters: n words, C latent channels, h x w latent size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SETTLED = 0.4  # of the steps, after which the parts stay: what is in the picture then belongs where it is
WIDTH = 0.19  # deviation of the Gaussian that widens the maps, of the picture's shorter side
NEWEST = 0.6  # of the mean over the steps that the last one has
SHARPNESS = 8.0  # logits for one standard deviation between two words' maps
_ROUNDS = 100


class Parting:
    """The parts of one picture, while it is drawn.

    shares: above 0, one a word; how much of the picture each gets, by ratio.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        wanted = torch.tensor(shares, dtype=torch.float64)
        self._wanted = wanted / wanted.sum()
        self._maps: Tensor | None = None

    def begin(self) -> None:
        """Forget the picture before."""
        self._maps = None

    def look(self, without: Tensor, each: Tensor) -> None:
        """Predictions of one step: of the prompt without A* [1, C, h, w] and with each word [n, C, h, w]."""
        change = wide((each - without).float().cpu().double().square().mean(1, keepdim=True))
        level = change.mean((2, 3), keepdim=True)
        # A word that changes nothing anywhere (level 0) has no place of its own.
        maps = torch.where(level > 0, change / level.clamp_min(1e-30), torch.ones_like(change)).clamp_min(1e-6).log()
        self._maps = maps if self._maps is None else (1 - NEWEST) * self._maps + NEWEST * maps

    def masks(self, height: int, width: int) -> Tensor:
        """How much of each point belongs to each word: float32 [n, height * width], 0..1, each point adds up to 1.

        Each word's mean is its share. Before the first look every point is everybody's.
        """
        if self._maps is None:
            return self._wanted.float()[:, None].expand(-1, height * width)
        maps = F.interpolate(self._maps, (height, width), mode="bilinear", antialias=True)[:, 0].flatten(1)
        maps = maps - maps.mean(1, keepdim=True)
        maps = maps - maps.mean(0)
        count = len(maps)
        between = (2 * count / (count - 1) * maps.square().mean()).sqrt()  # deviation of two words' difference
        return balanced(SHARPNESS * maps / between.clamp_min(1e-6), self._wanted).float()


def balanced(logits: Tensor, shares: Tensor) -> Tensor:
    """Softmax over n of float64 [n, N], each with a number added that brings its mean to its share, [n] above 0."""
    offsets = shares.log()[:, None]
    for _ in range(_ROUNDS):  # each round moves every mean towards its share and never past it
        offsets = offsets + (shares / torch.softmax(logits + offsets, 0).mean(1)).log()[:, None]
    return torch.softmax(logits + offsets, 0)


def wide(maps: Tensor) -> Tensor:
    """Maps [n, 1, h, w] under a Gaussian of `WIDTH`, mirrored at the edges."""
    for axis in (2, 3):
        size = maps.shape[axis]
        deviation = WIDTH * min(maps.shape[2:])
        place = torch.arange(size, dtype=maps.dtype, device=maps.device) + 0.5
        kernel = torch.zeros(size, size, dtype=maps.dtype, device=maps.device)
        for mirrored in (place, -place, 2 * size - place):
            kernel += torch.exp(-((place[:, None] - mirrored) ** 2) / (2 * deviation**2))
        kernel /= kernel.sum(1, keepdim=True)
        maps = torch.movedim(torch.movedim(maps, axis, -1) @ kernel.T, -1, axis)
    return maps
