"""What a journey brings home: its pictures as files, each as soon as it is finished, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from studio.journey.film import SETTINGS_CHUNK, write_gif, write_mp4, write_sheet
from studio.journey.trip import Frame, Painting, Trip
from studio.library.png import save_png

if TYPE_CHECKING:
    from studio.engine import Engine


class Takings:
    """A journey's finished pictures in a folder, which is made with the first of them: 001.png, 002.png, ...

    pictures: their files, in order.  captions: a line for each: where it is, and the best label of what was heard.
    """

    def __init__(self, trip: Trip, folder: Path) -> None:
        self.trip, self.folder = trip, folder
        self.pictures: list[Path] = []
        self.captions: list[str] = []

    def stream(self, engine: Engine) -> Iterator[Painting | Frame]:
        """`Trip.stream`; every Frame lies on the disk, with its recipe and the journey's settings, when it comes."""
        for item in self.trip.stream(engine):
            if isinstance(item, Frame):
                path = self.folder / f"{item.number + 1:03d}.png"
                about = self.trip.journey.to_json(self.trip.recipe, frame=item.number + 1)
                save_png(item.image, item.recipe, path, item.heard, {SETTINGS_CHUNK: about})
                self.pictures.append(path)
                self.captions.append(caption(item))
            yield item

    def write(self, path: Path) -> None:
        """Write the film (.mp4, with sound), the GIF (.gif) or the contact sheet (.png) of what is finished.

        Raises InputError when nothing is, or the place cannot be used; then nothing is written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        journey = self.trip.journey
        about = journey.to_json(self.trip.recipe)
        film = [self.pictures[index] for index in journey.order(len(self.pictures))]
        match path.suffix.lower():
            case ".mp4":
                write_mp4(path, film, journey.fps, self.trip.sound(len(self.pictures)), about)
            case ".gif":
                write_gif(path, film, journey.fps, journey.playback != "once", about)
            case ".png":
                write_sheet(path, self.pictures, self.captions, about)
            case other:
                raise ValueError(f"a journey is not written as {other!r}")


def caption(frame: Frame) -> str:
    """Where a picture is on the way, and the best label of what was heard there."""
    return f"{frame.caption} \N{MIDDLE DOT} {frame.heard[0][0].replace('_', ' ')}" if frame.heard else frame.caption
