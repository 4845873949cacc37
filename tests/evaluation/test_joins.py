"""Mixes and morphs: which sounds meet, and what counts as both being there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.evaluation.bench import Counts, Job
from studio.evaluation.couples import PER_SOUND, couples, equally_loud, heard_rightly, known_couples
from studio.evaluation.joins import distance, of_both, shows
from studio.evaluation.scores import Findings, Score
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


def test_known_couples_are_heard_rightly_and_show_different_things() -> None:
    names = ["rain"] * 7 + ["fire"] * 2 + ["dog", "candle_like", "silent", "cough"]
    said: dict[int, Any] = {row: [(name, 0.9), ("sea", 0.1)] for row, name in enumerate(names)}
    said |= {0: [("fire", 0.6), ("rain", 0.4)], 11: None}
    pairs = {"rain": ["rain"], "fire": ["fire"], "dog": ["dog"], "candle_like": ["fire"], "silent": ["snow"]}
    bench: Any = SimpleNamespace(
        one_piece_each=lambda: range(len(names)),
        sound_name=names.__getitem__,
        hear=said.__getitem__,
        vocabulary=SimpleNamespace(pairs=pairs),
        counts=Counts(known_couples=5),
    )
    found = known_couples(bench)
    assert len(found) == 5 and len({frozenset((one.row, other.row)) for one, other in found}) == 5
    rows = {job.row for couple in found for job in couple}
    assert not rows & {0, 11, 12}  # misheard, silent, without pictures
    assert len(rows & set(range(7))) <= PER_SOUND
    assert all(not set(pairs[one.name]) & set(pairs[other.name]) for one, other in found)
    assert not heard_rightly(bench, Job("rain", 0, 0)) and heard_rightly(bench, Job("rain", 1, 0))
    bench.hear = lambda _row: [("sea", 1.0)]
    assert known_couples(bench) == []


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


def test_both_kinds_of_couples_have_lines_and_sheets_of_their_own() -> None:
    met: list[list[str]] = []

    def measure(_bench: Any, some: list[tuple[Job, Job]]) -> Findings:
        met.append(sorted(job.name for couple in some for job in couple))
        return Findings(
            [Score("mix: both", len(some), len(some), goal=0.4)], sheets={"mix.jpg": Image.new("RGB", (8, 8))}
        )

    names = ["dog", "rain", "fire", "sea"]
    jobs = [Job(name, row, row) for row, name in enumerate(names)]
    said = [[("dog", 1.0)], [("rain", 1.0)], [("fire", 1.0)], [("dog", 1.0)]]  # the sea is misheard
    bench = bench_of(
        jobs,
        {name: [name] for name in names},
        one_piece_each=lambda: range(4),
        sound_name=names.__getitem__,
        hear=said.__getitem__,
    )
    found = of_both(bench, "mix", measure)
    assert "sea" in met[0] and "sea" not in met[1]
    assert [line.name for line in found.scores] == ["mix: both", "mix, the ear names both rightly: both"]
    assert set(found.sheets) == {"mix.jpg", "mix-known.jpg"}
