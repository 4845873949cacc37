"""CAV-MAE (Gong et al. 2023), the sound side: learned together with pictures, which AAI starts from.

Mono at 16 kHz, mean removed, Kaldi fbank of 128 mel bands (25 ms Hann window every 10 ms), filled up with zeros or
cut to 1024 frames, (x + 5.081) / 4.4849; patches of 16x16, eleven layers for sound alone, one shared with pictures
(with norms of its own for sound); the sound is the mean over the patches.

Reads the published files of pre-training and fine-tuning, names prefixed `module.`. Tested with random weights of that
format against a computation written out in the test. Nobody has run the published CAV-MAE scale++ in Hearsight yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders._listening import Part, embed_each, frames_of, in_parts, kaldi_fbank, samples_of
from studio.encoders._weights import (
    Published,
    fit,
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

MEAN, DEVIATION = -5.081, 4.4849
PATCH = 16
BANDS = 128 // PATCH
# The pictures' side, the decoder, the classifier of fine-tuned files, and norms that the sound alone never passes.
NOT_READ = re.compile(
    r"(patch_embed_v|modality_v|pos_embed_v|blocks_v|norm_v|norm\.|decoder_|mask_token|mlp_head)"
    r"|blocks_a\.\d+\.norm[12]_[av]\.|blocks_u\.\d+\.norm[12](_v)?\."
)


@dataclass(frozen=True)
class CavMaeConfig:
    """The published sizes: layers for sound alone and shared ones; `frames` is the window, in steps of 10 ms."""

    dim: int = 768
    heads: int = 12
    own_layers: int = 11
    shared_layers: int = 1
    ratio: int = 4
    frames: int = 1024


class SelfAttention(nn.Module):
    """Plain attention of H heads: [B, T, D] -> [B, T, D]."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv, self.proj = nn.Linear(config.dim, 3 * config.dim), nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """[B, T, D] -> [B, T, D]."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.dim, config.ratio * config.dim)
        self.fc2 = nn.Linear(config.ratio * config.dim, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """A transformer layer that normalises first."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.attn, self.mlp = SelfAttention(config), FeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbedding(nn.Module):
    """[B, 1, 128, F] -> [B, 8 * F / 16, D]: band by band from low to high, in time within a band."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, config.dim, PATCH, PATCH)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class CavMaeNetwork(nn.Module):
    """Normalised fbank [B, F, 128] -> patches [B, T, D], T = 8 * F / 16."""

    def __init__(self, config: CavMaeConfig) -> None:
        super().__init__()
        self.patch_embed_a = PatchEmbedding(config)
        self.modality_a = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed_a = nn.Parameter(torch.zeros(1, BANDS * (config.frames // PATCH), config.dim))
        self.blocks_a = nn.ModuleList([Block(config) for _ in range(config.own_layers)])
        self.blocks_u = nn.ModuleList([Block(config) for _ in range(config.shared_layers)])
        self.norm_a = nn.LayerNorm(config.dim)

    def forward(self, fbank: Tensor) -> Tensor:
        x = self.patch_embed_a(fbank[:, None].transpose(2, 3)) + self.pos_embed_a + self.modality_a
        for block in (*self.blocks_a, *self.blocks_u):
            x = block(x)
        return self.norm_a(x)


@ENCODERS.register("cav-mae")
class CavMaeEar(nn.Module, Encoder):
    """Sound in a space shared with pictures; it names nothing.

    tokens: [B, 512, 768], patches band by band from low to high, in time within a band. The mask is False where a
    patch lies behind the end of the sound, though the network sees those patches too, as in training.
    pooled: [B, 768], the mean over all patches, one long (the contrastive loss compared those).
    A sound longer than 10.24 s is heard in equal parts; `pooled` is the mean of their means, made one long.
    """

    published: ClassVar[Published] = Published(
        title="CAV-MAE scale++ (cav-mae-scale++.pth)",
        files=("cav-mae-scale++.pth",),
        source="the link CAV-MAE-Scale++ at github.com/YuanGongND/cav-mae",
    )

    def __init__(self, config: CavMaeConfig, network: CavMaeNetwork) -> None:
        super().__init__()
        self.config, self.network = config, network
        self.sample_rate, self.dim, self.labels = 16_000, config.dim, ()

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a published .pth, or what `save` wrote. A config.json gives sizes other than the published ones."""
        folder = folder if folder is not None else weights_folder("cav-mae", cls.published)
        path, config = weights_file(folder, cls.published), read_config(folder, CavMaeConfig)
        if config.dim % config.heads or config.frames % PATCH or config.own_layers + config.shared_layers > 48:
            raise InputError(f"{folder / 'config.json'} names sizes that do not go together: use the published file.")
        state = tensors(read_checkpoint(path), path)
        if path.suffix != ".safetensors":
            state = {name.removeprefix("module."): value for name, value in state.items()}
            state = {_our_name(name): value for name, value in state.items() if not NOT_READ.match(name)}
        with torch.device("meta"):
            network = CavMaeNetwork(config)
        fit(network, state, f"The file {path.name}")
        return cls(config, network).eval()

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors: the sound side alone."""
        save_network(self.network, self.config, folder)

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        return embed_each(clips, self._listen)

    def _listen(self, clip: Clip) -> Part:
        window = samples_of(self.config.frames)
        parts = [self._part(samples) for samples in in_parts(self.waveform(clip), window)]
        return Part(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.mask for part in parts]),
            F.normalize(torch.stack([part.pooled for part in parts]).mean(0), dim=-1),
        )

    def _part(self, samples: Tensor) -> Part:
        frames, device = self.config.frames, self.network.modality_a.device
        fbank = kaldi_fbank(samples - samples.mean(), window="hanning", htk_compat=True)
        fbank = F.pad(fbank, (0, 0, 0, frames - len(fbank)))
        tokens = self.network(((fbank - MEAN) / DEVIATION)[None].to(device))[0]
        begins = PATCH * torch.arange(frames // PATCH, device=device)
        return Part(tokens, (begins < frames_of(len(samples))).repeat(BANDS), tokens.mean(0))


def _our_name(name: str) -> str:
    """The shared layers' norms for sound are the only ones that are kept."""
    return re.sub(r"^(blocks_u\.\d+\.norm[12])_a\.", r"\1.", name)
