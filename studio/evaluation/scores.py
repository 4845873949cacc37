"""What a metric hands back, and the means that several metrics share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from PIL import Image

Item = TypeVar("Item")


@dataclass(frozen=True)
class Score:
    """One line of the report.

    name: what was measured.  value: a share, a ratio of shares, or what the name says.  count: on how many.
    deviation: how far repeated draws of the measure spread (standard deviation), where it was drawn repeatedly.
    goal: what was set out to be reached (at least), where there is such a number.
    """

    name: str
    value: float
    count: int
    deviation: float | None = None
    goal: float | None = None


@dataclass(frozen=True)
class Findings:
    """All that a metric found.

    scores: lines of the report.  by_class: class (of whatever the metric goes through) -> its share.
    sheets: file name -> page to look at; the suffix decides the form, .jpg for pictures, .png for drawings.
    """

    scores: list[Score]
    by_class: dict[str, float] = field(default_factory=dict)
    sheets: dict[str, Image.Image] = field(default_factory=dict)


def class_mean(hits: Iterable[bool], names: Iterable[str]) -> float:
    """Mean over classes of each class's share of hits."""
    return float(np.mean(list(shares(hits, names).values())))


def shares(hits: Iterable[bool], names: Iterable[str]) -> dict[str, float]:
    """Each class's share of hits."""
    right, groups = np.asarray(list(hits), float), np.asarray(list(names))
    return {str(name): float(right[groups == name].mean()) for name in np.unique(groups)}


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` (at least 1) of the items, evenly spaced, the first among them."""
    if len(items) <= count:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, count).round()]
