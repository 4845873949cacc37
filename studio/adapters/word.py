"""The word adapter: what an ear heard becomes the vectors of the word A*.

Attentive pooling over time (AudioToken, Yariv et al. 2023) joins the ear's pooled vector; a linear map aligns them
with the text encoder's input embeddings, and a residual network adapts them (AAI: A* = f_a + f_adapter(f_a)).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter, Conditioning
from studio.backbones.base import BackboneDims
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.paths import assets_folder


@dataclass(frozen=True)
class WordConfig:
    """sound_dim: width of the ear's embeddings; text_width: of the word's vectors; vectors: how many make up A*."""

    encoder: str = "pocket"
    sound_dim: int = 256
    text_width: int = 256
    vectors: int = 1
    hidden: int = 512
    scale: float = 1.0


class WordNetwork(nn.Module):
    """tokens [B, T, D], mask [B, T], pooled [B, D] -> word [B, n, W]."""

    def __init__(self, config: WordConfig) -> None:
        super().__init__()
        self.config = config
        width = config.vectors * config.text_width
        self.norm_tokens, self.norm_pooled = nn.LayerNorm(config.sound_dim), nn.LayerNorm(config.sound_dim)
        self.attend = nn.Sequential(nn.Linear(config.sound_dim, 64), nn.Tanh(), nn.Linear(64, 1))
        self.align = nn.Linear(2 * config.sound_dim, width)
        self.adapt = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.hidden),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Linear(config.hidden, width),
        )

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        tokens = self.norm_tokens(tokens)
        weight = self.attend(tokens).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(-1)  # [B, T]
        attended = (weight[..., None] * tokens).sum(1)
        aligned = self.align(torch.cat([attended, self.norm_pooled(pooled)], -1))
        word = aligned + self.adapt(aligned)
        return word.view(len(word), self.config.vectors, self.config.text_width) * self.config.scale


@ADAPTERS.register("word")
class WordAdapter(nn.Module, Adapter):
    """A sound as one word that stands anywhere in a prompt."""

    def __init__(self, config: WordConfig) -> None:
        super().__init__()
        self.config, self.encoder = config, config.encoder
        self.network = WordNetwork(config)

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        from safetensors.torch import load_file

        folder = folder if folder is not None else assets_folder() / "adapters" / "word"
        if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
            raise InputError(
                f"The folder {folder.name} holds no word adapter: it needs config.json and model.safetensors."
            )
        config = WordConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        if config.text_width != backbone_dims.text_width:
            raise InputError(
                f"The adapter {folder.name} makes words {config.text_width} wide, but this model reads words "
                f"{backbone_dims.text_width} wide; choose an adapter trained for it."
            )
        adapter = cls(config)
        adapter.load_state_dict(
            {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
        )
        return adapter.eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=1) + "\n", encoding="utf-8")
        save_file({k: v.half().contiguous() for k, v in self.state_dict().items()}, folder / "model.safetensors")

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        # One at a time: a sound must give the same word alone and in a batch.
        rows = range(len(embedding.pooled))
        words = [
            self.network(embedding.tokens[i : i + 1], embedding.mask[i : i + 1], embedding.pooled[i : i + 1])
            for i in rows
        ]
        # As long as an ordinary word (a text embedding's expected length). The less sure the ear, the shorter the mean
        # that the network learned, and beside words of full length the U-Net hardly reads a short one.
        length = self.config.scale * self.config.text_width**0.5
        return Conditioning(F.normalize(torch.cat(words).float(), dim=-1) * length)
