"""The word A*, or a sound's tokens, as text, so that they fit into a recipe.

"2x256:" and the base64 of the little-endian float32 values.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MANY_VALUES = 77 * 4096  # the largest text encoder in use, filled completely; what is larger is written in half
MAX_VALUES = 6 * MANY_VALUES  # a bound for damaged files


def pack_word(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    """Float32 [n, D] -> text. `unpack_word` gives exactly the same bytes back; of more than 77 x 4096 numbers, such as
    all patches of a sound, it gives them rounded to float16, so that a picture does not carry 7 MB of text.
    """
    import numpy as np

    if vectors.ndim != 2:
        raise ValueError(f"a word is [n, D], not {list(vectors.shape)}")
    count, width = vectors.shape
    if vectors.size > MANY_VALUES:
        half = vectors.astype(np.dtype("<f2"))
        return f"{count}x{width}h:{base64.b64encode(half.tobytes()).decode('ascii')}"
    return f"{count}x{width}:{base64.b64encode(vectors.astype(np.dtype('<f4')).tobytes()).decode('ascii')}"


def unpack_word(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Text -> float32 [n, D]. Raises InputError when the text is damaged or holds values that are not finite."""
    import numpy as np

    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,4})(h?):([A-Za-z0-9+/]+={0,2})", text)
    if match is None or int(match[1]) * int(match[2]) > MAX_VALUES:
        raise InputError(f"The word in this recipe is damaged: it must look like '1x256:base64', not {text[:40]!r}.")
    count, width = int(match[1]), int(match[2])
    form = np.dtype("<f2" if match[3] else "<f4")
    try:
        data = base64.b64decode(match[4], validate=True)
    except binascii.Error:
        data = b""
    if len(data) != form.itemsize * count * width:
        raise InputError(f"The word in this recipe is damaged: it must hold {count} x {width} numbers and does not.")
    vectors = np.frombuffer(data, dtype=form).reshape(count, width).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise InputError("The word in this recipe is damaged: it holds values that are not finite numbers.")
    return vectors


def blend_words(
    words: Sequence[np.ndarray[Any, np.dtype[np.float32]]], weights: Sequence[float]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The word between several words: float32 [n, D] each, and the result. weights: at least 0, one a word; only their
    ratios count. Where one has all the weight, the result is that word, bit for bit. Of words that are not equally
    long, the shorter ones are spread over the positions of the longest that has any weight.

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
    words, shares = zip(*((word, share) for word, share in zip(words, shares, strict=True) if share), strict=True)
    stack = np.stack(spread_words(words)).astype(np.float64)  # [words, n, D]
    share = np.array(shares)[:, None, None]
    lengths = np.linalg.norm(stack, axis=-1, keepdims=True)
    direction = (share * stack / np.maximum(lengths, 1e-12)).sum(axis=0)
    size = np.linalg.norm(direction, axis=-1, keepdims=True)
    # Opposite words have no direction between them; they do not occur, and the linear mean is at least defined.
    blended = np.where(
        size > 1e-6, direction / np.maximum(size, 1e-12) * (share * lengths).sum(axis=0), (share * stack).sum(axis=0)
    )
    return blended.astype(np.float32)


def spread_words(
    words: Sequence[np.ndarray[Any, np.dtype[np.float32]]],
) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Words [k, D] of several lengths, all as long as the longest, [n, D]: position i holds the word's vector at
    i k / n, rounded down, so "rain" becomes "rain rain" and "church bells" in three positions "church church bells".

    Repeating a token changes little of what a text encoder understands. The other way, the mean of a phrase's tokens
    in fewer positions, would be no token at all, least of all for phrases in pieces of words.
    """
    length = max(len(word) for word in words)
    return [word[[position * len(word) // length for position in range(length)]] for word in words]


def blend_tokens(
    sounds: Sequence[np.ndarray[Any, np.dtype[np.float32]]], weights: Sequence[float]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The tokens between several sounds' tokens: float32 [M, E] each, and the result. weights as in `blend_words`.

    Linear, as SonicDiffusion mixes: tokens are read by an attention whose values are linear in them, and they stand in
    the space of text states, most of which all of them share. Where one has all the weight, the result is it.
    """
    import numpy as np

    shares = [weight / sum(weights) for weight in weights]
    if 1.0 in shares:
        return sounds[shares.index(1.0)]
    return np.tensordot(np.array(shares), np.stack(sounds).astype(np.float64), axes=1).astype(np.float32)
