"""Classifier-free guidance: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022.

With the sound on a slider of its own it has two parts, as Brooks et al. ("InstructPix2Pix", 2023, Equation 3) guide by
text and picture: what the words say beyond the negative prompt, and what the sound says beyond the words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Guidance:
    """How far to go from what the negative prompt says to what the prompt says.

    scale: 0 = only the negative prompt, 1 = only the prompt (at half the cost), above 1 beyond it (typically 2..10).
    sound: how far to go from what the prompt says without A* to what it says with it, as a multiple of `scale`;
    0 = the words alone, 1 = as in ordinary guidance, for which the third prediction is not needed.
    The predictions are one batch: negative, words alone, all.
    """

    scale: float
    sound: float = 1.0

    def states(self, negative: Tensor, silent: Tensor, positive: Tensor) -> Tensor:
        """Text states [1, L, E] of the prompts -> the batch [R, L, E] to predict with, R = 1, 2 or 3.

        silent: the prompt without A*.
        """
        if self.sound != 1:
            return torch.cat([negative, silent, positive])
        return positive if self.scale == 1 else torch.cat([negative, positive])

    def combine(self, prediction: Tensor) -> Tensor:
        """Predictions [R, C, h, w] of that batch -> the guided prediction [1, C, h, w]."""
        if self.sound != 1:
            negative, silent, positive = prediction.chunk(3)
            return negative + self.scale * ((silent - negative) + self.sound * (positive - silent))
        if self.scale == 1:
            return prediction
        negative, positive = prediction.chunk(2)
        return negative + self.scale * (positive - negative)  # (Equation 6) with scale = 1 + w
