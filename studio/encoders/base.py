"""What an ear is: Clip -> SoundEmbedding. B clips, T tokens in time, D width, L labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from studio.sound.clip import Clip


@dataclass(frozen=True)
class SoundEmbedding:
    """What an ear understood of B sounds.

    tokens: float32 [B, T, D], one vector per stretch of time.
    mask: bool [B, T], True where a token is sound and not padding.
    pooled: float32 [B, D], one vector per sound.
    logits: float32 [B, L] over the ear's labels, or None when the ear names nothing.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    logits: Tensor | None = None

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3:
            raise ValueError(f"tokens must be [B, T, D], not {list(self.tokens.shape)}")
        batch, length, width = self.tokens.shape
        if self.mask.shape != (batch, length) or self.mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool {[batch, length]}, not {self.mask.dtype} {list(self.mask.shape)}")
        if self.pooled.shape != (batch, width):
            raise ValueError(f"pooled must be {[batch, width]}, not {list(self.pooled.shape)}")
        if self.logits is not None and (self.logits.ndim != 2 or len(self.logits) != batch):
            raise ValueError(f"logits must be [{batch}, L], not {list(self.logits.shape)}")


class Encoder(ABC):
    """An ear. Subclasses register themselves in `studio.encoders.ENCODERS` and may also be `torch.nn.Module`s.

    name: set by the registry.  sample_rate: Hz it listens at (it resamples itself).  dim: D of its embeddings.
    labels: what its logits name, in order; empty when it names nothing.
    """

    name: ClassVar[str]
    sample_rate: int
    dim: int
    labels: tuple[str, ...]

    @classmethod
    @abstractmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read the ear from a folder (config.json, model.safetensors); None = the embedded weights, in eval mode.

        Raises InputError when the folder holds no such ear.
        """

    @abstractmethod
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        """Listen to B clips of any rate, length and number of channels. A clip alone and in a batch: the same."""

    def probabilities(self, embedding: SoundEmbedding) -> Tensor:
        """How sure the ear is of each label: float32 [B, L] in 0..1. An ear without labels gives [B, 0]."""
        if embedding.logits is None:
            return embedding.pooled.new_zeros(len(embedding.pooled), 0)
        return torch.softmax(embedding.logits.float(), dim=-1)
