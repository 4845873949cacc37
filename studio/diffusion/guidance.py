"""Classifier-free guidance: Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022.

With the sound on a slider of its own it has two parts, as Brooks et al. ("InstructPix2Pix", 2023, Equation 3) guide by
text and picture: what the words say beyond the negative prompt, and what the sound says beyond the words.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from studio.backbones.base import TextStates


@dataclass(frozen=True)
class Guidance:
    """How far to go from what the negative prompt says to what the prompt says.

    scale: 0 = only the negative prompt, 1 = only the prompt (at half the cost), above 1 beyond it (typically 2..10).
    sound: how far to go from what the prompt says without A* to what it says with it, as a multiple of `scale`;
    0 = the words alone, 1 = as in ordinary guidance, for which the third prediction is not needed.
    The predictions are one batch: negative, words alone, all. At scale 1 the negative prompt has no part in it, and no
    prediction: that is how models draw whose guidance is in their weights.
    """

    scale: float
    sound: float = 1.0

    @property
    def leads_away(self) -> bool:
        """Whether the negative prompt has a part in it; it is then the first row of the batch."""
        return self.scale != 1

    def states(self, negative: TextStates, silent: TextStates, positive: TextStates) -> TextStates:
        """Text states of the prompts, a row each -> the batch of R rows to predict with, R = 1, 2 or 3.

        silent: the prompt without A*.
        """
        if self.sound != 1:
            return TextStates.cat([silent, positive] if self.scale == 1 else [negative, silent, positive])
        return positive if self.scale == 1 else TextStates.cat([negative, positive])

    def combine(self, prediction: Tensor) -> Tensor:
        """Predictions [R, C, h, w] of that batch -> the guided prediction [1, C, h, w]."""
        if self.sound != 1 and self.scale == 1:
            silent, positive = prediction.chunk(2)
            return silent + self.sound * (positive - silent)
        if self.sound != 1:
            negative, silent, positive = prediction.chunk(3)
            return negative + self.scale * ((silent - negative) + self.sound * (positive - silent))
        if self.scale == 1:
            return prediction
        negative, positive = prediction.chunk(2)
        return negative + self.scale * (positive - negative)  # (Equation 6) with scale = 1 + w
