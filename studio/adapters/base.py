"""What an adapter is: SoundEmbedding -> Conditioning.

B sounds, n vectors per word, D the backbone's text width, M sound tokens of width E, R rows of the denoising batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor

from studio.backbones.base import Backbone, BackboneDims
from studio.concepts import Concepts
from studio.encoders._weights import Published
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.recipe import Recipe


@dataclass(frozen=True)
class Conditioning:
    """What a sound says to the image model: as a word of the prompt, as tokens beside it, or both.

    word: float32 [B, n, D], the n vectors that stand at each A* of the prompt, in the space of the text encoder's
        input embeddings. n is 0 where the sound has no word: A* is then left out of the prompt.
    tokens: float32 [B, M, E], what cross-attention layers of the adapter's own read beside the text; None = nothing.
    concepts: for each of the B sounds the phrases that its word is made of; empty where it is not made of phrases.
    """

    word: Tensor
    tokens: Tensor | None = None
    concepts: tuple[Concepts, ...] = ()

    def __post_init__(self) -> None:
        if self.word.ndim != 3:
            raise ValueError(f"word must be [B, n, D], not {list(self.word.shape)}")
        if self.word.shape[1] < 1 and self.tokens is None:
            raise ValueError(f"a sound needs a word or tokens, and this word is {list(self.word.shape)}")
        if self.tokens is not None and (self.tokens.ndim != 3 or len(self.tokens) != len(self.word)):
            raise ValueError(f"tokens must be [{len(self.word)}, M, E], not {list(self.tokens.shape)}")


class Adapter(ABC):
    """Turns what an ear heard into what the image model reads. Subclasses register themselves in
    `studio.adapters.ADAPTERS`.

    name: set by the registry.  encoder: the registered name of the ear whose embeddings it reads.
    about: what it is and which image models it fits, in a few words; empty = as its docstring says.
    published: whose weights it needs, None when they come with Hearsight or none are needed.
    beside: whether sounds enter beside the text, so that a prompt needs no A*.
    instead: whether they stand in the text's place (and so also count as beside it): the prompt is not read.
    draws: whether weights of its own take part in the denoising although its sound is a word, see `along`.
    """

    name: ClassVar[str]
    about: ClassVar[str] = ""
    published: ClassVar[Published | None] = None
    beside: ClassVar[bool] = False
    instead: ClassVar[bool] = False
    draws: bool = False
    encoder: str

    @classmethod
    @abstractmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        """Read the adapter from a folder (config.json, model.safetensors); None = the embedded weights, in eval mode.

        Raises InputError when the folder holds no such adapter, or one made for another text width.
        """

    def between(self, backbone: Backbone, ear: Encoder | None, recipe: Recipe) -> Adapter:
        """The adapter between an image model and an ear, ready for `condition`; nothing of `self` is changed.

        ear: None where nothing is to be heard, because the recipe carries what the sound says.
        recipe: its settings, as far as the adapter has any.  Raises InputError when they do not go together.
        """
        if ear is not None and ear.name != self.encoder:
            raise InputError(
                f"The adapter {recipe.adapter!r} reads the ear {self.encoder!r} and no other, but {ear.name!r} was "
                "named. Leave the ear out, or use the adapter 'concepts'."
            )
        return self

    @abstractmethod
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        """What each of B sounds says. Same embedding, same answer; a sound alone and in a batch: the same."""

    # The rest is for adapters that take part in the denoising only.

    def along(self, backbone: Backbone) -> AbstractContextManager[Any]:
        """While the context is open, the backbone draws with what the adapter has learned beside the word. Only for
        adapters that `draws` says it of; every hook is gone when it closes.
        """
        raise NotImplementedError(f"the adapter {self.name!r} does not draw along")

    def null_tokens(self) -> Tensor:
        """The tokens of no sound, float32 [1, M, E]: what classifier-free guidance goes away from."""
        raise NotImplementedError(f"the adapter {self.name!r} has no tokens")

    def digest(self) -> str:
        """16 hex digits over the weights that take part in the denoising, which a recipe does not carry."""
        raise NotImplementedError(f"the adapter {self.name!r} does not draw along")

    def hooks(self, backbone: Backbone, tokens: Tensor, strength: float = 1.0) -> AbstractContextManager[Any]:
        """While the context is open, the backbone reads tokens [R, M, E], one row for each of the batch, beside the
        text; in a larger batch the last rows do. Every hook is gone when it closes.

        strength: 0 = as if the layers were not there, 1 = as trained.
        Raises InputError when the adapter was made for a backbone of another structure, or the tokens by another one.
        """
        raise NotImplementedError(f"the adapter {self.name!r} has no tokens")


class Spoken(ABC):
    """An adapter whose A* is made of phrases that people can read and change."""

    @abstractmethod
    def say(self, concepts: Concepts) -> Tensor:
        """The word that is made of phrases and their weights, float32 [n, D]. Raises InputError for a bad phrase."""
