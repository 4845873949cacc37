"""Making a journey for one page: the sounds, the turn, picture after picture, the film; stopping keeps what there is.

No gradio here: the Journey tab shows these moments on its controls.
"""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from studio.journey.settings import Journey
from studio.limits import limits
from studio.recipe import Recipe
from studio.ui import keeping
from studio.ui.jobs import PATIENCE, Loading, Waiting
from studio.ui.service import Service

if TYPE_CHECKING:
    from studio.journey.trip import Frame, Painting


@dataclass(frozen=True)
class Reading:
    """The sounds are being read."""


@dataclass(frozen=True)
class Growing:
    """One step of a picture is done."""

    painting: Painting


@dataclass(frozen=True)
class Grown:
    """One picture is finished and lies on disk."""

    frame: Frame


@dataclass(frozen=True)
class Filming:
    """The film and the other files are being written."""


@dataclass(frozen=True)
class Arrived:
    """All is written. count: pictures in the film, of `total` that were wanted.  seconds: since the request."""

    folder: Path
    recipe: Recipe
    count: int
    total: int
    film_seconds: float
    seconds: float


@dataclass(frozen=True)
class Ended:
    """Stopped before there were two pictures: nothing is kept."""


Moment = Reading | Waiting | Loading | Growing | Grown | Filming | Arrived | Ended


@dataclass(frozen=True)
class Files:
    """What lies in a journey's folder, all of one stem."""

    film: Path
    gif: Path
    sheet: Path
    pictures: Path

    @classmethod
    def of(cls, folder: Path) -> Files:
        """The files of a journey, whether or not they are there."""
        stem = f"journey-{folder.name}"
        return cls(*(folder / f"{stem}{ending}" for ending in (".mp4", ".gif", "-sheet.png", ".zip")))


def travel(service: Service, session: str, journeys: Path, recipe: Recipe, journey: Journey) -> Iterator[Moment]:
    """Make a journey in a new folder below `journeys`. Stop (`service.stop`) ends it, and the film, where it is.

    Between two pictures others may have their turn, so that a long journey does not keep a shared app to itself.
    Closing the generator stops the work; the finished pictures stay. Raises HearsightError.
    """
    begun = time.monotonic()
    recipe = service.allowed(recipe)
    limits().check_frames(journey.frames)
    with service.stoppable(session) as stop, ExitStack() as turn:
        yield Reading()
        from studio.journey.takings import Takings
        from studio.journey.trip import Painting, Trip

        trip = Trip(recipe, journey)
        total = len(trip.points)
        ticket = turn.enter_context(service.join_line())
        if service.hosted and (most := limits().journeys) is not None:
            keeping.keep_newest(journeys, most - 1)
        folder = _new_folder(journeys, trip.recipe.seed)
        takings = Takings(trip, folder / "pictures")
        while not ticket.wait(PATIENCE):
            if stop.is_set():
                yield Ended()
                return
            yield Waiting(ticket.ahead, ticket.seconds)
        while (engine := service.engine(PATIENCE)) is None:
            if stop.is_set():
                yield Ended()
                return
            yield Loading()
        if not engine.holds(recipe):
            yield Loading(Path(recipe.model).name)
        with closing(cast("Generator[Painting | Frame]", takings.stream(engine))) as stream:
            for item in stream:
                if isinstance(item, Painting):
                    if stop.is_set():
                        break
                    yield Growing(item)
                    continue
                yield Grown(item)
                turn.close()
                if item.number + 1 == total:
                    break
                ticket = turn.enter_context(service.line.join())
                while not ticket.wait(PATIENCE) and not stop.is_set():
                    yield Waiting(ticket.ahead, ticket.seconds)
                if stop.is_set():
                    break
        turn.close()
        count = len(takings.pictures)
        if count < 2:
            shutil.rmtree(folder, ignore_errors=True)
            yield Ended()
            return
        if service.sounds is not None:
            service.sounds.keep(trip.recipe)
        yield Filming()
        files = Files.of(folder)
        for path in (files.gif, files.sheet, files.film):
            takings.write(path)
        _pack(takings.pictures, files.pictures)
        seconds = len(journey.order(count)) / journey.fps
        yield Arrived(folder, trip.recipe, count, total, seconds, time.monotonic() - begun)


def latest(journeys: Path) -> Path | None:
    """The folder of the newest journey that has its film; None when there is none."""
    with suppress(OSError):
        for folder in sorted(journeys.iterdir(), key=lambda one: one.name, reverse=True):
            if Files.of(folder).film.is_file():
                return folder
    return None


def _new_folder(journeys: Path, seed: int | None) -> Path:
    return journeys / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{seed}"


def _pack(pictures: list[Path], path: Path) -> None:
    """The pictures as they are in one ZIP, which may then be downloaded at once."""
    from studio.sound.write import atomic

    with atomic(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as pack:
        for picture in pictures:
            pack.write(picture, picture.name)
