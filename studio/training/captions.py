"""Captions made from labels, source sizes and what can be measured in the photo.

"a sharp photo of a dog, bright, green": the first adjective is how sharp the photo is at the size it is shown at,
which follows from the size of its source, so that small photos teach shapes without making every picture soft. Parts
are left out at random, so that any subset of them works as a prompt.
"""

from __future__ import annotations

import numpy as np

from studio.data.attributes import COLOURS, LIGHTS, TIMES, Attributes

QUALITIES = ("blurry", "soft", "sharp")
STYLES = ("photo", "painting", "drawing", "black and white photo", "blurry photo")
TEMPLATES = (
    ("a {quality} {style} of {noun}", 0.62),
    ("a {style} of {noun}, {quality}", 0.08),
    ("{noun}", 0.08),
    ("a {quality} picture of {noun}", 0.08),
    ("a {quality} picture in the style of {noun}", 0.09),
    ("the sound of {noun}", 0.05),
)
# Words that prompts may use although no caption does: they get a token of their own, with an untrained meaning.
EXTRA_WORDS = (
    "the sound sounds style with without near under over on by to from and or many one two three small big large "
    "old new young wild quiet loud soft detailed high low resolution quality beautiful light shadow morning "
    "evening noon winter summer spring autumn wind music water sky tree trees grass sand stone city town village "
    "house room people person man woman child animal face art watercolor watercolour oil pencil ink sketch poster "
    "cartoon colour color colourful colorful warm cold misty foggy rainy snowy sunny cloudy stormy close up wide "
    "view background foreground"
)


def quality(share: float) -> str:
    """The word for a source's short side as a share of the picture's."""
    return QUALITIES[0] if share <= 0.5 else QUALITIES[1] if share < 0.9 else QUALITIES[2]


def caption(
    nouns: list[str], share: float, attributes: Attributes, draw: np.random.Generator, style: str = "photo"
) -> str:
    """One caption for a photo, drawn at random among the ways of saying it. share: as for `quality`."""
    weights = np.array([weight for _, weight in TEMPLATES])
    template = TEMPLATES[0 if style != "photo" else int(draw.choice(len(TEMPLATES), p=weights / weights.sum()))][0]
    # The first word is the class's name and is used most.
    noun = nouns[0] if len(nouns) == 1 or draw.random() < 0.65 else nouns[int(draw.integers(1, len(nouns)))]
    if draw.random() < 0.4:
        noun = ("an " if noun[0] in "aeiou" else "a ") + noun
    said = quality(share) if draw.random() < 0.6 and not style.startswith(QUALITIES) else ""
    text = template.format(quality=said, style=style, noun=noun)
    for part in (attributes.light, attributes.colour, attributes.time):
        if part and style != "black and white photo" and draw.random() < 0.35:
            text += f", {part}"
    return " ".join(text.replace(" ,", ",").strip(" ,").split())


def vocabulary(nouns: dict[str, list[str]]) -> list[str]:
    """Every word that gets a token of its own, in a fixed order."""
    texts = [name for names in nouns.values() for name in names]
    texts += [template.replace("{", " ").replace("}", " ") for template, _ in TEMPLATES]
    texts += [*QUALITIES, *STYLES, *LIGHTS, *TIMES, *COLOURS, EXTRA_WORDS, "a an of in , . a"]
    words: dict[str, None] = {}
    for text in texts:
        for word in text.lower().split():
            words.setdefault(word, None)
    return list(words)
