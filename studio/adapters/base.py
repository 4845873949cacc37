"""What an adapter is: SoundEmbedding -> Conditioning. B sounds, n vectors per word, D the backbone's text width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from torch import Tensor

from studio.backbones.base import BackboneDims
from studio.encoders.base import SoundEmbedding


@dataclass(frozen=True)
class Conditioning:
    """What a sound says to the image model.

    word: float32 [B, n, D], the n vectors that stand at each A* of the prompt, in the space of the text encoder's
        input embeddings.
    """

    word: Tensor

    def __post_init__(self) -> None:
        if self.word.ndim != 3 or self.word.shape[1] < 1:
            raise ValueError(f"word must be [B, n, D] with n >= 1, not {list(self.word.shape)}")


class Adapter(ABC):
    """Turns what an ear heard into the word A*. Subclasses register themselves in `studio.adapters.ADAPTERS`.

    name: set by the registry.  encoder: the registered name of the ear whose embeddings it reads.
    """

    name: ClassVar[str]
    encoder: str

    @classmethod
    @abstractmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        """Read the adapter from a folder (config.json, model.safetensors); None = the embedded weights, in eval mode.

        Raises InputError when the folder holds no such adapter, or one made for another text width.
        """

    @abstractmethod
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        """The word of each of B sounds. Same embedding, same word; a sound alone and in a batch: the same."""
