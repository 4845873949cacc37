"""What A* is made of, in words: phrases, each with a weight, written "rain:0.7, river:0.3"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from studio.errors import InputError

Concepts = tuple[tuple[str, float], ...]

MAX_PHRASES = 16
MAX_PHRASE = 60  # characters
FORM = '"rain:0.7, river:0.3"'


def read_concepts(text: str) -> Concepts:
    """Phrases and weights as they are written; a phrase without a weight has 1, one that stands twice has both.

    Raises InputError for a text that holds none, too many, or a weight that is not a number from 0 to 100.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        phrase, colon, number = (piece.strip() for piece in part.partition(":"))
        phrase = " ".join(phrase.split())
        if not phrase or len(phrase) > MAX_PHRASE:
            raise InputError(
                f"The phrase {part.strip()[:MAX_PHRASE]!r} in {text[:80]!r} must have 1 to {MAX_PHRASE} characters. "
                f"Write phrases with weights, like {FORM}."
            )
        if (colon and not re.fullmatch(r"\d+(\.\d*)?|\.\d+", number)) or (weight := float(number or 1)) > 100:
            raise InputError(
                f"The weight {number!r} of {phrase!r} is not a number from 0 to 100. "
                f"Write phrases with weights, like {FORM}."
            )
        found[phrase] = found.get(phrase, 0.0) + weight
    if len(found) > MAX_PHRASES or not sum(found.values()):
        problem = f"{len(found)} phrases are too many" if len(found) > MAX_PHRASES else "all weights are 0"
        raise InputError(f"A* cannot be made of {text[:80]!r}: {problem}. Give 1 to {MAX_PHRASES}, like {FORM}.")
    return tuple(found.items())


def write_concepts(concepts: Sequence[tuple[str, float]]) -> str:
    """The text that `read_concepts` reads: "rain:0.712, river:0.288"."""
    return ", ".join(f"{phrase}:{weight:.3f}" for phrase, weight in concepts)


def joined(several: Iterable[tuple[Concepts, float]]) -> Concepts:
    """What several sounds are made of together, each with its weight: the heaviest first, all together 1."""
    total: dict[str, float] = {}
    for concepts, weight in several:
        size = sum(share for _, share in concepts)
        for phrase, share in concepts:
            total[phrase] = total.get(phrase, 0.0) + weight * share / size
    size = sum(total.values())
    return tuple(
        sorted(((phrase, round(share / size, 3)) for phrase, share in total.items()), key=lambda one: -one[1])
    )
