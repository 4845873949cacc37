"""Trains the context adapter (after Seeing Sound) from a folder of pairs: sounds in the place of the text of a PixArt.

The publication trains the whole transformer with the projection; here the transformer stays as it is, so that an
adapter is 9 MB and the image model still reads text. A tenth of the rows have no sound, which trains the null vector
that guidance goes away from.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from studio.adapters.context import ContextAdapter, ContextConfig
from studio.backbones.base import TextStates
from studio.data.pairs import Pair
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.training.pair_task import PairParts, PairTask

WITHOUT_SOUND = 0.1  # of the rows


class ContextPairs(PairTask):
    """Only the projection and its null vector are trained, by the denoising loss alone."""

    name = "adapter-context"
    adapter: ContextAdapter

    def __init__(self, parts: PairParts) -> None:
        transformer: Any = parts.backbone.modules().get("transformer")
        if transformer is None:
            raise InputError(
                f"The model {parts.backbone.source.name!r} has no transformer, and the adapter 'context' draws with "
                "PixArt's: name a PixArt folder as the model, or train another kind."
            )
        lengths = set(map(int, parts.heard.begins[1:] - parts.heard.begins[:-1]))
        if len(lengths) != 1:
            raise InputError(
                f"The ear {parts.ear.name!r} gives longer sounds more tokens, and the adapter 'context' reads a "
                "fixed number of them: use the ear 'ast'."
            )
        count, dims = lengths.pop(), parts.backbone.dims
        if parts.init:
            made = ContextAdapter.load(parts.init, dims)
        else:
            made = ContextAdapter(
                ContextConfig(parts.ear.name, parts.ear.dim, count, transformer.inner_dim), dims.text_width
            )
        super().__init__(parts, made)
        self.modules = {"projection": made.projection}

    def errors(self, heard: SoundEmbedding, latents: Tensor, generator: torch.Generator) -> Tensor:
        return self.denoising.errors(latents, TextStates(self._tokens(heard)), generator)

    def losses(
        self, heard: SoundEmbedding, pairs: list[Pair], latents: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        tokens = self._tokens(heard)
        silent = torch.rand(len(tokens), generator=generator).to(tokens.device) < WITHOUT_SOUND
        tokens = torch.where(silent[:, None, None], self.adapter.projection.null, tokens)
        return {"loss": self.denoising.errors(latents, TextStates(tokens), generator).mean()}

    def _tokens(self, heard: SoundEmbedding) -> Tensor:
        """float32 [B, M, E]."""
        tokens: Tensor = self.adapter.projection(heard.tokens)
        return tokens.float()
