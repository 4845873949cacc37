"""Trains adapters whose sound is a word, on any image model and ear, from a folder of pairs.

AAI's form: the denoising loss under "a photo of A*" with everything but the adapter frozen; and, where the pairs have
labels or captions, its alignment stage on the model's own text encoder: a prompt with A* should leave it as the same
prompt with the text does. AudioToken's form (Yariv et al., 2023): the denoising loss, 0.01 times the mean magnitude of
the word, and 0.01 times (1 - cos(word, mean embedding of the label's tokens))^2.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.adapters.audiotoken import AudioTokenAdapter, AudioTokenConfig, Embedder
from studio.adapters.word import WordAdapter, WordConfig
from studio.backbones.base import TextStates
from studio.data.pairs import Pair
from studio.diffusion.prompt import embed_each, tokenise
from studio.encoders.base import SoundEmbedding
from studio.training.pair_task import PROMPT, PairParts, PairTask, from_word_on, text_states, word_of

SPAN = 6  # text positions that are compared: the word's end and what follows; later ones are padding and much alike


class WordPairs(PairTask):
    """A* of the form f + adapter(f)."""

    name = "adapter-word"
    adapter: WordAdapter

    def __init__(self, parts: PairParts) -> None:
        dims = parts.backbone.dims
        made = WordAdapter.load(parts.init, dims) if parts.init else WordAdapter(word_config(parts))
        super().__init__(parts, made)
        self.modules = {"network": made.network}
        texts = [pair.text for pair in parts.pairs.pairs if pair.text]
        self.said = text_states(parts.backbone, texts, SPAN)

    def words(self, heard: SoundEmbedding) -> Tensor:
        """float32 [B, n, D]."""
        words: Tensor = self.adapter.network(heard.tokens, heard.mask, heard.pooled, heard.logits)
        return words.float()

    def errors(self, heard: SoundEmbedding, latents: Tensor, generator: torch.Generator) -> Tensor:
        return self.denoising.errors(latents, self._states(self.words(heard)), generator)

    def losses(
        self, heard: SoundEmbedding, pairs: list[Pair], latents: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        states = self._states(self.words(heard))
        denoised = self.denoising.errors(latents, states, generator).mean()
        aligned = [row for row, pair in enumerate(pairs) if pair.text]
        if not aligned:
            return {"loss": denoised}
        last = tokenise(PROMPT, self.backbone, self.adapter.config.vectors).word_positions[-1]
        said = torch.stack([self.said[pairs[row].text or ""] for row in aligned])
        ours = from_word_on(states.tokens, last, SPAN)[aligned].float()
        alignment = (ours - said).square().mean() / said.var()
        return {
            "loss": denoised + alignment,
            "denoising": denoised.detach(),
            "alignment": alignment.detach(),
        }

    def _states(self, words: Tensor) -> TextStates:
        return embed_each(self.backbone, PROMPT, words)


def word_config(parts: PairParts) -> WordConfig:
    """The sizes of a new word adapter for this ear and image model."""
    weights = [cast(Tensor, layer.weight).detach().float() for layer in parts.backbone.token_embeddings]
    power = sum(float(weight.var()) * weight.shape[1] for weight in weights) / parts.backbone.dims.text_width
    return WordConfig(
        encoder=parts.ear.name,
        sound_dim=parts.ear.dim,
        text_width=parts.backbone.dims.text_width,
        vectors=parts.vectors,
        scale=power**0.5,
    )


class AudioTokenPairs(PairTask):
    """One word by attentive pooling."""

    name = "adapter-audiotoken"
    adapter: AudioTokenAdapter
    MAGNITUDE: ClassVar[float] = 0.01
    CLASSIFICATION: ClassVar[float] = 0.01
    DROPOUT: ClassVar[float] = 0.5

    def __init__(self, parts: PairParts) -> None:
        width = parts.backbone.dims.text_width
        if parts.init:
            made = AudioTokenAdapter.load(parts.init, parts.backbone.dims)
        else:
            config = AudioTokenConfig(parts.ear.name, parts.ear.dim, width)
            made = AudioTokenAdapter(config, Embedder(parts.ear.dim, width), {})
        super().__init__(parts, made)
        self.modules = {"embedder": made.embedder}
        labels = {pair.label for pair in parts.pairs.pairs if pair.label}
        self.meant = {label: word_of(parts.backbone, label).to(self.device) for label in labels}

    def words(self, heard: SoundEmbedding) -> Tensor:
        """float32 [B, 1, D]; each sound alone, because the pooling looks at all of its moments."""
        rows, dropout = zip(heard.tokens, heard.mask, strict=True), self.DROPOUT * self.adapter.embedder.training
        return torch.stack([self.adapter.embedder(tokens[mask][None], dropout).float() for tokens, mask in rows])

    def errors(self, heard: SoundEmbedding, latents: Tensor, generator: torch.Generator) -> Tensor:
        return self.denoising.errors(latents, embed_each(self.backbone, PROMPT, self.words(heard)), generator)

    def losses(
        self, heard: SoundEmbedding, pairs: list[Pair], latents: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        words = self.words(heard)
        states = embed_each(self.backbone, PROMPT, words)
        denoised = self.denoising.errors(latents, states, generator).mean()
        parts = {"denoising": denoised, "magnitude": self.MAGNITUDE * words.abs().mean()}
        named = [row for row, pair in enumerate(pairs) if pair.label]
        if named:
            meant = torch.stack([self.meant[pairs[row].label or ""] for row in named])
            away = 1 - F.cosine_similarity(words[named, 0], meant, dim=-1)
            parts["classification"] = self.CLASSIFICATION * away.square().mean()
        return {
            "loss": torch.stack(list(parts.values())).sum(),
            **{name: part.detach() for name, part in parts.items()},
        }
