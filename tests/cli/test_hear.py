"""hear: the form of its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.cli.hear import as_json, as_text
from studio.result import Heard
from studio.sound.character import Character
from tests.cli.conftest import Done


def test_json_is_exactly_the_documented_form(sound: Path, hearsight: Callable[..., Done]) -> None:
    done = hearsight("hear", sound, "--json")
    assert (done.code, done.error) == (0, "")
    answer = json.loads(done.output)
    assert list(answer) == ["labels", "seconds", "lufs", "window", "pitch_hz", "note", "tempo_bpm"]
    assert all(set(entry) == {"label", "probability"} for entry in answer["labels"])
    assert {entry["label"] for entry in answer["labels"]} == {"rain", "dog", "sea_waves"}
    shares = [entry["probability"] for entry in answer["labels"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert answer["seconds"] == pytest.approx(1)
    assert answer["window"] == [0, 1]
    assert -60 < answer["lufs"] < 0


def test_part_and_gain(sound: Path, hearsight: Callable[..., Done]) -> None:
    whole = json.loads(hearsight("hear", sound, "--json", "--start", 0.25, "--duration", 0.5).output)
    assert whole["window"] == [0.25, 0.75]
    softer = json.loads(hearsight("hear", sound, "--json", "--start", 0.25, "--duration", 0.5, "--gain", -6).output)
    assert softer["lufs"] == pytest.approx(whole["lufs"] - 6, abs=0.02)


def test_text_for_people(sound: Path, hearsight: Callable[..., Done]) -> None:
    done = hearsight("hear", sound)
    assert done.code == 0
    assert "sea waves" in done.output
    assert "1.00 s long, heard from 0.00 s to 1.00 s" in done.output


def test_too_soft_to_measure() -> None:
    heard = Heard([("rain", 1.0)], 1.0, -math.inf, (0.0, 1.0))
    assert json.loads(as_json(heard, Character()), parse_constant=lambda name: pytest.fail(name))["lufs"] is None
    assert "too soft to measure" in as_text(heard)
    assert as_text(heard, Character(440.0, "A4", 120.0)).endswith("too soft to measure, A4 (440 Hz), 120 BPM")
    assert as_text(heard, Character()) == as_text(heard)
