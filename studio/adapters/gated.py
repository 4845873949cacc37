"""The gated adapter: a sound enters beside the text, as tokens that layers of its own read.

SonicDiffusion (Biner et al., 2024), in its published form for Stable Diffusion 1.4 and in a small one for pocket. The
sound has no word here: A* is left out of the prompt, "a photo of A*" is read as "a photo of", and the rest of the
prompt is text as ever. `config.json` says which projector makes the tokens.
"""

from __future__ import annotations

import copy
import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter, Conditioning
from studio.adapters.gated_layers import GatedLayers, Place
from studio.adapters.projectors import SonicProjector, TokenProjector
from studio.backbones.base import Backbone, BackboneDims
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.paths import assets_folder


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
        from safetensors.torch import load_file

        folder = folder if folder is not None else assets_folder() / "adapters" / "gated"
        if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
            raise InputError(
                f"The folder {folder.name} holds no gated adapter: it needs config.json and model.safetensors."
            )
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        places = tuple(Place(**place) for place in values.pop("places"))
        config = GatedConfig(places=places, concepts=tuple(values.pop("concepts", ())), **values)
        if config.text_width != backbone_dims.text_width:
            raise InputError(
                f"The adapter {folder.name} was made for a model whose words are {config.text_width} wide, and this "
                f"one's are {backbone_dims.text_width} wide; choose an adapter trained for it."
            )
        adapter = cls(config)
        adapter.load_state_dict(
            {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
        )
        return adapter.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors (float16)."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=1) + "\n", encoding="utf-8")
        save_file({k: v.half().contiguous() for k, v in self.state_dict().items()}, folder / "model.safetensors")

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        # One at a time: a sound must give the same tokens alone and in a batch.
        rows = range(len(embedding.pooled))
        tokens = [self.network.projector(*one_sound(embedding, row)).float() for row in rows]
        return Conditioning(torch.zeros(len(rows), 0, self.config.text_width), torch.cat(tokens))

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


def one_sound(embedding: SoundEmbedding, row: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Tokens, mask, pooled vector and logits of one of the sounds, B = 1."""
    part = slice(row, row + 1)
    logits = None if embedding.logits is None else embedding.logits[part]
    return embedding.tokens[part], embedding.mask[part], embedding.pooled[part], logits


def no_sound(projector: nn.Module, config: GatedConfig) -> Tensor:
    """The tokens of an embedding of zeros, float32 [1, M, E]."""
    zeros = next(projector.parameters()).new_zeros(1, 1, config.sound_dim)
    mask, logits = torch.ones(1, 1, dtype=torch.bool, device=zeros.device), zeros.new_zeros(1, max(config.labels, 1))
    tokens: Tensor = projector(zeros, mask, zeros[:, 0], logits)
    return tokens.float()
