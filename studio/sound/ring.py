"""The last seconds of a sound that never ends: blocks go in, the latest stretch comes out. Its owner locks it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from studio.sound.clip import MIN_SECONDS, Clip, Samples


@dataclass(frozen=True)
class Level:
    """How loud a stretch is, in dB relative to full scale; -inf for pure zeros and where there is nothing.

    peak: its largest sample.  rms: root of its mean square, so a full-scale sine has -3.  clipped: a sample stood at
    full scale, so the input is too loud.
    """

    peak: float = -math.inf
    rms: float = -math.inf
    clipped: bool = False


class Ring:
    """Holds the last `seconds` of blocks [C, n]."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rate = 0
        self.total = 0  # samples that ever came in, of one channel
        self._samples: Samples = np.zeros((0, 0), np.float32)
        self._end = 0  # where the next sample goes

    def __len__(self) -> int:
        """Samples of one channel that are held."""
        return min(self.total, self._samples.shape[1])

    def clear(self) -> None:
        """Forget everything."""
        self.rate = self.total = self._end = 0
        self._samples = np.zeros((0, 0), np.float32)

    def add(self, block: Samples, rate: int) -> None:
        """float32 [C, n]. A block of another rate or number of channels, another device, starts anew."""
        if (rate, len(block)) != (self.rate, len(self._samples)):
            self.clear()
            self.rate = rate
            self._samples = np.zeros((len(block), max(1, round(self.seconds * rate))), np.float32)
        room = self._samples.shape[1]
        self.total += block.shape[1]
        block = block[:, -room:]
        first = min(block.shape[1], room - self._end)
        self._samples[:, self._end : self._end + first] = block[:, :first]
        self._samples[:, : block.shape[1] - first] = block[:, first:]
        self._end = (self._end + block.shape[1]) % room

    def latest(self, seconds: float, name: str = "") -> Clip | None:
        """The last `seconds`, or what there is; None when that is less than a Clip can be (0.05 s)."""
        samples = self._latest(seconds)
        enough = self.rate and samples.shape[1] >= math.ceil(MIN_SECONDS * self.rate)
        return Clip(samples, self.rate, name) if enough else None

    def level(self, seconds: float) -> Level:
        """How loud the last `seconds` were."""
        samples = self._latest(seconds)
        if not samples.size:
            return Level()
        peak = float(np.abs(samples).max())
        power = float(np.square(samples, dtype=np.float64).mean())
        return Level(
            peak=20 * math.log10(peak) if peak > 0 else -math.inf,
            rms=10 * math.log10(power) if power > 0 else -math.inf,
            clipped=peak >= 0.999,  # 16 bits end at 0.99997
        )

    def _latest(self, seconds: float) -> Samples:
        """A copy [C, n]."""
        count = min(len(self), round(seconds * self.rate))
        first = self._end - count
        if first >= 0:
            return self._samples[:, first : self._end].copy()
        return np.concatenate([self._samples[:, first:], self._samples[:, : self._end]], axis=1)
