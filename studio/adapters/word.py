"""The word adapter: what an ear heard becomes the vectors of the word A*.

AAI's form, A* = f_a + f_adapter(f_a): an aligned word, and beside it what is particular about this sound. For an ear
that names what it hears the aligned word lies between learned words of the things it may have heard, and so A* is as
clear as the ear is sure; for an ear without names it is a linear map of what attentive pooling over time (AudioToken,
Yariv et al. 2023) and the ear's pooled vector say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters._published import DESCRIBED, WEIGHTS, fill, read_folder, write_folder
from studio.adapters.base import Adapter, Conditioning
from studio.backbones.base import BackboneDims
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.paths import assets_folder


@dataclass(frozen=True)
class WordConfig:
    """sound_dim: width of the ear's embeddings; text_width: of the word's vectors; vectors: how many make up A*.

    concepts: for each thing that a word may stand for, which of the ear's labels it can be heard in; empty = the ear's
        labels are not used.  labels: how many labels that ear has.
    favour: for each of these things the logarithm of how well the image model draws it, beside the best drawn one of
        its label; empty = all alike. What can be shown decides only between things that the same label stands for.
    sharpness: how much more the likeliest thing counts than the next; the exponent of the ear's probabilities.
    own: length of the sound's own part of the word, as a share of the aligned part's.
    scale: standard deviation of the text encoder's input embeddings, so that A* is as long as an ordinary word.
    """

    encoder: str = "pocket"
    sound_dim: int = 256
    text_width: int = 256
    vectors: int = 1
    hidden: int = 512
    scale: float = 1.0
    concepts: tuple[int, ...] = ()
    labels: int = 0
    favour: tuple[float, ...] = ()
    sharpness: float = 4.0
    own: float = 0.5

    def __post_init__(self) -> None:
        if any(not 0 <= label < self.labels for label in self.concepts):
            raise ValueError(f"concepts must name labels 0..{self.labels - 1}")
        if self.favour and len(self.favour) != len(self.concepts):
            raise ValueError(f"favour must have {len(self.concepts)} values, one for each concept")


class WordNetwork(nn.Module):
    """tokens [B, T, D], mask [B, T], pooled [B, D], logits [B, L] or None -> word [B, n, W], n vectors as long as an
    ordinary word's.
    """

    label_of: Tensor
    favour: Tensor

    def __init__(self, config: WordConfig) -> None:
        super().__init__()
        self.config = config
        width = config.vectors * config.text_width
        self.norm_tokens, self.norm_pooled = nn.LayerNorm(config.sound_dim), nn.LayerNorm(config.sound_dim)
        self.attend = nn.Sequential(nn.Linear(config.sound_dim, 64), nn.Tanh(), nn.Linear(64, 1))
        if config.concepts:
            count = len(config.concepts)
            self.register_buffer("label_of", torch.tensor(config.concepts), persistent=False)
            self.register_buffer("favour", torch.tensor(config.favour or (0.0,) * count), persistent=False)
            self.words = nn.Parameter(torch.randn(count, width))
            self.choose = nn.Linear(2 * config.sound_dim, count)
        else:
            self.align = nn.Linear(2 * config.sound_dim, width)
        self.adapt = nn.Sequential(
            nn.Linear(width + 2 * config.sound_dim, config.hidden),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(config.hidden, width),
        )

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, logits: Tensor | None) -> Tensor:
        tokens = self.norm_tokens(tokens)
        weight = self.attend(tokens).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(-1)  # [B, T]
        heard = torch.cat([(weight[..., None] * tokens).sum(1), self.norm_pooled(pooled)], -1)
        aligned = F.normalize(self.between_words(heard, logits) if self.config.concepts else self.align(heard), dim=-1)
        own = self.adapt(torch.cat([aligned * self.config.text_width**0.5, heard], -1))
        # Bounded: what is particular about a sound must not say that it is another thing.
        own = own / (1 + own.square().sum(-1, keepdim=True)).sqrt()
        word = (aligned + self.config.own * own).view(len(pooled), self.config.vectors, self.config.text_width)
        # As long as an ordinary word, a text embedding's expected length; the U-Net hardly reads a shorter one.
        return F.normalize(word, dim=-1) * (self.config.scale * self.config.text_width**0.5)

    def between_words(self, heard: Tensor, logits: Tensor | None) -> Tensor:
        """[B, n * W]: the words of the things that may have been heard, each with its share.

        Labels that no picture shows take no part: what else it may have been decides. Which of its label's things a
        sound is, is learned; what it gains one of them the others lose, so that it never speaks against the ear.
        """
        if logits is None:
            raise ValueError("this adapter needs what the ear names")
        names = logits.float().log_softmax(-1)[:, self.label_of] + self.favour  # [B, concepts]
        sharpness, same = self.config.sharpness, self.label_of[:, None] == self.label_of
        chosen = sharpness * self.choose(heard).tanh()
        chosen = chosen - chosen[:, None].masked_fill(~same, float("-inf")).logsumexp(-1)
        share = (sharpness * names + chosen).softmax(-1)
        return share @ F.normalize(self.words, dim=-1)


@ADAPTERS.register("word")
class WordAdapter(nn.Module, Adapter):
    """A sound as one word that stands anywhere in a prompt."""

    def __init__(self, config: WordConfig) -> None:
        super().__init__()
        self.config, self.encoder = config, config.encoder
        self.network = WordNetwork(config)

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        folder = folder if folder is not None else assets_folder() / "adapters" / "word"
        config, state = read_folder(folder, WordConfig, "word")
        if config.text_width != backbone_dims.text_width:
            raise InputError(
                f"The adapter {folder.name} makes words {config.text_width} wide, but this model reads words "
                f"{backbone_dims.text_width} wide; choose an adapter trained for it."
            )
        adapter = cls(config)
        fill(adapter, state, f"{folder.name}/{WEIGHTS}", DESCRIBED)
        return adapter.eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        write_folder(folder, self.config, self.state_dict(), torch.float16)

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        # One at a time: a sound must give the same word alone and in a batch.
        sounds = [embedding.one(row) for row in range(len(embedding.pooled))]
        words = [self.network(sound.tokens, sound.mask, sound.pooled, sound.logits) for sound in sounds]
        return Conditioning(torch.cat(words))
