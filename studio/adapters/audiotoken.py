"""AudioToken (Yariv et al., "AudioToken: Adaptation of Text-Conditioned Diffusion Models for Audio-to-Image
Generation", Interspeech 2023), weight for weight: BEATs -> two linear layers -> attentive pooling -> one word.

The published `embedder_learned_embeds.bin` (8,853,507 numbers) makes the word; the optional
`lora_layers_learned_embeds.bin` (797,184) changes the attention of the U-Net a little while it draws. The attentive
pooling is Factor Graph Attention's (Schwartz et al., CVPR 2019) with one factor. The released program leaves its
dropout on, so that one sound gives another word each time; here it is off.

Letters: B sounds, T tokens of BEATs, D = 2304 (three layers side by side), W the text encoder's width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.adapters import ADAPTERS
from studio.adapters._published import (
    CONFIG,
    check,
    read_folder,
    read_state,
    shapes,
    weights_folder,
    write_folder,
)
from studio.adapters.base import Adapter, Conditioning
from studio.backbones.base import Backbone, BackboneDims
from studio.encoders._weights import Published
from studio.encoders.base import SoundEmbedding
from studio.errors import InputError

EMBEDDER_FILE, LORA_FILE = "embedder_learned_embeds.bin", "lora_layers_learned_embeds.bin"
EMBEDDER_TITLE, LORA_TITLE = "AudioToken's embedder", "AudioToken's LoRA"
RANK = 4
# Width and path of every transformer block of Stable Diffusion 1.x, in whose attentions the LoRA acts.
BLOCKS = (
    *((320 << block, f"down_blocks.{block}.attentions.{layer}") for block in (0, 1, 2) for layer in (0, 1)),
    (1280, "mid_block.attentions.0"),
    *((2560 >> block, f"up_blocks.{block}.attentions.{layer}") for block in (1, 2, 3) for layer in (0, 1, 2)),
)
_ENDS = (".down.weight", ".up.weight")


PUBLISHED = Published(
    title=f"AudioToken ({EMBEDDER_FILE})",
    files=(EMBEDDER_FILE,),
    source="huggingface.co/spaces/GuyYariv/AudioToken, models",
    repository="GuyYariv/AudioToken",
    repository_type="space",
    folder="models/",
    more=(LORA_FILE,),
    size=38_700_000,
)


@dataclass(frozen=True)
class AudioTokenConfig:
    """sound_dim: D of the ear.  text_width: W.  lora: whether the U-Net is changed too."""

    encoder: str = "beats"
    sound_dim: int = 2304
    text_width: int = 768
    lora: bool = False
    adapter: str = "audiotoken"


class _Unary(nn.Module):
    """How much each moment counts by itself: [B, W, T] -> [B, T]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.feature_reduce = nn.Conv1d(width, width, 1), nn.Conv1d(width, 1, 1)

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        heard = F.dropout(F.relu(self.embed(x)), dropout)
        return self.feature_reduce(heard).squeeze(1)


