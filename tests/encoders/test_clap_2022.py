"""Microsoft CLAP 2022 against its formulas written out on the published names of the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from studio.encoders.clap_2022 import Clap2022Config, Clap2022Ear, Clap2022Network
from studio.sound.clip import Clip
from tests.encoders import plain
from tests.encoders.plain import Array, gelu, layer_norm, linear
from tests.models import noise

BASE = "audio_encoder.base"


def _batch_norm(x: Array, w: dict[str, Array], name: str, axis: int) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    weight, bias, mean, variance = (
        w[f"{name}.{part}"].reshape(shape) for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def _convolved(x: Array, kernel: Array) -> Array:
    return F.conv2d(torch.tensor(x)[None], torch.tensor(kernel), padding=1)[0].numpy()


def _clap(samples: Array, w: dict[str, Array]) -> Array:
    whole = np.tile(samples, -(-441_000 // len(samples)))[:441_000]
    padded = np.pad(whole, 512, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    frames = [padded[start : start + 1024] * window for start in range(0, len(padded) - 1023, 320)]
    power = np.abs(np.fft.rfft(np.array(frames))) ** 2
    mel = 10 * np.log10(np.maximum(power @ plain.slaney_mel(64, 50, 14_000, 44_100, 1024), 1e-10))
    x = _batch_norm(mel, w, f"{BASE}.bn0", axis=1)[None]
    for block in range(1, 7):
        for part in (1, 2):
            x = _convolved(x, w[f"{BASE}.conv_block{block}.conv{part}.weight"])
            x = np.maximum(_batch_norm(x, w, f"{BASE}.conv_block{block}.bn{part}", axis=0), 0)
        if block < 6:
            high, wide = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * high, : 2 * wide].reshape(len(x), high, 2, wide, 2).mean((2, 4))
    x = x.mean(2)
    x = np.maximum(linear(x.max(1) + x.mean(1), w, f"{BASE}.fc1"), 0)
    first = linear(x, w, "audio_encoder.projection.linear1")
    second = linear(gelu(first), w, "audio_encoder.projection.linear2")
    x = layer_norm(first + second, w, "audio_encoder.projection.layer_norm")
    return x / np.linalg.norm(x)


def test_it_is_the_written_out_computation(ear_folder: Callable[[str], Path]) -> None:
    folder = ear_folder("clap-2022")
    file = torch.load(folder / "CLAP_weights_2022.pth", weights_only=True)["model"]
    ear = Clap2022Ear.load(folder)
    found = []
    for clip in (noise(1.7, rate=44_100), Clip(0.01 * noise(10.0, rate=44_100, seed=4).samples, 44_100)):
        heard = ear.encode([clip])
        wanted = _clap(clip.samples[0].astype(np.float64), plain.as_arrays(file))
        assert heard.tokens.shape == (1, 1, 12)
        assert np.abs(heard.pooled[0].numpy() - wanted).max() < 1e-4
        found.append(heard.pooled[0])
    assert float((found[0] - found[1]).norm()) > 0.01  # the agreement above is not that of two constants


def test_a_long_sound_is_the_mean_of_its_parts(ear_folder: Callable[[str], Path]) -> None:
    ear = Clap2022Ear.load(ear_folder("clap-2022"))
    samples = noise(12.0, rate=44_100).samples
    halves = [ear.encode([Clip(half, 44_100)]).pooled[0] for half in np.split(samples, 2, axis=1)]
    whole = ear.encode([Clip(samples, 44_100)]).pooled[0]
    assert torch.allclose(whole, F.normalize(halves[0] + halves[1], dim=0), atol=1e-5)


def test_published_sizes() -> None:
    """Cnn14 as its authors count it is 80,753,615 with the classifier of 527 classes, which is not read."""
    with torch.device("meta"):
        network = Clap2022Network(Clap2022Config())
    base = sum(parameter.numel() for parameter in network.base.parameters())
    assert base + 527 * 2048 + 527 == 80_753_615
    assert network.state_dict()["projection.linear1.weight"].shape == (1024, 2048)
