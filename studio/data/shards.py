"""Sounds and photos in the form of the shared data: WebDataset tar shards with one index line a file beside them.

A data folder holds ``sounds/`` and ``photos/`` (each ``NAME-SPLIT-00.tar`` with ``NAME-SPLIT.jsonl``), ``nouns.json``
(words for each photo class, the first is its name) and ``pairs.json`` (photo classes that may stand for a sound
class). Any folder of this form trains the same models.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import InputError


def read_index(path: Path) -> list[dict[str, Any]]:
    """The lines of one ``.jsonl`` index; `InputError` when it is not there."""
    if not path.is_file():
        raise InputError(
            f"The data folder lacks {path.name} (looked in {path.parent.name}/); see the README for its form."
        )
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_members(folder: Path, rows: list[dict[str, Any]], suffix: str) -> Iterator[tuple[int, bytes]]:
    """Yield (row number, file bytes) of every indexed file, shard by shard."""
    wanted: dict[str, dict[str, int]] = {}
    for number, row in enumerate(rows):
        wanted.setdefault(row["shard"], {})[row["key"] + suffix] = number
    for shard, members in wanted.items():
        with tarfile.open(folder / shard) as tar:
            for member in tar:
                handle = tar.extractfile(member) if member.name in members else None
                if handle is not None:
                    yield members[member.name], handle.read()


@dataclass(frozen=True)
class Vocabulary:
    """What the data calls things.

    nouns : photo class -> words for it, the first is the class's name
    pairs : sound class -> photo classes that may stand for it
    """

    nouns: dict[str, list[str]]
    pairs: dict[str, list[str]]

    @classmethod
    def load(cls, data: Path) -> Vocabulary:
        return cls(
            nouns=json.loads((data / "nouns.json").read_text(encoding="utf-8")),
            pairs=json.loads((data / "pairs.json").read_text(encoding="utf-8")),
        )

    @property
    def pictures(self) -> list[str]:
        """Photo classes in a fixed order."""
        return list(self.nouns)
