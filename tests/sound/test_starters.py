"""The starter sounds: each is there with its credit, can be heard, and may be given away."""

from __future__ import annotations

import json

import pytest

from studio.paths import assets_folder
from studio.sound.decode import read_clip
from studio.sound.loudness import lufs, refuse_silence

FOLDER = assets_folder() / "sounds"
CREDITS = json.loads((FOLDER / "credits.json").read_text(encoding="utf-8"))


def test_every_sound_has_its_credit_and_every_credit_its_sound() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.ogg")) == sorted(credit["name"] for credit in CREDITS)
    assert len({credit["recording"] for credit in CREDITS}) == len(CREDITS) == 8


@pytest.mark.parametrize("credit", CREDITS, ids=[credit["name"] for credit in CREDITS])
def test_starter(credit: dict[str, str]) -> None:
    fields = {"name", "title", "label", "licence", "author", "original", "source", "through", "recording", "changes"}
    assert set(credit) == fields
    assert all(value.strip() for value in credit.values())
    assert credit["licence"].startswith(("CC0 1.0", "CC BY 3.0"))
    assert credit["source"].startswith("https://")
    clip = read_clip(FOLDER / credit["name"])
    refuse_silence(clip)
    assert (clip.channels, clip.rate) == (1, 16_000)
    assert 0.5 < clip.seconds <= 5.01
    assert -30 < lufs(clip) < -18
    assert (FOLDER / credit["name"]).stat().st_size < 60_000
