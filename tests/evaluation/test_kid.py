"""The kernel distance tells like sets from unlike ones, and compares like with like."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from studio.evaluation.kid import kernel_distance, squared_discrepancy
from studio.evaluation.looks import matched


def points(shift: float, seed: int, count: int = 200) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).normal(shift, 1, (count, 16))).astype(np.float32)


def draw() -> np.random.Generator:
    return np.random.default_rng(0)


def test_halves_of_one_set_are_alike_and_other_sets_are_not() -> None:
    alike, spread = kernel_distance(points(0.0, 1), points(0.0, 2), draw())
    unlike, _ = kernel_distance(points(0.0, 1), points(1.0, 2), draw())
    assert abs(alike) < 2 * spread
    assert unlike > 10 * spread > 0


def test_it_grows_with_the_distance_and_is_symmetric() -> None:
    found = [squared_discrepancy(points(0.0, 1), points(shift, 2)) for shift in (0.3, 0.6, 1.2)]
    assert found == sorted(found)
    assert squared_discrepancy(points(0.6, 2), points(0.0, 1)) == pytest.approx(found[1])


def test_the_estimate_is_unbiased() -> None:
    found = [squared_discrepancy(points(0.0, 2 * seed, 10), points(0.0, 2 * seed + 1, 10)) for seed in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))  # a biased one would be well above


def test_by_hand() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    # Among x: (0 * 1 + 1)^3 = 1; among y: (2 + 1)^3 = 27; between: 1, 1, 8, 27, their mean is 9.25.
    assert squared_discrepancy(x, y) == pytest.approx(1 + 27 - 2 * 9.25)


def test_matched_sets_have_the_same_classes() -> None:
    sets = (["sea"] * 5 + ["dog"] * 2 + ["cat"], ["dog"] * 9 + ["sea"] * 3, ["sea"] * 9 + ["dog"] * 9)
    rows = matched(draw(), *sets)
    for chosen, names in zip(rows, sets, strict=True):
        assert Counter(names[row] for row in chosen) == {"sea": 3, "dog": 2}
        assert len(set(chosen.tolist())) == len(chosen)
