"""The word A* as text, so that it fits into a recipe: "2x256:" and the base64 of its little-endian float32 values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MAX_VALUES = 77 * 4096  # the largest text encoder in use, filled completely; a bound for damaged files


def pack_word(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    """Float32 [n, D] -> text. `unpack_word` gives exactly the same bytes back."""
    import numpy as np

    if vectors.ndim != 2:
        raise ValueError(f"a word is [n, D], not {list(vectors.shape)}")
    count, width = vectors.shape
    return f"{count}x{width}:{base64.b64encode(vectors.astype(np.dtype('<f4')).tobytes()).decode('ascii')}"


def unpack_word(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Text -> float32 [n, D]. Raises InputError when the text is damaged or holds values that are not finite."""
    import numpy as np

    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,4}):([A-Za-z0-9+/]+={0,2})", text)
    if match is None or int(match[1]) * int(match[2]) > MAX_VALUES:
        raise InputError(f"The word in this recipe is damaged: it must look like '1x256:base64', not {text[:40]!r}.")
    count, width = int(match[1]), int(match[2])
    try:
        data = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        data = b""
    if len(data) != 4 * count * width:
        raise InputError(f"The word in this recipe is damaged: it must hold {count} x {width} numbers and does not.")
    vectors = np.frombuffer(data, dtype="<f4").reshape(count, width).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise InputError("The word in this recipe is damaged: it holds values that are not finite numbers.")
    return vectors


def blend_words(
    words: Sequence[np.ndarray[Any, np.dtype[np.float32]]], weights: Sequence[float]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The word between several words: float32 [n, D] each, and the result. weights: at least 0, one a word; only their
    ratios count. Where one has all the weight, the result is that word, bit for bit.

    Spherical: each of the n vectors gets the weighted mean of the words' directions as its direction, and the weighted
    mean of their lengths as its length. Linear would not do. A word's length says how sure the ear was: of the starter
    sounds, 21.7 for waves that it names with 0.97 and 7.7 for the train that it cannot name (0.09); and different
    sounds stand nearly at right angles (cosine 0.07 in the median of all pairs). The linear middle of two of them is
    therefore 26 % shorter than they are (up to 34 %), so it would say "hardly anything" instead of "both", and the
    longer word would decide its direction: that of waves and train stands 19 degrees from the waves and 69 from the
    train. Between two words ours goes along the great circle, and at equal weights it is half-way.
    """
    import numpy as np

    shares = [weight / sum(weights) for weight in weights]
    if 1.0 in shares:
        return words[shares.index(1.0)]
    stack = np.stack(words).astype(np.float64)  # [words, n, D]
    share = np.array(shares)[:, None, None]
    lengths = np.linalg.norm(stack, axis=-1, keepdims=True)
    direction = (share * stack / np.maximum(lengths, 1e-12)).sum(axis=0)
    size = np.linalg.norm(direction, axis=-1, keepdims=True)
    # Opposite words have no direction between them; they do not occur, and the linear mean is at least defined.
    blended = np.where(
        size > 1e-6, direction / np.maximum(size, 1e-12) * (share * lengths).sum(axis=0), (share * stack).sum(axis=0)
    )
    return blended.astype(np.float32)
