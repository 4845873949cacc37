"""Classifier-free guidance: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Guidance:
    """How far to go from what the negative prompt says to what the prompt says.

    scale: 0 = only the negative prompt, 1 = only the prompt (at half the cost), above 1 beyond it (typically 2..10).
    The two predictions are one batch of 2, negative first.
    """

    scale: float

    def states(self, negative: Tensor, positive: Tensor) -> Tensor:
        """Text states [1, L, E] of both prompts -> the batch [R, L, E] to predict with, R = 1 or 2."""
        return positive if self.scale == 1 else torch.cat([negative, positive])

    def combine(self, prediction: Tensor) -> Tensor:
        """Predictions [R, C, h, w] of that batch -> the guided prediction [1, C, h, w]."""
        if self.scale == 1:
            return prediction
        negative, positive = prediction.chunk(2)
        return negative + self.scale * (positive - negative)  # (Equation 6) with scale = 1 + w
