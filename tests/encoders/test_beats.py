"""BEATs against its formulas written out on the published names of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from studio.encoders.beats import BeatsConfig, BeatsEar, BeatsNetwork, position_buckets
from tests.encoders import plain
from tests.encoders.plain import Array, gelu, layer_norm, linear, softmax
from tests.models import noise, tone

WIDTH, HEADS, LAYERS = 24, 4, 3
ALPHA = (2 * LAYERS) ** 0.25


def _bucket(way: int, buckets: int, furthest: int) -> int:
    half = buckets // 2
    exact, distance = half // 2, abs(way)
    place = distance
    if distance >= exact:
        place = exact + int(math.log(distance / exact) / math.log(furthest / exact) * (half - exact))
    return min(place, half - 1) + (half if way > 0 else 0)


def _attention(x: Array, w: dict[str, Array], name: str, bias: Array) -> Array:
    """One query at a time. The gate's two numbers are sums of four outputs each (Chi et al. 2021)."""
    query, key, value = (linear(x, w, f"{name}.{letter}_proj") for letter in "qkv")
    size, out = WIDTH // HEADS, np.zeros_like(x)
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        for i in range(len(x)):
            gates = linear(query[i, part], w, f"{name}.grep_linear").reshape(2, 4).sum(-1)
            first, second = 1 / (1 + np.exp(-gates))
            gate = first * (second * w[f"{name}.grep_a"][0, head, 0, 0] - 1) + 2
            scores = key[:, part] @ query[i, part] / math.sqrt(size) + gate * bias[head, i]
            out[i, part] = softmax(scores) @ value[:, part]
    return linear(out, w, f"{name}.out_proj")


def _beats(samples: Array, w: dict[str, Array], cfg: dict[str, int]) -> Array:
    fbank = (plain.kaldi_fbank(samples * 2**15, "povey") - 15.41663) / (2 * 6.55582)
    kernel = w["patch_embedding.weight"][:, 0]
    patches = [
        [(kernel * fbank[t : t + 16, f : f + 16]).sum((1, 2)) for f in range(0, 128, 16)]
        for t in range(0, len(fbank) - 15, 16)
    ]
    x = linear(layer_norm(np.array(patches).reshape(-1, len(kernel)), w, "layer_norm"), w, "post_extract_proj")
    v, g = w["encoder.pos_conv.0.weight_v"], w["encoder.pos_conv.0.weight_g"]
    places = np.zeros_like(x)
    inside, before = WIDTH // cfg["conv_pos_groups"], cfg["conv_pos"] // 2
    for t in range(len(x)):
        for k in range(cfg["conv_pos"]):
            if 0 <= (at := t + k - before) < len(x):
                weight = g[0, 0, k] * v[:, :, k] / np.sqrt((v[:, :, k] ** 2).sum())
                for out in range(WIDTH):
                    group = out // inside * inside
                    places[t, out] += weight[out] @ x[at, group : group + inside]
    x = layer_norm(x + gelu(places + w["encoder.pos_conv.0.bias"]), w, "encoder.layer_norm")
    table = w["encoder.layers.2.self_attn.relative_attention_bias.weight"]
    bias = np.array(
        [
            [[table[_bucket(j - i, cfg["num_buckets"], cfg["max_distance"]), h] for j in range(len(x))]
             for i in range(len(x))]
            for h in range(HEADS)
        ]
    )  # fmt: skip
    states = []
    for layer in (f"encoder.layers.{index}" for index in range(LAYERS)):
        x = layer_norm(ALPHA * x + _attention(x, w, f"{layer}.self_attn", bias), w, f"{layer}.self_attn_layer_norm")
        hidden = linear(gelu(linear(x, w, f"{layer}.fc1")), w, f"{layer}.fc2")
        x = layer_norm(ALPHA * x + hidden, w, f"{layer}.final_layer_norm")
        states.append(x)
    return np.concatenate(states, -1)


def test_it_is_the_written_out_computation(ear_folder: Callable[[str], Path]) -> None:
    folder = ear_folder("beats")
    file = torch.load(folder / "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt", weights_only=True)
    clip = noise(0.9)
    heard = BeatsEar.load(folder).encode([clip])
    wanted = _beats(clip.samples[0].astype(np.float64), plain.as_arrays(file["model"]), file["cfg"])
    assert heard.tokens.shape == (1, 40, 72)  # 88 frames: 5 patches in time, 8 in bands
    assert np.abs(heard.tokens[0].numpy() - wanted).max() < 1e-3
    assert np.abs(heard.pooled[0].numpy() - wanted.mean(0)).max() < 1e-4


def test_the_bias_tells_ways_apart() -> None:
    found = position_buckets(60, 320, 800)
    assert found.tolist() == [[_bucket(j - i, 320, 800) for j in range(60)] for i in range(60)]
    assert int(position_buckets(900, 320, 800).max()) == 319


def test_published_sizes() -> None:
    """The layers of the published file: 90 million weights, the classifier of 405,519 not counted."""
    with torch.device("meta"):
        network = BeatsNetwork(BeatsConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 90_311_664
    assert network.state_dict()["encoder.pos_conv.0.weight"].shape == (768, 48, 128)


def test_short_and_long(ear_folder: Callable[[str], Path]) -> None:
    ear = BeatsEar.load(ear_folder("beats"))
    assert ear.encode([tone(0.05)]).tokens.shape[1] == 8
    assert ear.encode([tone(0.175)]).tokens.shape[1] == 8
    long = ear.encode([tone(31.0)])
    assert torch.allclose(long.pooled[0], long.tokens[0].mean(0))
    assert long.tokens.shape[1] == 2 * 8 * 96  # two parts of 15.5 s: 1548 frames each
