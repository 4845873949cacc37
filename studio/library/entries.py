"""What the gallery says about a picture, and how a search is written down."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from studio.errors import InputError
from studio.library.index import Unreadable
from studio.library.png import Heard
from studio.recipe import Recipe

COLUMNS = "name, made, prompt, sounds, heard, seed, model, width, height, favourite"
_MOST_WORDS, _LONGEST_WORD = 20, 1000  # of a search; SQLite has limits of its own, far above
_MADE = re.compile(r"(\d{8}-\d{6}-\d{6})-\d+(?:-\d+)?\.png")  # the names that `Gallery.save` gives


@dataclass(frozen=True)
class Entry:
    """One picture of the gallery.

    name: its file name.  made: local time; of the name where we gave it, else of the file's last change.
    sounds: the names of its sounds.  heard: (label, probability in 0..1), best first; empty when it is not known.
    seed: None when the recipe has none.  width, height: of the picture, in px.
    """

    name: str
    made: datetime
    prompt: str
    sounds: tuple[str, ...]
    heard: Heard
    seed: int | None
    model: str
    width: int
    height: int
    favourite: bool = False

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Entry:
        """From a row of the index, in the order of COLUMNS. Raises Unreadable when it makes no sense."""
        name, made, prompt, sounds, heard, *rest, favourite = row
        try:
            time, names = datetime.fromisoformat(made), tuple(map(str, json.loads(sounds)))
            labels = tuple((str(label), float(share)) for label, share in json.loads(heard))
        except (ValueError, TypeError) as error:
            raise Unreadable(f"the row of {name!r} makes no sense: {error}") from None
        return cls(name, time, prompt, names, labels, *rest, favourite=bool(favourite))


@dataclass(frozen=True)
class Page:
    """Some entries of a search. total: how many fit.  number: from 1 to `pages`, which is 1 for no entries."""

    entries: list[Entry]
    total: int
    number: int
    pages: int


@dataclass(frozen=True)
class Wanted:
    """A search: what is given must all be true.

    words: each must occur in the prompt, a sound's name, or what was heard; capitals do not matter.
    sound: must occur in one sound's name, spaces included.  since, until: days of local time, both included.
    Raises InputError when since is after until.
    """

    words: str = ""
    sound: str = ""
    since: date | None = None
    until: date | None = None
    favourites: bool = False

    def __post_init__(self) -> None:
        if self.since and self.until and self.since > self.until:
            raise InputError(f"The first day, {self.since}, is after the last, {self.until}: swap them.")

    def where(self) -> tuple[str, list[str]]:
        """The condition in SQL, and the values for its question marks."""
        conditions, values = ["1"], list[str]()
        for word in folded(self.words).split()[:_MOST_WORDS]:
            conditions.append(r"searched LIKE ? ESCAPE '\'")
            values.append(_anywhere(word[:_LONGEST_WORD]))
        if sound := folded(self.sound).strip():
            conditions.append(r"searched_sounds LIKE ? ESCAPE '\'")
            values.append(_anywhere(sound[:_LONGEST_WORD]))
        if self.since:
            conditions.append("made >= ?")
            values.append(self.since.isoformat())
        if self.until:
            conditions.append("made <= ?")
            values.append(f"{self.until.isoformat()}T~")  # after every time of that day
        if self.favourites:
            conditions.append("favourite")
        return " AND ".join(conditions), values


def day(text: str, what: str) -> date:
    """A day from YYYY-MM-DD. what: what it is called in the InputError for anything else."""
    text = text.strip()
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise InputError(f"{what} must be a day such as 2026-08-31, but {text!r} was given.") from None


def is_name(name: str) -> bool:
    """Whether this may be the file name of a picture in a folder: one part, visible, ending in .png."""
    if not name.lower().endswith(".png") or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        return False
    try:
        return len(name.encode("utf-8")) <= 255
    except UnicodeEncodeError:  # bytes that are no text: the index could not hold it
        return False


def entry_of(name: str, changed: float, recipe: Recipe, heard: Heard, path: Path) -> Entry:
    """The entry of a picture. changed: seconds since 1970.  Raises OSError when the file is gone."""
    ours = _MADE.fullmatch(name)
    try:
        made = datetime.strptime(ours[1], "%Y%m%d-%H%M%S-%f") if ours else datetime.fromtimestamp(changed)
    except (ValueError, OverflowError):  # our form with a 13th month
        made = datetime.fromtimestamp(changed)
    with Image.open(path) as image:  # reads the head only
        width, height = image.size
    sounds = tuple(track.name for track in recipe.tracks if track.name)
    return Entry(name, made, recipe.prompt, sounds, heard, recipe.seed, recipe.model, width, height)


def row_of(entry: Entry, state: tuple[int, int]) -> dict[str, Any]:
    """An entry as the index keeps it. state: (bytes, time of change) of the file."""
    sounds = "\n".join(entry.sounds)
    heard = " ".join(label.replace("_", " ") for label, _ in entry.heard)
    return {
        "name": entry.name,
        "bytes": state[0],
        "changed": state[1],
        "made": entry.made.isoformat(timespec="microseconds"),
        "prompt": entry.prompt,
        "sounds": json.dumps(entry.sounds),
        "heard": json.dumps(entry.heard),
        "seed": entry.seed,
        "model": entry.model,
        "width": entry.width,
        "height": entry.height,
        "favourite": entry.favourite,
        "searched": folded(f"{entry.prompt}\n{sounds}\n{heard}"),
        "searched_sounds": folded(sounds),
    }


def folded(text: str) -> str:
    """Text as it is compared: no capitals, one form of each letter, nothing that SQLite cannot hold."""
    plain = unicodedata.normalize("NFC", text).casefold().replace("\0", " ")
    return plain.encode("utf-8", "replace").decode("utf-8")


def _anywhere(text: str) -> str:
    r"""A LIKE pattern for text that occurs anywhere; %, _ and \ stand for themselves."""
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    return f"%{escaped}%"
