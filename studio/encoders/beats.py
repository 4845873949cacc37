"""BEATs (Chen et al. 2022), the ear of AudioToken: a transformer over patches of sound of any length.

Mono at 16 kHz, times 2^15, Kaldi fbank of 128 mel bands (25 ms Povey window every 10 ms), (x - 15.41663) / (2 *
6.55582); patches of 16x16 in the order of time, then band; twelve layers with deep norm (Wang et al. 2022), a
convolution for positions, and a bias for relative positions that the query gates (Chi et al. 2021). AudioToken reads
the states after layers 4, 8 and 12, side by side.

Reads `BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt` itself. Tested with random weights of that format against a
computation written out in the test. Nobody has run the published file in Hearsight yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders._listening import Part, embed_each, in_parts, kaldi_fbank, repeated
from studio.encoders._weights import (
    Published,
    fit,
    make_config,
    read_checkpoint,
    read_config,
    save_network,
    tensors,
    weights_file,
    weights_folder,
)
from studio.encoders.base import Encoder, SoundEmbedding
from studio.errors import InputError
from studio.sound.clip import Clip

MEAN, DEVIATION = 15.41663, 6.55582
BANDS = 128
LONGEST = 30 * 16_000  # samples; the work grows with the square of the length, so longer sounds are heard in parts


@dataclass(frozen=True)
class BeatsConfig:
    """Sizes, by the names of the published `cfg`; the values are those of the published file."""

    input_patch_size: int = 16
    embed_dim: int = 512
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    activation_fn: str = "gelu"
    layer_norm_first: bool = False
    deep_norm: bool = True
    conv_pos: int = 128
    conv_pos_groups: int = 16
    relative_position_embedding: bool = True
    num_buckets: int = 320
    max_distance: int = 800
    gru_rel_pos: bool = True


def position_buckets(length: int, buckets: int, furthest: int) -> Tensor:
    """Which learned bias stands for the way from query i to key j: int64 [length, length], 0..buckets - 1.

    Half of the buckets look ahead. In each half the first half is exact, and the rest grows with the logarithm up to
    `furthest` (Raffel et al. 2020, T5).
    """
    places = torch.arange(length)
    way = places[None, :] - places[:, None]
    half = buckets // 2
    exact = half // 2
    distance = way.abs()
    growth = torch.log(distance.clamp(min=1).float() / exact) / math.log(furthest / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(distance < exact, distance, far) + half * (way > 0)


class Attention(nn.Module):
    """Attention of H heads over L tokens whose bias by relative position is gated by the query."""

    def __init__(self, config: BeatsConfig, first: bool) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.gated = config.gru_rel_pos
        if self.gated:
            self.grep_linear = nn.Linear(width // self.heads, 8)
            self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        if first:  # all layers share the first one's
            self.relative_attention_bias = nn.Embedding(config.num_buckets, self.heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x: [B, L, D].  bias: [H, L, L] -> [B, L, D]."""
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, L, D / H]
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.gated:
            update, reset = torch.sigmoid(self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1)).chunk(2, dim=-1)
            bias = (update * (reset * self.grep_a - 1) + 2) * bias  # [B, H, L, 1] * [H, L, L]
        else:
            bias = bias.expand(len(x), -1, -1, -1)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """x -> norm(alpha x + attention), then the same around a feed-forward network; alpha = (2 layers)^(1/4)."""

    def __init__(self, config: BeatsConfig, first: bool) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.self_attn = Attention(config, first)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.alpha = (2 * config.encoder_layers) ** 0.25 if config.deep_norm else 1.0

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self.alpha * x + self.self_attn(x, bias))
        return self.final_layer_norm(self.alpha * x + self.fc2(F.gelu(self.fc1(x))))


class Encoding(nn.Module):
    """Patches [B, L, D] -> the states after each layer."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.config = config
        self.pos_conv = nn.Sequential(
            nn.Conv1d(width, width, config.conv_pos, padding=config.conv_pos // 2, groups=config.conv_pos_groups)
        )
        self.layer_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList([Layer(config, index == 0) for index in range(config.encoder_layers)])

    def forward(self, x: Tensor) -> list[Tensor]:
        config, length = self.config, x.shape[1]
        places = self.pos_conv(x.transpose(1, 2))[..., :length]  # an even kernel gives one too many
        x = self.layer_norm(x + F.gelu(places).transpose(1, 2))
        buckets = position_buckets(length, config.num_buckets, config.max_distance).to(x.device)
        shared: Any = self.layers[0]
        bias = shared.self_attn.relative_attention_bias(buckets).permute(2, 0, 1)  # [H, L, L]
        states = []
        for layer in self.layers:
            x = layer(x, bias)
            states.append(x)
        return states


class BeatsNetwork(nn.Module):
    """Normalised fbank [B, F, 128] -> [B, T, 3 D], T = 8 * (F // 16): after a third, two thirds and all layers."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        patch = config.input_patch_size
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, patch, patch, bias=config.conv_bias)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        same = config.embed_dim == config.encoder_embed_dim
        self.post_extract_proj = nn.Identity() if same else nn.Linear(config.embed_dim, config.encoder_embed_dim)
        self.encoder = Encoding(config)

    def forward(self, fbank: Tensor) -> Tensor:
        patches = self.patch_embedding(fbank[:, None]).flatten(2).transpose(1, 2)
        states = self.encoder(self.post_extract_proj(self.layer_norm(patches)))
        third = len(states) // 3
        return torch.cat([states[third - 1], states[2 * third - 1], states[-1]], dim=-1)


