"""Pitch and tempo, and none where there is none."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from studio.sound.character import Character, character
from studio.sound.clip import Clip

RATE = 22_050


def clip_of(samples: np.ndarray, rate: int = RATE) -> Clip:
    return Clip(samples.astype(np.float32)[None], rate)


def tone(hz: float, seconds: float = 2.0) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum(np.sin(2 * np.pi * hz * part * times) / part for part in (1, 2, 3)) * 0.2)


@pytest.mark.parametrize(("hz", "note"), [(440.0, "A4"), (261.6, "C4"), (98.0, "G2"), (1046.5, "C6")])
def test_the_pitch_of_a_tone(hz: float, note: str) -> None:
    said = character(clip_of(tone(hz)))
    assert said.pitch == pytest.approx(hz, rel=0.01) and said.note == note
    assert str(said) == f"{note} ({said.pitch:.0f} Hz)"


@pytest.mark.parametrize("bpm", [90, 120])
def test_the_tempo_of_clicks(bpm: int) -> None:
    clicks = np.zeros(8 * RATE)
    clicks[:: round(60 / bpm * RATE)] = 1
    said = character(clip_of(np.convolve(clicks, np.hanning(400), "same")))
    assert said.tempo == pytest.approx(bpm, rel=0.04)
    assert "BPM" in str(said)


def test_noise_silence_and_a_blip_have_neither() -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * RATE)
    for samples in (noise, np.zeros(RATE), tone(440, 0.06)):
        assert character(clip_of(samples)) == Character()
    assert str(Character()) == ""


def test_librosa_is_imported_late() -> None:
    program = "import studio.sound.character, sys; print('librosa' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
