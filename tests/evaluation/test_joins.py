"""Mixes and morphs: which sounds meet, and what counts as both being there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.evaluation.bench import Counts, Job
from studio.evaluation.joins import couples, distance, equally_loud, shows
from studio.sound.loudness import lufs
from tests.models import noise, tone


def bench_of(jobs: list[Job], pairs: dict[str, list[str]], **more: Any) -> Any:
    vocabulary = SimpleNamespace(pairs=pairs)
    return SimpleNamespace(jobs=lambda: jobs, vocabulary=vocabulary, counts=Counts(couples=3), **more)


def test_couples_show_different_things() -> None:
    names = ["crow", "dog", "fire", "forest_birds", "rain", "sea_waves"]
    pairs = {name: [name] for name in names} | {"crow": ["bird"], "forest_birds": ["forest", "bird"]}
    jobs = [Job(name, row, row) for row, name in enumerate(names)]
    found = couples(bench_of(jobs, pairs))
    assert 1 <= len(found) <= 3
    assert all(not set(pairs[one.name]) & set(pairs[other.name]) for one, other in found)
    assert couples(bench_of(jobs[:1], pairs)) == []


def test_couples_are_equally_loud() -> None:
    sounds = SimpleNamespace(clips=[tone(), noise()])
    clips = equally_loud(bench_of([], {}, sounds=sounds), (Job("a", 0, 0), Job("b", 1, 1)))
    assert lufs(clips[0]) == pytest.approx(lufs(clips[1]), abs=0.1)


def test_distance_of_pictures() -> None:
    black, white = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "white")
    assert (distance(black, black), distance(black, white)) == (0, 1)


def test_shown_is_among_the_first_five() -> None:
    sure = np.array([[0.3, 0.2, 0.15, 0.14, 0.11, 0.1]])
    classifier = SimpleNamespace(classes=list("abcdef"), probabilities=lambda _pictures: sure)
    bench = bench_of([], {}, classifier=classifier)
    picture = Image.new("RGB", (8, 8))
    assert shows(bench, picture, ["f", "e"]) and not shows(bench, picture, ["f"])
