"""What the adapters that learn from pairs have in common: one ear and one image model of any form, frozen.

Letters: B pairs of a batch, n vectors of a word, D width of words, L text positions, E context width.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from studio.adapters.base import Adapter
from studio.backbones.base import Backbone
from studio.data.pairs import Pair, Pairs
from studio.diffusion.prompt import embed, tokenise
from studio.encoders.base import Encoder, SoundEmbedding
from studio.training.denoising import Denoising
from studio.training.heard import HeardPairs
from studio.training.loop import Task

PROMPT = "a photo of A*"


@dataclass(frozen=True)
class PairParts:
    """What every adapter is trained with. latents: float16 [pairs, C, h, w].  options: wishes of the adapter's own."""

    pairs: Pairs
    heard: HeardPairs
    latents: Tensor
    backbone: Backbone
    ear: Encoder
    vectors: int = 1
    init: Path | None = None


class PairTask(Task):
    """Draws pairs evenly, and of each sound one of its pieces; every tenth pair is kept for the scores."""

    def __init__(self, parts: PairParts, adapter: Adapter) -> None:
        self.parts, self.adapter, self.backbone = parts, adapter, parts.backbone
        self.device = parts.backbone.choice.device
        self.held_out = parts.pairs.held_out()
        self.training = [index for index in range(len(parts.pairs)) if index not in self.held_out]
        self.denoising = Denoising(parts.backbone)
        assert isinstance(adapter, nn.Module)
        adapter.to(self.device).train().requires_grad_(True)

    @abstractmethod
    def errors(self, heard: SoundEmbedding, latents: Tensor, generator: torch.Generator) -> Tensor:
        """The denoising errors [B] of pictures when their sounds are heard."""

    @abstractmethod
    def losses(
        self, heard: SoundEmbedding, pairs: list[Pair], latents: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """As `loss`, of a batch that was drawn."""

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        chosen = draw.choice(self.training, batch_size, replace=batch_size > len(self.training)).tolist()
        pieces = [int(draw.choice(self.parts.heard.pieces[index])) for index in chosen]
        heard = self.parts.heard.batch(pieces, self.device)
        return self.losses(heard, [self.parts.pairs.pairs[index] for index in chosen], self.latents(chosen), generator)

    def latents(self, chosen: list[int]) -> Tensor:
        """float32 [B, C, h, w] of some pairs."""
        return self.parts.latents[chosen].float().to(self.device)

    def scores(self) -> dict[str, float]:
        """The denoising error of held-out pictures with their own sound and with another pair's, on the same noise:
        an adapter that says something makes the first one smaller.
        """
        chosen = list(self.held_out)
        if not chosen:
            return {}
        others = [self.training[index % len(self.training)] for index in chosen] if len(chosen) == 1 else []
        others = others or [*chosen[1:], chosen[0]]
        found = {}
        for name, sounds in (("held_out", chosen), ("with_another_sound", others)):
            total = 0.0
            for start in range(0, len(chosen), 8):
                heard = self.parts.heard.batch(
                    [int(self.parts.heard.pieces[index][0]) for index in sounds[start : start + 8]], self.device
                )
                for draw in range(4):
                    generator = torch.Generator().manual_seed(1000 * draw + start)
                    errors = self.errors(heard, self.latents(chosen[start : start + 8]), generator)
                    total += float(errors.sum()) / 4
            found[name] = total / len(chosen)
        return found

    def export(self, folder: Path) -> None:
        self.adapter.save(folder)  # type: ignore[attr-defined]  # every adapter that can be trained has it


def text_states(backbone: Backbone, texts: list[str], span: int) -> dict[str, Tensor]:
    """For each text the states [span, E] of "a photo of TEXT" from its last token on, where they tell texts apart; all
    of them where as many are asked for as there are.
    """
    found: dict[str, Tensor] = {}
    nothing = torch.zeros(0, backbone.dims.text_width)
    for text in dict.fromkeys(texts):
        prompt = PROMPT.replace("A*", escaped(text))
        ids = tokenise(prompt, backbone, 0).ids
        end = ids.index(backbone.marks.end) - 1 if span < len(ids) else 0
        with torch.no_grad():
            found[text] = from_word_on(embed(backbone, [prompt], nothing).tokens, end, span)[0].float()
    return found


def from_word_on(states: Tensor, last: int, span: int) -> Tensor:
    """[B, span, E] of states [B, L, E]: from position `last` on, the final one again where the text ends before."""
    places = (torch.arange(span, device=states.device) + last).clamp(max=states.shape[1] - 1)
    return states[:, places]


def escaped(text: str) -> str:
    """A text as words of a prompt: its brackets are ordinary characters, and no A* is in it."""
    return text.replace("(", r"\(").replace(")", r"\)").replace("*", "")


def word_of(backbone: Backbone, text: str) -> Tensor:
    """The mean of a text's token embeddings, float32 [D]; of several text encoders one after the other."""
    ids = backbone.token_ids(text)
    weights = [cast(Tensor, layer.weight).detach()[ids].float().mean(0) for layer in backbone.token_embeddings]
    return torch.cat(weights)
