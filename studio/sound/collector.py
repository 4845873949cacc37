"""Where decoders put what they decode: grows to a Clip, and refuses a sound the moment it becomes too long."""

from __future__ import annotations

import numpy as np

from studio.errors import InputError
from studio.limits import limits
from studio.sound.clip import MAX_SECONDS, Clip, Samples, check_form, spoken, spoken_time

MAX_VALUES = 400_000_000  # C * N: 1.6 GB of float32, which is 30 min in stereo at 96 kHz


class Collector:
    """Takes blocks [C, n] of one sound.

    name: what messages call the sound.  channels, rate: as in Clip; refused here when a Clip cannot have them.
    expected: N if the file states it, to reserve the memory at once instead of growing into it; 0 = not known.
    """

    def __init__(self, name: str, channels: int, rate: int, expected: int = 0) -> None:
        check_form(name, channels, rate)
        self.name, self.rate, self.count = name, rate, 0
        self.longest = limits().below("seconds", MAX_SECONDS)
        self.limit = int(self.longest * rate)
        expected = min(expected, self.limit)
        self._check_memory(channels, expected)
        self._samples: Samples = np.empty((channels, max(expected, rate)), dtype=np.float32)

    def add(self, block: Samples, rate: int) -> None:
        """Append [C, n]. Raises InputError when the sound gets too long, or is not the sound that it was before."""
        what, channels = spoken(self.name), len(self._samples)
        if (len(block), rate) != (channels, self.rate):
            raise InputError(
                f"{what} changes on the way from {channels} channels at {self.rate} Hz to {len(block)} at {rate} Hz, "
                "but both must stay the same: save it again as one file."
            )
        total = self.count + block.shape[1]
        if total > self.limit:
            raise InputError(
                f"{what} is longer than {spoken_time(self.longest)}, but a sound may be at most that long: "
                "cut out the part you want."
            )
        if total > self._samples.shape[1]:
            self._check_memory(channels, total)
            grown = np.empty((channels, min(max(total, 2 * self.count), self.limit)), dtype=np.float32)
            grown[:, : self.count] = self._samples[:, : self.count]
            self._samples = grown
        self._samples[:, self.count : total] = block
        self.count = total

    def clip(self) -> Clip:
        """What was collected, through the gate."""
        check_form(self.name, len(self._samples), self.rate, self.count)  # first: Clip would look at no samples at all
        return Clip(self._samples[:, : self.count], self.rate, self.name)

    def _check_memory(self, channels: int, frames: int) -> None:
        if channels * frames > MAX_VALUES:
            length = spoken_time(frames / self.rate)
            raise InputError(
                f"{spoken(self.name)} has {channels} channels at {self.rate} Hz for {length} or more, which needs "
                f"{channels * frames * 4e-9:.1f} GB of memory, but at most {MAX_VALUES * 4e-9:.1f} GB is used for a "
                "sound: cut out the part you want, or save it in stereo at 48000 Hz."
            )
