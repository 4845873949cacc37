"""Trains the gated adapter (SonicDiffusion, Biner et al., 2024) in its two stages, on any U-Net, from pairs.

Stage 1, the projector alone: InfoNCE (a piece of a sound with the same label, against those with others; without
labels another piece of the same sound) and, where there are labels or captions, the squared error to the model's text
states of them. Stage 2: the gated layers, and the projector at a tenth of their rate, by the denoising loss under the
empty prompt. With Microsoft's CLAP and states 768 wide (Stable Diffusion 1.x) the projector has the published form, so
that published weights can go on (`--init`); else it is our small one, whose layers begin as copies of the text
attention.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import gated_places
from studio.adapters.projectors import SonicProjector
from studio.backbones.base import TextStates
from studio.data.pairs import Pair
from studio.diffusion.prompt import embed
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.training.pair_task import PairParts, PairTask, text_states

TEMPERATURE = 0.1
FIRST = 0.15  # share of the budget that stage 1 takes
TOKENS = 8  # of our small projector


class GatedPairs(PairTask):
    """Only the projector, the gated layers and their gates are trained."""

    name = "adapter-gated"
    adapter: GatedAdapter

    def __init__(self, parts: PairParts) -> None:
        unet: Any = parts.backbone.modules().get("unet")
        if unet is None:
            raise InputError(
                f"The model {parts.backbone.source.name!r} has no U-Net, and the adapter 'gated' sits in one: name "
                "a Stable Diffusion folder as the model, or train another kind."
            )
        made = GatedAdapter.load(parts.init, parts.backbone.dims) if parts.init else self._new(parts, unet)
        super().__init__(parts, made)
        self.unet, network = unet, made.network
        self.modules = {"projector": network.projector, "layers": network.layers}
        texts = [pair.text for pair in parts.pairs.pairs if pair.text]
        fits = made.config.width == parts.backbone.dims.context_width
        self.said = text_states(parts.backbone, texts, made.config.count) if fits else {}
        nothing = torch.zeros(0, parts.backbone.dims.text_width)
        self.empty = embed(parts.backbone, [""], nothing)

    @staticmethod
    def _new(parts: PairParts, unet: Any) -> GatedAdapter:
        dims, sonic = parts.backbone.dims, SonicProjector
        published = parts.ear.name == "clap-2022" and (parts.ear.dim, dims.context_width) == (sonic.SOUND, sonic.WIDTH)
        made = GatedAdapter(
            GatedConfig(
                places=gated_places(unet),
                encoder=parts.ear.name,
                projector="sonic" if published else "tokens",
                sound_dim=parts.ear.dim,
                count=sonic.COUNT if published else TOKENS,
                width=dims.context_width,
                hidden=sonic.INNER if published else 512,
                text_width=dims.text_width,
            )
        )
        if not published:
            made.network.layers.copy_text_attention(unet)
        return made

    @property
    def rates(self) -> dict[str, float]:  # type: ignore[override]  # it changes between the stages
        """The projector's is published as a tenth of the layers'."""
        return {"projector": 1.0 if self.progress < FIRST else 0.1}

    def errors(self, heard: SoundEmbedding, latents: Tensor, generator: torch.Generator) -> Tensor:
        tokens = self._tokens(heard)
        states = TextStates.cat([self.empty] * len(tokens))
        with self.adapter.network.layers.attached(self.unet, tokens):
            return self.denoising.errors(latents, states, generator)

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        if self.progress >= FIRST:
            return super().loss(step, generator, batch_size)
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        return self._align(draw, batch_size)

    def losses(
        self, heard: SoundEmbedding, pairs: list[Pair], latents: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        return {"loss": self.errors(heard, latents, generator).mean()}

    def _align(self, draw: np.random.Generator, most: int) -> dict[str, Tensor]:
        """Stage 1: two pieces of each of at most `most` things."""
        things: dict[str, list[int]] = {}
        for index in self.training:
            pair = self.parts.pairs.pairs[index]
            things.setdefault(pair.label or pair.name, []).append(index)
        names = draw.permutation(sorted(things))[: max(2, most)]
        couples = [draw.choice(things[name], 2, replace=len(things[name]) < 2) for name in names]
        chosen = [int(couple[half]) for half in (0, 1) for couple in couples]
        pieces = [int(draw.choice(self.parts.heard.pieces[index])) for index in chosen]
        tokens = self._tokens(self.parts.heard.batch(pieces, self.device))
        one, other = F.normalize((tokens - tokens.mean(0)).flatten(1), dim=-1).chunk(2)
        logits, same = one @ other.T / TEMPERATURE, torch.arange(len(one), device=one.device)
        told_apart = (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2
        found = {"infonce": told_apart}
        texts = [self.parts.pairs.pairs[index].text for index in chosen]
        worded = [row for row, text in enumerate(texts) if text is not None and text in self.said]
        if worded:
            said = torch.stack([self.said[texts[row] or ""] for row in worded])
            found["alignment"] = (tokens[worded] - said).square().mean()
        return {
            "loss": torch.stack(list(found.values())).sum(),
            **{name: part.detach() for name, part in found.items()},
        }

    def _tokens(self, heard: SoundEmbedding) -> Tensor:
        """float32 [B, M, E]."""
        tokens: Tensor = self.adapter.network.projector(heard.tokens, heard.mask, heard.pooled, heard.logits)
        return tokens.float()
