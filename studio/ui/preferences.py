"""What a visitor set for new pictures: kept in their browser, checked when it comes back. No gradio here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

FIELDS = ("num_inference_steps", "guidance_scale", "width", "height", "count", "preview_every")
CLEAN_VOICE = "clean_voice"


def kept(stored: object, bounds: Mapping[str, tuple[float, float, float]]) -> dict[str, Any]:
    """What of a browser's storage can be used, by the names of FIELDS and CLEAN_VOICE.

    bounds: minimum, maximum and step of each field; values are brought inside. Whatever else is there is left out.
    """
    found: dict[str, Any] = {}
    values = stored if isinstance(stored, dict) else {}
    for name in FIELDS:
        value = values.get(name)
        if name in bounds and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            low, high, step = bounds[name]
            stepped = low + round((min(max(value, low), high) - low) / step) * step
            found[name] = int(stepped) if float(stepped).is_integer() else round(stepped, 4)
    if isinstance(values.get(CLEAN_VOICE), bool):
        found[CLEAN_VOICE] = values[CLEAN_VOICE]
    return found
