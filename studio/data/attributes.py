"""What can be measured in a photo without knowing what it shows: light, main colour, time of day.

Captions are made of it, so a model is taught these words by these rules; scores ask with the same rules whether a
prompt's words move the picture. H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIGHTS = ("dark", "bright")
TIMES = ("at night", "at sunset", "in daylight")
COLOURS = ("red", "orange", "brown", "yellow", "green", "turquoise", "blue", "purple", "pink", "grey")
ATTRIBUTES = (*LIGHTS, *TIMES, *COLOURS)


@dataclass(frozen=True)
class Attributes:
    """What was measured in one photo; empty strings where nothing stands out."""

    light: str = ""
    colour: str = ""
    time: str = ""

    def __contains__(self, word: str) -> bool:
        return bool(word) and word in (self.light, self.colour, self.time)


@dataclass(frozen=True)
class Levels:
    """The numbers behind `Attributes`.

    luminance: mean, 0..1.  coloured: share of the pixels that have a colour, 0..1.
    colours: colour word -> its share of all colour, 0..1; sums to 1, empty for a grey photo.
    sky: mean red, green, blue of the upper third, float32 [3] in 0..1.
    """

    luminance: float
    coloured: float
    colours: dict[str, float]
    sky: np.ndarray


def _hue_name(hue: float, value: float) -> str:
    """Hue in degrees and value 0..1 -> colour word."""
    if hue < 14 or hue >= 345:
        return "red"
    if hue < 42:
        return "orange" if value > 0.6 else "brown"
    if hue < 66:
        return "yellow" if value > 0.5 else "brown"
    if hue < 160:
        return "green"
    if hue < 192:
        return "turquoise"
    if hue < 258:
        return "blue"
    return "purple" if hue < 295 else "pink"


def levels(photo: np.ndarray) -> Levels:
    """Light and colours of a uint8 [H, W, 3] photo, on a grid of about 32 x 32 of its pixels."""
    step = max(1, photo.shape[0] // 32)
    rgb = photo[::step, ::step].astype(np.float32) / 255
    value, low = rgb.max(-1), rgb.min(-1)
    chroma = value - low
    luminance = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    coloured = (chroma > 0.15) & (value > 0.15)
    counts: dict[str, float] = {}
    if coloured.any():
        pixels, spread = rgb[coloured], chroma[coloured]
        r, g, b = pixels.T
        top = pixels.argmax(-1)
        hue = np.choose(top, [(g - b) / spread % 6, (b - r) / spread + 2, (r - g) / spread + 4]) * 60
        for angle, bright, weight in zip(hue, value[coloured], spread, strict=True):
            name = _hue_name(float(angle), float(bright))
            counts[name] = counts.get(name, 0.0) + float(weight)
    total = sum(counts.values())
    return Levels(
        luminance=float(luminance.mean()),
        coloured=float(coloured.mean()),
        colours={name: count / total for name, count in counts.items()},
        sky=rgb[: max(1, len(rgb) // 3)].reshape(-1, 3).mean(0),
    )


def measure(photo: np.ndarray) -> Attributes:
    """Light, main colour and time of day of a uint8 [H, W, 3] photo, by fixed thresholds."""
    found = levels(photo)
    mean, sky = found.luminance, found.sky
    light = "dark" if mean < 0.27 else "bright" if mean > 0.66 else ""
    colour = ""
    if found.coloured < 0.08:
        colour = "grey"
    else:
        best = max(found.colours, key=lambda name: found.colours[name])
        if found.colours[best] > 0.5:
            colour = best
    time = ""
    if mean < 0.2:
        time = "at night"
    elif sky[0] > sky[2] * 1.45 and sky[0] > 0.35 and mean < 0.6 and colour in ("orange", "red", "pink", "yellow"):
        time = "at sunset"
    elif mean > 0.4 and sky[2] > sky[0] * 1.12 and sky.mean() > 0.5:
        time = "in daylight"
    return Attributes(light, colour, time)


def strength(photo: np.ndarray, word: str) -> float:
    """How much of what `word` (one of `ATTRIBUTES`) asks for is in a uint8 [H, W, 3] photo; more is more, -1..1.

    The quantity that `measure` puts its threshold on: luminance for light and night, red against blue in the upper
    third for sunset and daylight (daylight wants light too, so both are averaged), the colour's weight (its share of
    all colour times the share of the photo that is coloured) for colours, the colourless share for grey.
    Raises ValueError for another word.
    """
    found = levels(photo)
    red, blue = float(found.sky[0]), float(found.sky[2])
    if word in ("dark", "at night"):
        return -found.luminance
    if word == "bright":
        return found.luminance
    if word == "at sunset":
        return red - blue
    if word == "in daylight":
        return (blue - red + found.luminance) / 2
    if word == "grey":
        return -found.coloured
    if word in COLOURS:
        return found.colours.get(word, 0.0) * found.coloured
    raise ValueError(f"nothing measures {word!r}; there are {', '.join(ATTRIBUTES)}")
