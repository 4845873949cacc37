"""Sounds that are kept for their pictures: found by their digest, and never more than there is room for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from studio.library.sounds import KeptSounds
from studio.recipe import Recipe, Track


def track(folder: Path, name: str, content: bytes) -> Track:
    """A sound of these bytes, as a resolved recipe has it."""
    (folder / name).write_bytes(content)
    return Track.of(folder / name, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def kept(tmp_path: Path) -> KeptSounds:
    return KeptSounds(tmp_path / "sounds", most=250)


def test_a_sound_is_found_again_under_its_name(kept: KeptSounds, tmp_path: Path) -> None:
    rain = track(tmp_path, "my räin.wav", b"r" * 100)
    take = track(tmp_path, "audio.wav", b"t" * 100).replace(name="take-1.wav")
    kept.keep(Recipe(tracks=(rain, take, Track(name="carried.wav", sha256="c" * 64))))
    kept.keep(Recipe(tracks=(rain,)))
    for path in tmp_path.glob("*.wav"):
        path.unlink()  # as the page's cache does after a day
    found = [kept.find(one.sha256) for one in (rain, take)]
    assert [path.name for path in found if path] == ["my räin.wav", "take-1.wav"]
    assert found[0] is not None and found[0].read_bytes() == b"r" * 100
    assert sorted(kept.held()) == sorted(path for path in found if path)
    assert kept.empty() == 200 and kept.held() == [] and kept.find(rain.sha256) is None


@pytest.mark.parametrize("digest", [None, "", "../secret", "C" * 64, "0" * 64])
def test_nothing_else_is_found(kept: KeptSounds, tmp_path: Path, digest: str | None) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.wav").write_bytes(b"secret")
    assert kept.find(digest) is None


def test_what_was_used_longest_ago_goes_first(kept: KeptSounds, tmp_path: Path) -> None:
    tracks = [track(tmp_path, f"{number}.wav", bytes([number]) * 100) for number in range(3)]
    for number, one in enumerate(tracks[:2]):
        kept.keep(Recipe(tracks=(one,)))
        os.utime(kept.folder / str(one.sha256), (number, number))
    (kept.folder / "mine.txt").write_text("not a sound of a picture")
    kept.keep(Recipe(tracks=(tracks[0],)))  # used once more
    kept.keep(Recipe(tracks=(tracks[2],)))
    assert [kept.find(one.sha256) is not None for one in tracks] == [True, False, True]
    kept.empty()
    assert [path.name for path in kept.folder.iterdir()] == ["mine.txt"]


def test_a_disk_that_cannot_be_written_costs_no_picture(tmp_path: Path) -> None:
    (tmp_path / "sounds").write_text("a file, and no folder")
    kept = KeptSounds(tmp_path / "sounds")
    kept.keep(Recipe(tracks=(track(tmp_path, "a.wav", b"a"), Track.of(tmp_path / "gone.wav", sha256="0" * 64))))
    assert kept.held() == [] and kept.empty() == 0
