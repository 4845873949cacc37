"""The word A* as text, so that it fits into a recipe: "2x256:" and the base64 of its little-endian float32 values."""

from __future__ import annotations

import base64
import binascii
import re
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
