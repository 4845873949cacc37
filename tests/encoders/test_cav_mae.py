"""CAV-MAE's sound side against its formulas written out on the published names of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from studio.encoders.cav_mae import CavMaeConfig, CavMaeEar, CavMaeNetwork
from tests.encoders import plain
from tests.encoders.plain import Array, gelu, layer_norm, linear, softmax
from tests.models import noise, tone

WIDTH, HEADS = 24, 4


def _block(x: Array, w: dict[str, Array], name: str, norm: str) -> Array:
    qkv = linear(layer_norm(x, w, f"{name}.norm1{norm}"), w, f"{name}.attn.qkv")
    size, out = WIDTH // HEADS, np.zeros_like(x)
    for head in range(HEADS):
        query, key, value = (
            qkv[:, part * WIDTH + head * size : part * WIDTH + (head + 1) * size] for part in range(3)
        )
        out[:, head * size : (head + 1) * size] = softmax(query @ key.T / math.sqrt(size)) @ value
    x = x + linear(out, w, f"{name}.attn.proj")
    hidden = gelu(linear(layer_norm(x, w, f"{name}.norm2{norm}"), w, f"{name}.mlp.fc1"))
    return x + linear(hidden, w, f"{name}.mlp.fc2")


def _cav_mae(samples: Array, w: dict[str, Array]) -> Array:
    fbank = plain.kaldi_fbank(samples - samples.mean(), "hanning")
    fbank = (np.concatenate([fbank, np.zeros((1024 - len(fbank), 128))]) + 5.081) / 4.4849
    kernel = w["patch_embed_a.proj.weight"][:, 0]  # [D, bands, frames]
    patches = [
        (kernel * fbank[t : t + 16, f : f + 16].T).sum((1, 2)) for f in range(0, 128, 16) for t in range(0, 1024, 16)
    ]
    x = np.array(patches) + w["patch_embed_a.proj.bias"] + w["pos_embed_a"][0] + w["modality_a"][0]
    for name, norm in (("blocks_a.0", ""), ("blocks_a.1", ""), ("blocks_u.0", "_a")):
        x = _block(x, w, name, norm)
    return layer_norm(x, w, "norm_a")


def test_it_is_the_written_out_computation(ear_folder: Callable[[str], Path]) -> None:
    folder = ear_folder("cav-mae")
    file = torch.load(folder / "cav-mae-scale++.pth", weights_only=True)
    clip = noise(2.0)
    heard = CavMaeEar.load(folder).encode([clip])
    wanted = _cav_mae(clip.samples[0].astype(np.float64), plain.as_arrays(file, "module."))
    assert np.abs(heard.tokens[0].numpy() - wanted).max() < 1e-3
    mean = wanted.mean(0)
    assert np.abs(heard.pooled[0].numpy() - mean / np.linalg.norm(mean)).max() < 1e-4


def test_the_mask_marks_what_lies_behind_the_sound(ear_folder: Callable[[str], Path]) -> None:
    ear = CavMaeEar.load(ear_folder("cav-mae"))
    mask = ear.encode([tone(2.0)]).mask[0].reshape(8, 64)  # 198 frames: 13 patches
    assert mask.sum(1).tolist() == [13] * 8
    assert mask[:, :13].all()
    long = ear.encode([tone(12.0)])
    assert long.tokens.shape[1] == 2 * 512
    assert abs(float(long.pooled.norm()) - 1) < 1e-5


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = CavMaeNetwork(CavMaeConfig())
    assert network.pos_embed_a.shape == (1, 512, 768)
    assert sum(parameter.numel() for parameter in network.parameters()) == 85_647_360
