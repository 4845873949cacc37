"""Which part of a picture belongs to which sound: pans and shares -> soft regions from left to right.

Letters: n regions, w columns of some grid over the picture (latents, or an attention layer's tokens).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SPREAD = 2 / 3  # places are -2/3 .. 2/3 of the half width, so that left, middle and right get equal thirds
SOFTNESS = 0.2  # width of the Gaussian around each place, in half widths; borders are a twelfth of the picture wide
_GRID = 240  # columns on which areas are balanced: fine enough for every latent grid up to 1024 px
_ROUNDS = 200


@dataclass(frozen=True)
class Regions:
    """Soft regions, one a sound, side by side from left to right.

    pans: -1 (left) .. 1 (right), one a region.  shares: above 0, how much each sound gets, by ratio.

    Each point belongs to every region by a Gaussian of its distance to the region's place, normalised to 1 over the
    regions. So two sounds part the picture where they are equally near, the border is the softer the nearer they are
    to each other, and sounds with the same pan share every point. The shares then widen and narrow the regions until
    each area is proportional to what it would be alone times its share.

    Sounds that all stand on one side leave the other one to the words of the prompt: `rest` is that region, the last
    of `columns`. It grows with the pan of the sound nearest to the middle, up to half of the picture, and is gone
    where any sound stands in the middle or on the other side.
    """

    pans: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def rest(self) -> bool:
        """Whether the last region is the prompt without A*."""
        return self._one_sided > 0

    @property
    def everywhere(self) -> bool:
        """Whether all regions are the whole picture, each with its share."""
        return len(set(self.pans)) == 1 and not self.rest

    @property
    def _one_sided(self) -> float:
        """How far the sound nearest to the middle stands from it, if all are on one side; else 0."""
        same = all(pan > 0 for pan in self.pans) or all(pan < 0 for pan in self.pans)
        return min(abs(pan) for pan in self.pans) if same else 0.0

    def columns(self, width: int) -> Tensor:
        """How much of each column belongs to each region: float32 [n, w], 0..1, every column adds up to 1."""
        return torch.softmax(self._nearness(width) + self._offsets[:, None], dim=0).float()

    def _nearness(self, width: int) -> Tensor:
        """Logarithm of the Gaussians at the middle of each column: float64 [n, w]."""
        places = list(self.pans)
        if self.rest:  # the emptiest place there is
            places.append(-math.copysign(1.0, self.pans[0]))
        across = (2 * torch.arange(width, dtype=torch.float64) + 1) / width - 1
        centres = SPREAD * torch.tensor(places, dtype=torch.float64)
        return -((across - centres[:, None]) ** 2) / (2 * SOFTNESS**2)

    @cached_property
    def _offsets(self) -> Tensor:
        """float64 [n]: what is added to each Gaussian's logarithm to bring the areas to their shares."""
        nearness = self._nearness(_GRID)
        offsets = torch.zeros(len(nearness), dtype=torch.float64)
        area = torch.softmax(nearness, dim=0).mean(1)
        if self.rest:
            empty = self._one_sided / 2
            shares = torch.tensor(self.shares, dtype=torch.float64)
            wanted = torch.cat([(1 - empty) * shares / shares.sum(), torch.tensor([empty], dtype=torch.float64)])
        else:
            wanted = area * torch.tensor(self.shares, dtype=torch.float64)
            wanted = wanted / wanted.sum()
        for _ in range(_ROUNDS):  # each round moves every area towards its goal and never past it
            offsets = offsets + torch.log(wanted / torch.softmax(nearness + offsets[:, None], dim=0).mean(1))
        return offsets - offsets.max()