@ENCODERS.register("beats")
class BeatsEar(nn.Module, Encoder):
    """What AudioToken reads; it names nothing, because the file knows its classes by numbers of a database only.

    tokens: [B, T, 2304], eight for each 0.16 s (one for 16 bands).  pooled: their mean.
    Sounds shorter than one patch (0.175 s) are repeated up to it. Up to 30 s are heard as one, longer ones in equal
    parts whose tokens follow one another.
    """

    published: ClassVar[Published] = Published(
        title="BEATs (BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt)",
        files=("BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt",),
        source="huggingface.co/spaces/GuyYariv/AudioToken, models, or github.com/microsoft/unilm, beats",
        repository="GuyYariv/AudioToken",
        repository_type="space",
        folder="models/",
        size=363_000_000,
    )

    def __init__(self, config: BeatsConfig, network: BeatsNetwork) -> None:
        super().__init__()
        self.config, self.network = config, network
        self.sample_rate, self.dim, self.labels = 16_000, 3 * config.encoder_embed_dim, ()

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read the published file, whose `cfg` gives the sizes, or what `save` wrote."""
        folder = folder if folder is not None else weights_folder("beats", cls.published)
        path = weights_file(folder, cls.published)
        contents = read_checkpoint(path)
        source = f"The file {path.name}"
        if path.suffix == ".safetensors":
            config, state = read_config(folder, BeatsConfig), tensors(contents, path)
        elif isinstance(cfg := contents.get("cfg"), Mapping) and "model" in contents:
            known = {field.name for field in fields(BeatsConfig)}  # `cfg` also holds settings of the training
            config = make_config(BeatsConfig, {name: cfg[name] for name in cfg if name in known}, source)
            state = _as_ours(tensors(contents["model"], path), source)
        else:
            raise InputError(f"{source} is not {cls.published.title}: it needs 'cfg' and 'model'. Get it again.")
        _refuse_other_forms(config, source)
        with torch.device("meta"):
            network = BeatsNetwork(config)
        fit(network, state, source)
        return cls(config, network).eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors, which hold the same as the published file."""
        save_network(self.network, self.config, folder)

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        return embed_each(clips, self._listen)

    def _listen(self, clip: Clip) -> Part:
        device = self.network.layer_norm.weight.device
        shortest = 400 + 160 * (self.config.input_patch_size - 1)
        heard = []
        for part in in_parts(self.waveform(clip), LONGEST):
            fbank = kaldi_fbank(repeated(part, shortest) * 2**15, window="povey")
            heard.append(self.network(((fbank - MEAN) / (2 * DEVIATION))[None].to(device))[0])
        tokens = torch.cat(heard)
        return Part(tokens, torch.ones(len(tokens), dtype=torch.bool, device=device), tokens.mean(0))


def _as_ours(state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The published names: without the classifier and the copies of the shared bias, the weight norm multiplied
    out.
    """
    g, v = (state.pop(f"encoder.pos_conv.0.weight_{letter}", None) for letter in "gv")
    if g is None or v is None or v.ndim != 3 or g.shape != (1, 1, v.shape[-1]):
        raise InputError(f"{source} does not fit: 'encoder.pos_conv.0.weight_g' or its 'weight_v' is missing or odd.")
    # Salimans and Kingma 2016, w = g v / |v|, one g for each place of the kernel
    state["encoder.pos_conv.0.weight"] = g.float() * v.float() / v.float().norm(dim=(0, 1), keepdim=True)
    bias = "self_attn.relative_attention_bias.weight"
    return {
        name: value
        for name, value in state.items()
        if not name.startswith("predictor.") and (not name.endswith(bias) or name == f"encoder.layers.0.{bias}")
    }


def _refuse_other_forms(config: BeatsConfig, source: str) -> None:
    """BEATs' code knows forms that no published BEATs has; raise InputError for those."""
    wanted: dict[str, Any] = {"activation_fn": "gelu", "layer_norm_first": False, "relative_position_embedding": True}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise InputError(f"{source} says {name} = {getattr(config, name)!r}; only {value!r} is known here.")
    width = config.encoder_embed_dim
    if width % config.encoder_attention_heads or width % config.conv_pos_groups or config.encoder_layers % 3:
        raise InputError(f"{source} names sizes that do not divide one another: get the published file again.")
    if config.input_patch_size > BANDS or config.num_buckets < 4 or config.max_distance <= config.num_buckets // 4:
        raise InputError(f"{source} names sizes that no BEATs can have: get the published file again.")
    if config.encoder_layers > 48:
        raise InputError(f"{source} has {config.encoder_layers} layers; at most 48 are read.")