class _Pairwise(nn.Module):
    """How much each moment is like the others, the mean of their cosines: [B, W, T] -> [B, T]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed_X, self.embed_Y = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        ours, theirs = F.normalize(self.embed_X(x), dim=1), F.normalize(self.embed_Y(x), dim=1)
        return (ours.transpose(1, 2) @ theirs).mean(dim=2)


class _Pooling(nn.Module):
    """Attentive pooling: [B, T, W] -> [B, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.un_models = nn.ModuleList([_Unary(width)])
        self.pp_models = nn.ModuleDict({"0": _Pairwise(width)})
        self.reduce_potentials = nn.ModuleList([nn.Conv1d(2, 1, 1, bias=False)])

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        over_time = x.transpose(1, 2)
        potentials = torch.stack(
            [self.un_models[0](over_time, dropout), self.pp_models["0"](over_time)], dim=1
        )  # [B, 2, T]
        weight = self.reduce_potentials[0](potentials).softmax(dim=-1)  # [B, 1, T]
        return (weight @ x).squeeze(1)


class Embedder(nn.Module):
    """States of the ear [B, T, D] -> the word [B, W]. Weights are named as in the published file.

    dropout: inside the pooling; 0.5 in training, and none where a sound is to give the same word each time.
    """

    def __init__(self, sound_dim: int, text_width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(sound_dim, sound_dim), nn.Linear(sound_dim, text_width)
        self.fga = _Pooling(text_width)

    def forward(self, states: Tensor, dropout: float = 0.0) -> Tensor:
        pooled: Tensor = self.fga(self.fc2(F.gelu(self.fc1(states))), dropout)
        return pooled


@ADAPTERS.register("audiotoken")
class AudioTokenAdapter(nn.Module, Adapter):
    """A sound as one word, from BEATs, for Stable Diffusion 1.4.

    lora: the published tensors by name; empty = only the word is used.
    """

    about: ClassVar[str] = "A* from BEATs, as published for Stable Diffusion 1.4; image models with words 768 wide"
    published: ClassVar[Published | None] = PUBLISHED

    def __init__(self, config: AudioTokenConfig, embedder: Embedder, lora: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.config, self.encoder, self.embedder = config, config.encoder, embedder
        self.draws = bool(lora)
        self._lora = _pairs(lora)
        self._placed: dict[tuple[torch.device, torch.dtype], dict[str, tuple[Tensor, Tensor]]] = {}

    @classmethod
    def load(cls, folder: Path | None, backbone_dims: BackboneDims) -> Self:
        """Read a folder that `hearsight adapters import` wrote, or one with the published files themselves."""
        folder = folder if folder is not None else weights_folder("audiotoken", PUBLISHED)
        if (folder / CONFIG).is_file():
            config, state = read_folder(folder, AudioTokenConfig, "audiotoken")
            lora = {name.removeprefix("lora."): value for name, value in state.items() if name.startswith("lora.")}
            rest = {name: value for name, value in state.items() if not name.startswith("lora.")}
            adapter = cls._made(config, rest, lora, folder.name, "embedder.")
        else:
            lora_file = folder / LORA_FILE
            adapter = cls.from_published(folder / EMBEDDER_FILE, lora_file if lora_file.is_file() else None)
        if adapter.config.text_width != backbone_dims.text_width:
            raise InputError(
                f"The adapter {folder.name} makes words {adapter.config.text_width} wide, but this model reads words "
                f"{backbone_dims.text_width} wide; choose an adapter trained for it."
            )
        return adapter

    @classmethod
    def from_published(cls, embedder: Path, lora: Path | None = None) -> Self:
        """The adapter from the published files. Raises InputError naming the first weight that does not fit."""
        state = read_state(embedder)
        width = state["fc2.bias"].shape if "fc2.bias" in state else ()
        # There is one for Stable Diffusion 2 too, whose words are 1024 wide.
        config = AudioTokenConfig(text_width=1024 if width == (1024,) else 768, lora=lora is not None)
        changes = {}
        if lora is not None:
            changes = read_state(lora)
            check(changes, lora_shapes(), lora.name, LORA_TITLE)
        return cls._made(config, state, changes, embedder.name, "")

    @classmethod
    def _made(
        cls, config: AudioTokenConfig, state: Mapping[str, Tensor], lora: Mapping[str, Tensor], file: str, prefix: str
    ) -> Self:
        with torch.device("meta"):  # no memory for random numbers that the file replaces anyway
            network = Embedder(config.sound_dim, config.text_width)
        check(state, shapes(network, prefix), file, EMBEDDER_TITLE)
        network.load_state_dict({name.removeprefix(prefix): v.float() for name, v in state.items()}, assign=True)
        return cls(config, network, lora).eval().requires_grad_(False)

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write config.json and model.safetensors. dtype: of the weights on the disk."""
        state = {f"embedder.{name}": value for name, value in self.embedder.state_dict().items()}
        state |= {f"lora.{name}": value for name, value in self.lora_state().items()}
        write_folder(folder, self.config, state, dtype)

    def lora_state(self) -> dict[str, Tensor]:
        """The LoRA's tensors by their published names."""
        return {
            _published_name(layer) + end: part
            for layer, parts in self._lora.items()
            for end, part in zip(_ENDS, parts, strict=True)
        }

    @torch.no_grad()
    def condition(self, embedding: SoundEmbedding) -> Conditioning:
        # One at a time, without what fills a batch up: the pooling looks at all moments of a sound.
        rows = zip(embedding.tokens, embedding.mask, strict=True)
        return Conditioning(torch.stack([self.embedder(tokens[mask][None].float()) for tokens, mask in rows]))

    def digest(self) -> str:
        total = hashlib.sha256()
        for name, value in sorted(self.lora_state().items()):
            total.update(name.encode() + value.float().contiguous().numpy().tobytes())
        return total.hexdigest()[:16]

    @contextmanager
    def along(self, backbone: Backbone) -> Iterator[None]:
        """W x + up(down(x)) in every attention layer, by hooks: the same as W + up @ down, and W stays as it is."""
        unet: Any = backbone.modules().get("unet")
        where = (backbone.choice.device, backbone.choice.dtype)
        if where not in self._placed:
            self._placed = {where: {k: (d.to(*where), u.to(*where)) for k, (d, u) in self._lora.items()}}
        layers = dict(unet.named_modules()) if unet is not None else {}
        handles: list[Any] = []
        try:
            for name, (down, up) in self._placed[where].items():
                layer = layers.get(name)
                if not isinstance(layer, nn.Linear) or layer.weight.shape != (len(up), down.shape[1]):
                    raise InputError(
                        f"The adapter's LoRA was made for an image model of another structure, with a layer {name!r}. "
                        "Use Stable Diffusion 1.4 or 1.5, or import the embedder without its LoRA."
                    )
                handles.append(layer.register_forward_hook(_adding(down, up)))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _adding(down: Tensor, up: Tensor) -> Any:
    def add(_layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (inputs[0] @ down.T) @ up.T

    return add


def lora_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published LoRA for Stable Diffusion 1.4: 797,184 numbers."""
    found: dict[str, tuple[int, ...]] = {}
    for width, path in BLOCKS:
        for attention, reads in (("attn1", width), ("attn2", 768)):
            for part in ("to_q", "to_k", "to_v", "to_out"):
                source = reads if part in ("to_k", "to_v") else width
                name = f"{path}.transformer_blocks.0.{attention}.processor.{part}_lora"
                found[name + _ENDS[0]], found[name + _ENDS[1]] = (RANK, source), (width, RANK)
    return found


def _pairs(lora: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Published names -> (down, up) by the layer that they change. Raises InputError for half a pair."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name in lora:
        if not name.endswith(_ENDS):
            raise InputError(f"The adapter's LoRA has a part {name!r} that does not belong: import it again.")
        base = name.removesuffix(_ENDS[0]).removesuffix(_ENDS[1])
        try:
            found[_layer_name(base)] = (lora[base + _ENDS[0]], lora[base + _ENDS[1]])
        except KeyError:
            raise InputError(f"The adapter's LoRA has only one half of {base!r}: import it again.") from None
    return found


def _layer_name(published: str) -> str:
    """The layer that a published name stands for: attn1.processor.to_out_lora is attn1.to_out.0."""
    name = published.replace(".processor.", ".").removesuffix("_lora")
    return f"{name}.0" if name.endswith(".to_out") else name


def _published_name(layer: str) -> str:
    path, _, part = layer.removesuffix(".0").rpartition(".")
    return f"{path}.processor.{part}_lora"
