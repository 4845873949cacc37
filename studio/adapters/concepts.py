"""The concepts adapter: A* is a weighted mixture of ordinary phrases, so nothing has to be trained.

Any ear that names what it hears (or compares sounds with text) gives a phrase for it, the image model's own text
encoder gives the phrase's input embeddings, and A* stands between those of the likeliest phrases. So it works with
every image model that reads text, the day it appears, and what A* is made of can be read and changed by hand.

One phrase alone is written at A* token by token: the picture is that of the same prompt with the phrase in it. Between
several, A* has as many vectors as the longest (`studio.word.blend_words`): directions and lengths are blended, because
the plain mean of unrelated embeddings is shorter than any of them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from studio.adapters import ADAPTERS
from studio.adapters._phrases import PhraseBook
from studio.adapters.base import Adapter, Conditioning, Spoken
from studio.backbones.base import Backbone, BackboneDims
from studio.concepts import Concepts, joined
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.recipe import Recipe
from studio.word import blend_words, spread_words

HARDLY = 0.02  # share of a phrase below which it is left out: it could only make A* longer


@ADAPTERS.register("concepts")
class ConceptsAdapter(Adapter, Spoken):
    """What an ear names, said in the image model's own words."""

    about: ClassVar[str] = "phrases for what is heard, with weights; every image model that reads text, no training"

    def __init__(self, text_width: int) -> None:
        self.encoder, self.text_width = "pocket", text_width
        self.top_k, self.temperature = 3, 1.0
        self._backbone: Backbone | None = None
        self._book: PhraseBook | None = None
        self._books: dict[str, PhraseBook] = {}

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        if folder is not None:
            raise InputError("The adapter 'concepts' has no weights of its own: name it, without a folder.")
        return cls(backbone_dims.text_width)

    def between(self, backbone: Backbone, ear: Encoder | None, recipe: Recipe) -> Adapter:
        """ear: any that has labels, or that compares sounds with text."""
        if ear is not None and ear.name not in self._books:
            self._books[ear.name] = PhraseBook(ear)
        bound = copy.copy(self)
        bound._backbone, bound._book = backbone, None if ear is None else self._books[ear.name]
        bound.top_k, bound.temperature = recipe.top_k, recipe.temperature
        return bound

    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        """The words of sounds in a batch are as long as the longest one's: a shorter one is spread, not changed."""
        if self._book is None:
            raise TypeError("this adapter must first be put between an image model and an ear")
        concepts = [self.weigh(row) for row in self._book.probabilities(embedding)]
        words = spread_words([self.say(one).numpy() for one in concepts])
        return Conditioning(torch.from_numpy(np.stack(words)), concepts=tuple(concepts))

    def weigh(self, probabilities: Tensor) -> Concepts:
        """The likeliest phrases and their shares, from how likely each is, [phrases].

        The shares are p^(1 / temperature), normalised: at 1 as sure as the ear is, towards 0 the likeliest alone.
        """
        if self._book is None:
            raise TypeError("this adapter must first be put between an image model and an ear")
        phrases = self._book.phrases
        # Sorted by name where equally likely, so that the order never depends on the machine.
        order = sorted(range(len(phrases)), key=lambda index: (-float(probabilities[index]), phrases[index]))
        best = torch.tensor(order[: self.top_k])
        logs = probabilities[best].double().clamp_min(1e-30).log()
        shares = (logs / self.temperature).softmax(0).tolist()
        kept = [(phrases[int(index)], share) for index, share in zip(best, shares, strict=True) if share >= HARDLY]
        return joined([(tuple(kept), 1.0)])

    @torch.no_grad()
    def say(self, concepts: Concepts) -> Tensor:
        heard = [(self._spell(phrase), weight) for phrase, weight in concepts if weight > 0]
        words, weights = zip(*heard, strict=True)
        return torch.from_numpy(blend_words(words, weights).copy())

    def _spell(self, phrase: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """The input embeddings of a phrase's tokens in all text encoders side by side, [n, D]."""
        backbone = self._backbone
        if backbone is None:
            raise TypeError("this adapter must first be put between an image model and an ear")
        room = backbone.dims.max_positions - 2
        ids = backbone.token_ids(phrase)
        if not 1 <= len(ids) <= room:
            raise InputError(
                f"The phrase {phrase!r} has {len(ids)} tokens, and this model reads 1 to {room}. Write another one."
            )
        with backbone.lock:
            parts = [layer.weight[ids].float().cpu() for layer in backbone.token_embeddings]  # type: ignore[index]
        return torch.cat(parts, dim=-1).numpy()
