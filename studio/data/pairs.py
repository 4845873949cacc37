"""A folder of pairs, the simplest form of data that adapters train on:

PAIRS/sounds/NAME.ogg      any sound file
PAIRS/images/NAME.png      the picture of the same name
PAIRS/labels.json          {"NAME": "rain", ...}, what is heard, in one or two words; may be left out
PAIRS/captions.json        {"NAME": "rain on a lake", ...}, what the picture shows; may be left out
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from studio.errors import InputError
from studio.sound.decode import decodable

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
FEWEST = 2


@dataclass(frozen=True)
class Pair:
    """A sound and the picture that goes with it. label, caption: None where the folder says nothing."""

    name: str
    sound: Path
    picture: Path
    label: str | None = None
    caption: str | None = None

    @property
    def text(self) -> str | None:
        """What the pair is in words: its caption, else its label."""
        return self.caption or self.label


@dataclass(frozen=True)
class Pairs:
    """All pairs of a folder, in the order of their names."""

    folder: Path
    pairs: tuple[Pair, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder has this form rather than that of the embedded models' data."""
        return (folder / "images").is_dir()

    @classmethod
    def load(cls, folder: Path) -> Pairs:
        """Find the pairs; no file of sound or picture is opened. Raises InputError naming the first thing amiss."""
        sounds, pictures = _files(folder, "sounds"), _files(folder, "images")
        for one, others, lacks in ((sounds, pictures, "picture in images"), (pictures, sounds, "sound in sounds")):
            if lone := sorted(set(one) - set(others)):
                raise InputError(
                    f"{one[lone[0]].name!r} has no {lacks} of the same name: give each sound one picture."
                )
        if len(sounds) < FEWEST:
            raise InputError(f"The folder {folder.name!r} holds {len(sounds)} pairs; at least {FEWEST} are needed.")
        labels, captions = (_texts(folder / file, sounds) for file in ("labels.json", "captions.json"))
        return cls(
            folder,
            tuple(
                Pair(name, sounds[name], pictures[name], labels.get(name), captions.get(name))
                for name in sorted(sounds)
            ),
        )

    def held_out(self) -> tuple[int, ...]:
        """Every tenth pair, and at least one where there are four: for scores, never for training.

        By the names' digests: another pair in the folder hardly moves the others.
        """
        count = 0 if len(self) < 4 else max(1, len(self) // 10)
        order = sorted(range(len(self)), key=lambda index: hashlib.sha256(self.pairs[index].name.encode()).hexdigest())
        return tuple(sorted(order[:count]))


def _files(folder: Path, part: str) -> dict[str, Path]:
    """The files of one part by their names without ending."""
    if not (folder / part).is_dir():
        raise InputError(
            f"The folder {folder.name!r} has no folder {part!r} in it: pairs are sounds/NAME.ogg and images/NAME.png."
        )
    found: dict[str, Path] = {}
    for file in sorted((folder / part).iterdir()):
        if file.name.startswith(".") or file.is_dir():
            continue
        if part == "sounds" and not decodable(file):
            raise InputError(f"sounds/{file.name} is no sound that can be read: take it away, or convert it.")
        if part == "images" and file.suffix.lower() not in PICTURES:
            known = ", ".join(sorted(PICTURES))
            raise InputError(f"images/{file.name} is no picture that can be read: take it away, or use {known}.")
        if file.stem in found:
            raise InputError(f"{part} holds {found[file.stem].name!r} and {file.name!r}: keep one of that name.")
        found[file.stem] = file
    return found


def _texts(file: Path, names: dict[str, Path]) -> dict[str, str]:
    """A file of texts by name; empty where there is none. It must name every pair and nothing else."""
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f'{file.name} cannot be read as JSON ({error}): write it as {{"NAME": "text"}}.') from None
    if not isinstance(values, dict):
        raise InputError(f'{file.name} must be an object such as {{"NAME": "text"}}, not a {type(values).__name__}.')
    if odd := sorted(set(values) ^ set(names)):
        problem = "names a pair that is not there" if odd[0] in values else "does not name the pair"
        raise InputError(f"{file.name} {problem}, {odd[0]!r}: it must name every pair and nothing else.")
    for name, text in values.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{file.name} says nothing in words of {name!r}: give it a text.")
    return {name: " ".join(text.split()) for name, text in values.items()}
