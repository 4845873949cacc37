"""The last seconds of an endless sound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from studio.sound.ring import Level, Ring


@pytest.mark.parametrize("sizes", [[1] * 25, [7, 3, 15], [10, 10, 5], [25], [4, 40]])
def test_it_holds_the_last_samples_whatever_the_blocks(sizes: list[int]) -> None:
    sound = np.arange(2 * sum(sizes), dtype=np.float32).reshape(2, -1)
    ring = Ring(10 / 1000)
    at = 0
    for size in sizes:
        ring.add(sound[:, at : at + size], 1000)
        at += size
        held = ring._latest(1.0)
        assert np.array_equal(held, sound[:, max(0, at - 10) : at])
    assert len(ring) == 10 and ring.total == sum(sizes)


def test_a_clip_of_the_latest() -> None:
    ring = Ring(2.0)
    assert ring.latest(1.0) is None
    ring.add(np.ones((1, 40), np.float32), 1000)
    assert ring.latest(1.0) is None  # 40 ms: less than a Clip can be
    ring.add(np.zeros((1, 2000), np.float32), 1000)
    clip = ring.latest(0.5, "live")
    assert clip is not None and (clip.seconds, clip.name) == (0.5, "live")
    ring.add(np.zeros((1, 500), np.float32), 1000)
    assert not clip.samples.any()  # a copy: what comes later does not change it


def test_another_device_starts_anew() -> None:
    ring = Ring(1.0)
    ring.add(np.ones((1, 500), np.float32), 1000)
    ring.add(np.zeros((2, 100), np.float32), 1000)
    assert len(ring) == 100
    ring.add(np.zeros((2, 100), np.float32), 2000)
    assert (len(ring), ring.rate) == (100, 2000)


def test_level() -> None:
    ring = Ring(1.0)
    assert ring.level(0.3) == Level(-math.inf, -math.inf, False)
    ring.add(np.zeros((1, 100), np.float32), 1000)
    assert ring.level(0.3) == Level(-math.inf, -math.inf, False)
    ring.add(np.full((1, 300), 0.1, np.float32), 1000)
    level = ring.level(0.3)
    assert level.peak == pytest.approx(-20) and level.rms == pytest.approx(-20) and not level.clipped
    ring.add(np.ones((1, 1), np.float32), 1000)
    assert ring.level(0.3).clipped
