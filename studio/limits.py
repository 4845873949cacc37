"""What a hosted app gives to each request: limits from the environment, with defaults on a Hugging Face Space.

On one's own machine nothing is limited but the waiting line. The page's controls end at the limits, every request to
the app is checked against them, and files of sound are refused by their length wherever they are read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from studio.errors import InputError
from studio.fields import Setting
from studio.recipe import MAX_TRACKS, Recipe

OFFERED = "HEARSIGHT_OFFERED_MODELS"
MOST_FRAMES = 240  # of a journey, by its own rules


@dataclass(frozen=True)
class _Rule:
    """One limit. low, high: what the variable may be.  space: the default on a Space.  own: on one's own machine."""

    variable: str
    low: int
    high: int
    unit: str
    about: str
    space: int | None
    own: int | None = None


RULES: dict[str, _Rule] = {
    "size": _Rule("HEARSIGHT_MAX_SIZE", 64, 1024, "px", "width and height of a picture", 512),
    "steps": _Rule("HEARSIGHT_MAX_STEPS", 1, 100, "", "denoising steps", 50),
    "count": _Rule("HEARSIGHT_MAX_COUNT", 1, 8, "", "pictures of one request", 2),
    "seconds": _Rule("HEARSIGHT_MAX_SECONDS", 1, 1800, "s", "length of a sound file", 120),
    "sounds": _Rule("HEARSIGHT_MAX_SOUNDS", 1, MAX_TRACKS, "", "sounds of one request", 4),
    "frames": _Rule("HEARSIGHT_MAX_FRAMES", 2, MOST_FRAMES, "", "pictures of a journey", 48),
    "journeys": _Rule("HEARSIGHT_MAX_JOURNEYS", 1, 100_000, "", "journeys kept for a visitor, the oldest go", 5),
    "waiting": _Rule("HEARSIGHT_MAX_WAITING", 1, 1000, "", "requests in the line", 20, 20),
    "days": _Rule("HEARSIGHT_KEEP_DAYS", 1, 36_500, "days", "after which a visitor's files are deleted", 30),
}


@dataclass(frozen=True)
class Limits:
    """The limits in force, None = none. size in px, of each side; seconds of one sound file; days that files stay."""

    size: int | None = None
    steps: int | None = None
    count: int | None = None
    seconds: int | None = None
    sounds: int | None = None
    frames: int | None = None
    journeys: int | None = None
    waiting: int | None = None
    days: int | None = None

    def below(self, name: str, most: float) -> float:
        """The smaller one of a limit and a bound that holds anyway."""
        limit = getattr(self, name)
        return most if limit is None else min(limit, most)

    def within(self, settings: Mapping[str, Setting]) -> dict[str, Setting]:
        """Settings of a Recipe or a Journey with their upper bounds lowered, for the controls of the page."""
        return {name: self._lowered(one) for name, one in settings.items()}

    def _lowered(self, one: Setting) -> Setting:
        limit = getattr(self, _OF_FIELD.get(one.name, ""), None)
        if limit is None:
            return one
        most = limit if one.maximum is None else min(limit, one.maximum)
        default = min(one.default, most) if isinstance(one.default, int | float) else one.default
        return replace(one, maximum=most, default=default)

    def check(self, recipe: Recipe) -> None:
        """Raise InputError, one sentence, when a recipe asks for more than this app gives."""
        sides = [side for side in (recipe.width, recipe.height) if side is not None]
        self._refuse("size", max(sides, default=None), "pictures of at most {most} px", "a side of {value} px")
        self._refuse("steps", recipe.num_inference_steps, "at most {most} steps", "{value}")
        self._refuse("count", recipe.count, "at most {most} pictures at once", "{value}")
        self._refuse("sounds", len(recipe.tracks), "at most {most} sounds at once", "{value}")

    def check_frames(self, frames: int) -> None:
        """Raise InputError when a journey has more pictures than this app gives."""
        self._refuse("frames", frames, "journeys of at most {most} pictures", "{value}")

    def settle(self, recipe: Recipe, own_size: int, own_steps: int) -> Recipe:
        """The recipe with open fields filled where the model's own values would be above the limits.

        An edit's size is left open: it follows the photo's form, with at most the area of a picture of that size.
        """
        changes: dict[str, Any] = {}
        if self.steps is not None and recipe.num_inference_steps is None and own_steps > self.steps:
            changes["num_inference_steps"] = self.steps
        if self.size is not None and recipe.edit is None and own_size > self.size:
            changes |= {name: self.size for name in ("width", "height") if getattr(recipe, name) is None}
        return recipe.replace(**changes) if changes else recipe

    def _refuse(self, name: str, value: int | None, rule: str, given: str) -> None:
        limit = getattr(self, name)
        if limit is not None and value is not None and value > limit:
            raise InputError(
                f"This studio gives {rule.format(most=limit)}, but {given.format(value=value)} was asked for: "
                f"choose {'a smaller size' if name == 'size' else 'fewer'}."
            )


_OF_FIELD = {
    "width": "size",
    "height": "size",
    "num_inference_steps": "steps",
    "count": "count",
    "frames": "frames",
}


def limits(environment: Mapping[str, str] | None = None) -> Limits:
    """The limits that the environment sets. Read anew each time, so that there is no state to keep.

    environment: None = this process's. A variable may be a whole number, or "none" for no limit.
    Raises InputError for anything else.
    """
    given = os.environ if environment is None else environment
    hosted = bool(given.get("SPACE_ID"))
    return Limits(**{name: _value(rule, given.get(rule.variable, ""), hosted) for name, rule in RULES.items()})


def offered_models(environment: Mapping[str, str] | None = None) -> tuple[str, ...] | None:
    """Which image models the page may draw with beside the one it begins with, as HEARSIGHT_OFFERED_MODELS names them,
    with commas between; None where it is not set. environment: None = this process's.
    """
    text = (os.environ if environment is None else environment).get(OFFERED, "")
    return tuple(filter(None, (name.strip() for name in text.split(",")))) if text.strip() else None


def described() -> list[tuple[str, str]]:
    """Each limit as (variable, words), for `hearsight doctor`."""
    now = limits()
    found = []
    for field in fields(Limits):
        rule, value = RULES[field.name], getattr(now, field.name)
        amount = "none" if value is None else f"{value} {rule.unit}".strip()
        found.append((rule.variable, f"{amount} ({rule.about})"))
    names = offered_models()
    hosted = bool(os.environ.get("SPACE_ID"))
    all_here = "the embedded ones" if hosted else "all that are here"
    found.append((OFFERED, f"{all_here if names is None else ', '.join(names)} (image models of the page's menu)"))
    return found


def _value(rule: _Rule, text: str, hosted: bool) -> int | None:
    text = text.strip().lower()
    if not text:
        return rule.space if hosted else rule.own
    if text == "none":
        return None
    if not text.isdecimal() or not rule.low <= int(text) <= rule.high:
        unit = f" {rule.unit}" if rule.unit else ""
        raise InputError(
            f'{rule.variable} must be a whole number from {rule.low} to {rule.high}{unit}, or "none", '
            f"but it is {text!r}: correct or unset it."
        )
    return int(text) // 8 * 8 if rule.variable == "HEARSIGHT_MAX_SIZE" else int(text)
