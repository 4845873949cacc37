"""Clip: the only form in which a sound travels. Samples never go without their rate.

Letters: C channels, N samples of one channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.errors import InputError

Samples = NDArray[np.float32]

MAX_CHANNELS = 8
MIN_SECONDS = 0.05
MAX_SECONDS = 1800.0
MIN_RATE = 1000
MAX_RATE = 384_000


@dataclass(frozen=True, eq=False)  # eq: two arrays have no single truth; compare `samples` and `rate` where needed
class Clip:
    """A sound that is known to be good: this constructor is the one gate.

    samples: float32 [C, N], 1 to 8 channels, 0.05 s to 30 min, every value finite; full scale is -1..1, but values
        beyond it are allowed (a gain may put them there; writing a file deals with them).
        Kept as a read-only view: no copy of a float32 array is made, and nobody can change it through the Clip.
    rate: samples per second of one channel, 1000..384000 Hz.
    name: what messages call the sound, usually its file name; empty = "This sound".

    Raises InputError: one sentence that names the sound, the rule, the value and the remedy.
    """

    samples: Samples
    rate: int
    name: str = ""

    def __post_init__(self) -> None:
        given: Any = self.samples
        samples = np.asarray(given)
        what = spoken(self.name)
        if samples.ndim != 2 or not np.issubdtype(samples.dtype, np.floating):
            form = f"{samples.dtype} {list(samples.shape)}"
            raise InputError(
                f"{what} is an array {form}, but must be floats [channels, samples]: "
                "add the axis of the channels, and divide whole numbers by their full scale."
            )
        check_form(self.name, samples.shape[0], self.rate, samples.shape[1])
        with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite and is refused below
            samples = samples.astype(np.float32, copy=False).view()
        # NaN and infinity survive both sums of the range, and no array of N flags is needed to find that out.
        if not (np.isfinite(samples.min()) and np.isfinite(samples.max())):
            first = int(np.argmin(np.isfinite(samples).all(axis=0)))
            raise InputError(
                f"{what} holds a value that is not a finite number (NaN or infinity, first at "
                f"{first / self.rate:.3f} s), but every sample must be one: export the sound again."
            )
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))

    def __repr__(self) -> str:
        return f"Clip({self.name!r}, {self.channels} x {self.seconds:.3f} s at {self.rate} Hz)"

    @property
    def channels(self) -> int:
        """C, 1..8."""
        return int(self.samples.shape[0])

    @property
    def seconds(self) -> float:
        """Length in s, 0.05..1800."""
        return int(self.samples.shape[1]) / self.rate

    def mono(self) -> Clip:
        """The mean of the channels: samples [1, N]. A Clip of one channel is returned as it is."""
        if self.channels == 1:
            return self
        return replace(self, samples=self.samples.mean(axis=0, keepdims=True, dtype=np.float32))


def check_form(name: str, channels: int, rate: float, frames: int | None = None, longest: float | None = None) -> None:
    """The part of the gate that needs no samples, so that a decoder can refuse a file by its header.

    frames: N, or None when it is not known yet.  longest: in s, None = 30 min. Raises InputError like Clip.
    """
    what = spoken(name)
    if not 1 <= channels <= MAX_CHANNELS:
        raise InputError(
            f"{what} has {channels} channels, but a sound must have 1 to {MAX_CHANNELS}: save it as mono or stereo."
        )
    if not MIN_RATE <= rate <= MAX_RATE or rate != int(rate):
        raise InputError(
            f"{what} has a sample rate of {rate:g} Hz, but it must be a whole number from {MIN_RATE} to {MAX_RATE}: "
            "save it again at 44100 Hz."
        )
    if frames is None:
        return
    seconds = frames / rate
    if seconds < MIN_SECONDS:
        held = "1 sample" if frames == 1 else f"{frames} samples"
        raise InputError(
            f"{what} holds {held} ({seconds:.4f} s), but a sound must be at least {MIN_SECONDS} s long: "
            "record or choose a longer one."
        )
    longest = MAX_SECONDS if longest is None else longest
    if seconds > longest:
        raise InputError(
            f"{what} is {spoken_time(seconds)} long, but a sound may be at most {spoken_time(longest)}: "
            "cut out the part you want."
        )


def spoken(name: str) -> str:
    """How a message names a sound: its name in quotes on one line, or "This sound" without a name."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return f'"{shown}"' if shown else "This sound"


def spoken_time(seconds: float) -> str:
    """A length for people: "4.2 s", "30 min", "60 min 1 s"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
