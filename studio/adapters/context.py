"""The context adapter: a sound in the place of the text, after Seeing Sound (2025).

AST's sequence of patches goes through an MLP of the form of PixArt's caption projection straight into the
transformer's cross-attention, so the text encoder (T5, 4.8 billion numbers) is not even loaded. No weights were
published with the paper: this is their form, for weights that somebody trains.

Letters: B sounds, T patches of the ear of width D, M of one window (1214 of AST), E width of the transformer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters._published import DESCRIBED, WEIGHTS, fill, read_folder, weights_folder, write_folder
from studio.adapters.base import Adapter, Conditioning
from studio.backbones.base import Backbone, BackboneDims
from studio.encoders._weights import Published
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.recipe import Recipe

PUBLISHED = Published(title="Seeing Sound", files=("model.safetensors",), source="")


@dataclass(frozen=True)
class ContextConfig:
    """sound_dim: D of the ear.  count: M.  width: E, PixArt's hidden width."""

    encoder: str = "ast"
    sound_dim: int = 768
    count: int = 1214
    width: int = 1152
    adapter: str = "context"


class ContextProjection(nn.Module):
    """Patches [B, M, D] -> what cross-attention reads, [B, M, E]: two linear layers with a GELU, as PixArt's caption
    projection. null: [E], learned, what stands at all M places where there is no sound.
    """

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(config.sound_dim, config.width)
        self.linear_2 = nn.Linear(config.width, config.width)
        self.null = nn.Parameter(torch.randn(config.width) * config.width**-0.5)

    def forward(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.linear_2(F.gelu(self.linear_1(patches), approximate="tanh"))
        return projected


@ADAPTERS.register("context")
class ContextAdapter(nn.Module, Adapter):
    """A sound instead of a text, for PixArt. text_width: of the words that the image model could read."""

    about: ClassVar[str] = "AST's patches instead of the prompt, for PixArt without its text encoder"
    beside: ClassVar[bool] = True
    instead: ClassVar[bool] = True
    published: ClassVar[Published | None] = PUBLISHED

    def __init__(self, config: ContextConfig, text_width: int = 4096) -> None:
        super().__init__()
        self.config, self.encoder, self.text_width = config, config.encoder, text_width
        self.projection = ContextProjection(config)

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        folder = folder if folder is not None else weights_folder("context", PUBLISHED)
        config, state = read_folder(folder, ContextConfig, "context")
        with torch.device("meta"):
            adapter = cls(config, backbone_dims.text_width)
        fill(adapter, state, f"{folder.name}/{WEIGHTS}", DESCRIBED)
        return adapter.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        write_folder(folder, self.config, self.state_dict(), torch.float16)

    def between(self, backbone: Backbone, ear: Encoder | None, recipe: Recipe) -> Adapter:
        network: Any = backbone.modules().get("transformer")
        width = getattr(network, "inner_dim", None)
        if width != self.config.width:
            form = "has no transformer" if network is None else f"is {width} wide"
            raise InputError(
                f"The adapter {recipe.adapter!r} draws with a PixArt transformer {self.config.width} wide, and this "
                f"model {form}. Choose a PixArt model, or the adapter 'concepts'."
            )
        return super().between(backbone, ear, recipe)

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        """A sound of several windows becomes their mean, patch by patch: what is read stays as long as in training.

        The patches behind the end of a short sound are read too; in training, sounds were filled up with silence.
        """
        count = self.config.count
        if embedding.tokens.shape[1] % count:
            raise InputError(
                f"The ear gives {embedding.tokens.shape[1]} patches, and this adapter reads {count} a window. "
                "Use the ear's weights that it was trained with."
            )
        rows = []
        for tokens, mask in zip(embedding.tokens, embedding.mask, strict=True):
            windows = tokens.unflatten(0, (-1, count))
            filled = mask.unflatten(0, (-1, count)).any(1)  # a shorter sound in a batch has fewer windows
            rows.append(self.projection(windows[filled].float().mean(0, keepdim=True)))
        return Conditioning(torch.zeros(len(rows), 0, self.text_width), torch.cat(rows))

    def null_tokens(self) -> Tensor:
        """The learned vector of no sound, at all M places: [1, M, E]."""
        return self.projection.null.detach().float().expand(1, self.config.count, -1)

    def digest(self) -> str:
        total = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            total.update(name.encode() + value.detach().float().contiguous().numpy().tobytes())
        return total.hexdigest()[:16]
