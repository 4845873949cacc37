"""What an ear is: Clip -> SoundEmbedding. B clips, T tokens in time, D width, L labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from studio.encoders._weights import Published
from studio.sound.clip import Clip
from studio.sound.resample import resample


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

    def one(self, row: int) -> SoundEmbedding:
        """One of the sounds, B = 1."""
        part = slice(row, row + 1)
        logits = None if self.logits is None else self.logits[part]
        return SoundEmbedding(self.tokens[part], self.mask[part], self.pooled[part], logits)


class Encoder(ABC):
    """An ear. Subclasses register themselves in `studio.encoders.ENCODERS` and may also be `torch.nn.Module`s.

    name: set by the registry.  sample_rate: Hz it listens at (it resamples itself).  dim: D of its embeddings.
    labels: what its logits name, in order; empty when it names nothing.
    published: whose weights it needs, None when they come with Hearsight.
    """

    name: ClassVar[str]
    published: ClassVar[Published | None] = None
    sample_rate: int
    dim: int
    labels: tuple[str, ...]

    @classmethod
    @abstractmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read the ear from a folder, in eval mode. None = the embedded weights, or the published ones where the user
        has put them (`weights_folder`).

        Raises InputError when the folder holds no such ear, or when published weights are not on this machine.
        """

    @abstractmethod
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        """Listen to B clips of any rate, length and number of channels. A clip alone and in a batch: the same."""

    def waveform(self, clip: Clip) -> Tensor:
        """A clip as the network gets it: the mean of its channels at `sample_rate`, float32 [N].

        Listening to these samples is listening to the clip. A copy, because a clip is read-only.
        """
        return torch.tensor(resample(clip.mono(), self.sample_rate).samples[0])

    def probabilities(self, embedding: SoundEmbedding) -> Tensor:
        """How sure the ear is of each label: float32 [B, L] in 0..1. An ear without labels gives [B, 0]."""
        if embedding.logits is None:
            return embedding.pooled.new_zeros(len(embedding.pooled), 0)
        return torch.softmax(embedding.logits.float(), dim=-1)


class TextAligned(ABC):
    """An ear that was trained together with a reader of text: sounds and phrases meet in one space of width D.

    logit_scale: what the cosines were multiplied with in training, before the softmax over phrases.
    """

    logit_scale: float

    @abstractmethod
    def embed_text(self, phrases: Sequence[str]) -> Tensor:
        """Phrases as unit vectors in the space of `SoundEmbedding.pooled`: float32 [P, D] for P phrases."""

    def similarity(self, embedding: SoundEmbedding, phrases: Sequence[str]) -> Tensor:
        """How well each of P phrases names each of B sounds: cosines, float32 [B, P] in -1..1.

        `softmax(logit_scale * similarity)` over the phrases is what the model was trained to be right about.
        """
        sounds = torch.nn.functional.normalize(embedding.pooled, dim=-1)
        return sounds @ self.embed_text(phrases).to(sounds).T
