"""Features and networks written out slowly in NumPy, from the papers' formulas: what the ears must agree with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def kaldi_fbank(samples: Array, window: str) -> Array:
    """128 mel bands 20..8000 Hz (mel = 1127 ln(1 + f / 700)) of frames of 400 samples every 160, at 16 kHz."""
    turn = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)
    shape = turn**0.85 if window == "povey" else turn
    low, high = (1127 * math.log(1 + hertz / 700) for hertz in (20, 8000))
    edges = np.linspace(low, high, 130)
    places = 1127 * np.log(1 + np.arange(257) * 16_000 / 512 / 700)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400]
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])  # pre-emphasis
        power = np.abs(np.fft.rfft(frame * shape, 512)) ** 2
        row = []
        for left, middle, right in zip(edges, edges[1:], edges[2:], strict=False):
            weight = np.minimum((places - left) / (middle - left), (right - places) / (right - middle))
            row.append(math.log(max(float((np.maximum(weight, 0) * power)[:256].sum()), 1.1920929e-07)))
        rows.append(row)
    return np.array(rows)


def slaney_mel(bands: int, low: float, high: float, rate: int, n_fft: int) -> Array:
    """Slaney's triangles of equal area [bins, bands]: linear up to 1 kHz, then 27 bands for a factor 6.4."""
    step = math.log(6.4) / 27

    def to_mel(hertz: float) -> float:
        return hertz / (200 / 3) if hertz < 1000 else 15 + math.log(hertz / 1000) / step

    def to_hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp(step * (mel - 15))

    edges = [to_hertz(mel) for mel in np.linspace(to_mel(low), to_mel(high), bands + 2)]
    places = np.arange(n_fft // 2 + 1) * rate / n_fft
    columns = []
    for left, middle, right in zip(edges, edges[1:], edges[2:], strict=False):
        rise, fall = (places - left) / (middle - left), (right - places) / (right - middle)
        columns.append(np.maximum(0, np.minimum(rise, fall)) * 2 / (right - left))
    return np.array(columns).T


def layer_norm(x: Array, weights: dict[str, Array], name: str) -> Array:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Array, weights: dict[str, Array], name: str) -> Array:
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", np.zeros(1))


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def as_arrays(state: dict[str, Any], prefix: str = "") -> dict[str, Array]:
    """Tensors as float64 arrays, without a common prefix."""
    return {name.removeprefix(prefix): value.double().numpy() for name, value in state.items()}
