"""The bar on stderr while pictures are made; nothing at all where stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from studio.errors import HearsightError
from studio.result import READING, Result, Step

if TYPE_CHECKING:
    from studio.engine import Engine
    from studio.recipe import Recipe


class Bar:
    """Shows how far a request is: first what is loaded, then steps and the seconds that are left."""

    def __init__(self, waiting: str) -> None:
        # disable=None: off where stderr is a file or a pipe, so that scripts read sentences only. The note stands in
        # `unit`, because tqdm puts a comma before what is called its postfix.
        self._bar: Any = tqdm(
            total=1, desc=waiting, unit="", leave=False, disable=None, bar_format="{desc} |{bar:30}| {unit}"
        )

    def show(self, title: str, done: int, total: int, note: str) -> None:
        """done of total, with a title before the bar and a note behind it."""
        self._bar.total, self._bar.n = total, done
        self._bar.set_description_str(title, refresh=False)
        self._bar.unit = note
        self._bar.refresh()

    def close(self) -> None:
        """Wipe the bar off the terminal."""
        self._bar.close()


@contextmanager
def progress(waiting: str) -> Iterator[Bar]:
    """A bar for the duration of the block; it is gone before an error is said."""
    bar = Bar(waiting)
    try:
        yield bar
    finally:
        bar.close()


def draw(engine: Engine, recipe: Recipe, bar: Bar, title: str = "") -> Result:
    """Run a request to its end and show its steps."""
    for item in engine.stream(recipe):
        if isinstance(item, Step) and item.phase == READING:
            bar.show(title or item.phase, item.index, item.total, f"{item.eta:.0f} s left in all")
        elif isinstance(item, Step):
            number = f"picture {item.image_index + 1} of {recipe.count}" if recipe.count > 1 else "drawing"
            number = item.phase if recipe.edit is not None and recipe.count == 1 else number
            done, total = item.image_index * item.total + item.index, recipe.count * item.total
            bar.show(title or number, done, total, f"step {item.index} of {item.total}, {item.eta:.0f} s left")
        else:
            return item
    raise HearsightError("The engine ended without a result. Please report this.")
