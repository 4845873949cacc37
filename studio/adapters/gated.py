"""The gated adapter: a sound enters beside the text, as tokens that layers of its own read.

SonicDiffusion (Biner et al., 2024), in its published form for Stable Diffusion 1.4 and in a small one for pocket. The
sound has no word here: A* is left out of the prompt, "a photo of A*" is read as "a photo of", and the rest of the
prompt is text as ever. `config.json` says which projector makes the tokens.
"""

from __future__ import annotations

import copy
import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters._published import DESCRIBED, WEIGHTS, fill, read_folder, write_folder
from studio.adapters.base import Adapter, Conditioning
from studio.adapters.gated_layers import GatedLayers, Place, check_places
from studio.adapters.projectors import SonicProjector, TokenProjector
from studio.backbones.base import Backbone, BackboneDims
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.paths import assets_folder
from studio.recipe import Recipe


@dataclass(frozen=True)
class GatedConfig:
    """encoder: the ear.  projector: "tokens" (any ear, some tokens) or "sonic" (SonicDiffusion's, 1024 -> 77 x 768).

    sound_dim: D of the ear.  count, width: M and E of the tokens.  hidden: width inside the projector "tokens".
    text_width: D of the text encoder.  places: the blocks with a gated layer, as `gated_places` finds them.
    concepts: for each thing with tokens of its own, which of the ear's labels it can be heard in; empty = the ear's
        names are not used.  labels: how many labels that ear has.
    """

    places: tuple[Place, ...]
    encoder: str = "pocket"
    projector: Literal["tokens", "sonic"] = "tokens"
    sound_dim: int = 256
    count: int = 8
    width: int = 256
    hidden: int = 512
    text_width: int = 256
    concepts: tuple[int, ...] = ()
    labels: int = 0
    adapter: str = "gated"

    def __post_init__(self) -> None:
        if any(not 0 <= label < self.labels for label in self.concepts):
            raise ValueError(f"concepts must name labels 0..{self.labels - 1}")


class GatedNetwork(nn.Module):
    """All that is trained: the projector and the gated layers."""

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        self.projector: nn.Module
        if config.projector == "sonic":
            self.projector = SonicProjector()
        else:
            sizes = (config.sound_dim, config.count, config.width, config.hidden)
            self.projector = TokenProjector(*sizes, config.concepts)
        self.layers = GatedLayers(config.places, config.width)


@ADAPTERS.register("gated")
class GatedAdapter(nn.Module, Adapter):
    """A sound as tokens beside the text, read by gated cross-attention."""

    about: ClassVar[str] = "sound tokens beside the text; the image model it was trained for"
    beside: ClassVar[bool] = True

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        self.config, self.encoder = config, config.encoder
        self.network = GatedNetwork(config)
        self._placed: tuple[tuple[torch.device, torch.dtype], GatedLayers] | None = None
        self._digest: str | None = None

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        folder = folder if folder is not None else assets_folder() / "adapters" / "gated"
        config, state = read_folder(folder, GatedConfig, "gated", {"places": _places})
        if config.text_width != backbone_dims.text_width:
            raise InputError(
                f"The adapter {folder.name} was made for a model whose words are {config.text_width} wide, and this "
                f"one's are {backbone_dims.text_width} wide; choose an adapter trained for it."
            )
        adapter = cls(config)
        fill(adapter, state, f"{folder.name}/{WEIGHTS}", DESCRIBED)
        return adapter.eval().requires_grad_(False)

    def save(self, folder: Path, dtype: torch.dtype = torch.float16) -> None:
        """Write config.json and model.safetensors. dtype: of the weights on the disk."""
        write_folder(folder, self.config, self.state_dict(), dtype)

    def between(self, backbone: Backbone, ear: Encoder | None, recipe: Recipe) -> Adapter:
        unet = backbone.modules().get("unet")
        if unet is None:
            raise InputError(
                f"The adapter {recipe.adapter!r} sits in a U-Net, and this model has no U-Net. Choose a Stable "
                "Diffusion model, or the adapter 'concepts'."
            )
        check_places(self.config.places, unet)
        return super().between(backbone, ear, recipe)

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        # One at a time: a sound must give the same tokens alone and in a batch.
        sounds = [embedding.one(row) for row in range(len(embedding.pooled))]
        tokens = [
            self.network.projector(sound.tokens, sound.mask, sound.pooled, sound.logits).float() for sound in sounds
        ]
        return Conditioning(torch.zeros(len(sounds), 0, self.config.text_width), torch.cat(tokens))

    @torch.no_grad()
    def null_tokens(self) -> Tensor:
        """The projector's answer to an embedding of zeros, as published."""
        return no_sound(self.network.projector, self.config)

    def digest(self) -> str:
        if self._digest is None:
            total = hashlib.sha256()
            for name, value in sorted(self.state_dict().items()):
                total.update(name.encode() + value.detach().cpu().float().contiguous().numpy().tobytes())
            self._digest = total.hexdigest()[:16]
        return self._digest

    def hooks(self, backbone: Backbone, tokens: Tensor, strength: float = 1.0) -> AbstractContextManager[Any]:
        if tokens.shape[1:] != (self.config.count, self.config.width):
            raise InputError(
                f"The sound's tokens have the form {list(tokens.shape[1:])}, and this adapter reads "
                f"[{self.config.count}, {self.config.width}]. Use the adapter they were made with."
            )
        where = (backbone.choice.device, backbone.choice.dtype)
        if self._placed is None or self._placed[0] != where:  # beside the U-Net, in its number format
            self._placed = (where, copy.deepcopy(self.network.layers).to(*where))
        return self._placed[1].attached(backbone.modules()["unet"], tokens, strength)


def _places(found: tuple[dict[str, Any], ...]) -> tuple[Place, ...]:
    """From what config.json says."""
    return tuple(Place(**place) for place in found)


def no_sound(projector: nn.Module, config: GatedConfig) -> Tensor:
    """The tokens of an embedding of zeros, float32 [1, M, E]."""
    zeros = next(projector.parameters()).new_zeros(1, 1, config.sound_dim)
    mask, logits = torch.ones(1, 1, dtype=torch.bool, device=zeros.device), zeros.new_zeros(1, max(config.labels, 1))
    tokens: Tensor = projector(zeros, mask, zeros[:, 0], logits)
    return tokens.float()
