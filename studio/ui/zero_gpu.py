"""Drawing on a ZeroGPU Space, where a graphics card is lent for some seconds; elsewhere nothing of this acts.

There the package `spaces` runs a decorated function in a process that it forks off this one: arguments and what is
yielded are pickled, only Gradio's own errors come back whole, and what it changes in memory is lost. Closing the
stream stops it at its next step, so Stop works as everywhere: the flag is looked at on this side.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.recipe import Recipe
from studio.result import Result, Step
from studio.ui.hosting import on_zero_gpu

START = 10.0  # s, for the process and moving the model to the card
STEP = 0.25  # s of one guided step at 512 px, on the slow side: what is not used is given back
LONGEST = 120  # s, more than that is not lent at once
NO_CARD = (
    "The Space has no graphics card left for you now ({reason}). Sign in to Hugging Face for more, or try again later."
)


def seconds_needed(recipe: Recipe, *_: object) -> int:
    """About how long a recipe takes there, in s, at most 120; what the visitor's quota must still hold.

    An edit may read its photo first: half a step for each of its own, once there and once back.
    """
    area = (recipe.width or 512) * (recipe.height or 512) / 512**2
    work = recipe.count * ((recipe.num_inference_steps or 20) + 1)
    if recipe.edit is not None:
        work += recipe.num_inference_steps or 20
    return min(int(START + STEP * max(area, 0.25) * work) + 1, LONGEST)


@dataclass(frozen=True)
class _Refused:
    """An error of ours on its way out of the other process."""

    sentence: str
    input: bool


def lent(task: Callable[..., Iterator[Any]], duration: Callable[..., int]) -> Callable[..., Iterator[Any]]:
    """The function with a card for `duration(arguments)` seconds a call; itself where there is no ZeroGPU."""
    if not on_zero_gpu():
        return task
    return cast("Callable[..., Iterator[Any]]", importlib.import_module("spaces").GPU(task, duration=duration))


class LentEngine(Engine):
    """An engine that paints on a lent card. Make it, and load it, on the main thread before the page is launched."""

    def __init__(self) -> None:
        super().__init__()

        # A function of its own, and not a method: the decorator asks whether it is a generator function.
        def paint(recipe: Recipe, clip: Any, photo: Any, mask: Any) -> Iterator[Step | Result | _Refused]:
            try:
                yield from Engine.stream(self, recipe, clip, photo=photo, mask=mask)
            except HearsightError as error:
                yield _Refused(str(error), isinstance(error, InputError))

        self._paint = lent(paint, seconds_needed)
        # A fork copies locks as they are; one that another thread holds at that moment would never open in the copy.
        for lock in (self._hearing._lock, self._models._lock):
            os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)

    def stream(self, recipe: Recipe, clip: Any = None, *, photo: Any = None, mask: Any = None) -> Iterator[Any]:
        """As `Engine.stream`; also raises HearsightError when no card is lent to this visitor."""
        try:
            with closing(cast("Generator[Any]", self._paint(recipe, clip, photo, mask))) as stream:
                for item in stream:
                    if isinstance(item, _Refused):
                        raise InputError(item.sentence) if item.input else HearsightError(item.sentence)
                    yield item
        except HearsightError:
            raise
        except Exception as error:
            # The package's own: a title beside the message, "ZeroGPU quota exceeded" for one.
            title = str(getattr(error, "title", ""))
            if "zerogpu" not in title.lower():
                raise
            raise HearsightError(NO_CARD.format(reason=title)) from error
