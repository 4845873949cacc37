"""What the tests of sound share besides fixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.sound.clip import Clip


def clip_of(values: NDArray[np.floating[Any]], rate: int, name: str = "") -> Clip:
    """A Clip of samples [C, N] of any float type."""
    return Clip(np.asarray(values, dtype=np.float32), rate, name)
