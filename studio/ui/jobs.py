"""Making pictures for one page: wait for the turn, wait for the model, draw, save, stop when asked.

No gradio here: the Create tab shows these moments on its controls, and the endpoint for programs takes the last.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from studio.errors import HearsightError
from studio.recipe import MAX_SEED, Recipe
from studio.result import PAINTING, PhotoRead, Result, Step
from studio.ui import words
from studio.ui.album import Album
from studio.ui.line import Ticket
from studio.ui.service import Service

if TYPE_CHECKING:
    from PIL.Image import Image

    from studio.engine import Engine

log = logging.getLogger("hearsight.app")

PATIENCE = 0.5  # seconds between two looks at the line, the model and the Stop button while waiting


@dataclass(frozen=True)
class Waiting:
    """Others come first. ahead: how many.  seconds: about how long they take."""

    ahead: int
    seconds: float


@dataclass(frozen=True)
class Loading:
    """The model is being loaded. model: its name, when it is another one than the app began with."""

    model: str = ""


@dataclass(frozen=True)
class Drawing:
    """One step is done. image: which picture, from 1, of `count`.  eta: seconds until all pictures are done."""

    step: Step
    image: int
    count: int
    eta: float


@dataclass(frozen=True)
class Saved:
    """One picture is finished and lies on disk with its recipe. last: no more follow.  seconds: since the request.

    read: what an edit knows of its photo; None for a new picture.
    """

    picture: Image
    path: Path
    recipe: Recipe
    last: bool
    seconds: float
    warnings: list[str]
    read: PhotoRead | None = None


@dataclass(frozen=True)
class Stopped:
    """Stop was pressed. index: the steps that were done, 0 when none.  phase: what it was doing, as in Step."""

    index: int
    phase: str = PAINTING


Moment = Waiting | Loading | Drawing | Saved | Stopped


def make(service: Service, session: str, album: Album, recipe: Recipe, mask: Image | None = None) -> Iterator[Moment]:
    """Make the pictures of a recipe one after the other, each saved before the next begins.

    mask: of an edit, white where its photo may change, instead of the one that the recipe names.
    Each is a request of its own to the engine with seed + i: the same picture, byte for byte, as in one request.
    Raises HearsightError; closing the generator stops the work and gives the place in the line up.
    """
    begun = time.monotonic()
    recipe = service.allowed(recipe)
    recipe = recipe.replace(seed=new_seed(recipe.count) if recipe.seed is None else recipe.seed)
    assert recipe.seed is not None
    with service.join_line() as ticket, service.stoppable(session) as stop:
        engine = yield from _turn(service, ticket, stop)
        if engine is None:
            return
        if not engine.holds(recipe):
            yield Loading(Path(recipe.model).name)
        for number in range(recipe.count):
            done = 0
            single = recipe.replace(seed=(recipe.seed + number) % (MAX_SEED + 1), count=1)
            with closing(cast("Generator[Step | Result]", engine.stream(single, mask=mask))) as stream:
                for moment in stream:
                    if isinstance(moment, Step):
                        done = moment.index
                        if stop.is_set():
                            yield Stopped(done, moment.phase)
                            return
                        left = recipe.count - number - 1
                        whole = moment.eta + left * (moment.eta + moment.seconds)
                        yield Drawing(moment, number + 1, recipe.count, whole)
                    else:
                        if service.sounds is not None:
                            service.sounds.keep(moment.recipe)
                        yield _saved(moment, album, number + 1 == recipe.count, time.monotonic() - begun)


def glimpse(
    service: Service, stop: threading.Event, order: Callable[[Engine], Recipe | None]
) -> Iterator[Moment | Result]:
    """One picture to look at, not saved: an ordinary request, which waits in the line like all others.

    order: asked for the recipe when the turn has come and not before, so that it is of that moment; None = nothing is
    to be drawn after all.  stop: as for `Service.stoppable`.  Raises HearsightError.
    """
    with service.join_line() as ticket:
        engine = yield from _turn(service, ticket, stop)
        recipe = None if engine is None else order(engine)
        if engine is None or recipe is None:
            return
        with closing(cast("Generator[Step | Result]", engine.stream(recipe))) as stream:
            for moment in stream:
                if isinstance(moment, Result):
                    yield moment
                elif stop.is_set():
                    yield Stopped(moment.index)
                    return
                else:
                    yield Drawing(moment, 1, 1, moment.eta)


def _turn(service: Service, ticket: Ticket, stop: threading.Event) -> Generator[Moment, None, Engine | None]:
    """Wait for the turn and for the model; gives the engine, or None after a Stop."""
    while not ticket.wait(PATIENCE):
        if stop.is_set():
            yield Stopped(0)
            return None
        yield Waiting(ticket.ahead, ticket.seconds)
    while (engine := service.engine(PATIENCE)) is None:
        if stop.is_set():
            yield Stopped(0)
            return None
        yield Loading()
    return engine


def _saved(result: Result, album: Album, last: bool, seconds: float) -> Saved:
    recipe = result.recipes[0]
    path = album.save(result.images[0], recipe, result.heard)
    return Saved(result.images[0], path, recipe, last, seconds, result.warnings, result.read)


def new_seed(count: int = 1) -> int:
    """A seed that nobody chose, with room for `count` pictures after it."""
    return random.SystemRandom().randint(0, MAX_SEED - count)


def sentence(error: BaseException, recipe: Recipe | None = None) -> str:
    """What to tell the visitor about an error: our own sentences without folders of this machine, else a calm one."""
    if isinstance(error, HearsightError):
        text = re.sub(r" with --[a-z-]+", "", str(error))  # advice for the command line; here it is a slider
        return without_folders(text, *(track.path for track in recipe.tracks if track.path) if recipe else ())
    if recipe is not None and (isinstance(error, MemoryError) or "out of memory" in str(error).lower()):
        return words.NO_MEMORY.format(width=recipe.width, height=recipe.height)
    log.error("Unexpected error", exc_info=error)
    return words.OUR_FAULT


def without_folders(text: str, *paths: str) -> str:
    """A sentence in which every absolute path is replaced by its last part.

    paths: known ones, replaced first because they may hold spaces, which the general rule cannot see.
    """
    for path in paths:
        text = text.replace(path, Path(path).name)
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:\\|/)(?:[^\s'\"/\\]+[/\\])+([^\s'\"/\\]+)", r"\1", text)
