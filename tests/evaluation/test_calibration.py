"""Calibration error of answers whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest

from studio.evaluation.calibration import BINS, reliability, reliability_plot

DRAW = np.random.default_rng(0)
CONFIDENCE = DRAW.uniform(0.05, 1.0, 40_000)
EQUAL = np.ones_like(CONFIDENCE)


def test_as_sure_as_right_is_no_error() -> None:
    right = DRAW.random(len(CONFIDENCE)) < CONFIDENCE
    found = reliability(CONFIDENCE, right, EQUAL)
    assert found.error < 0.01 and abs(found.excess) < 0.01
    assert found.weight.sum() == pytest.approx(1) and len(found.weight) == BINS


@pytest.mark.parametrize("shift", [-0.2, 0.15])
def test_error_is_the_distance_and_its_sign_the_direction(shift: float) -> None:
    sure = DRAW.uniform(0.3, 0.8, 40_000)
    right = DRAW.random(len(sure)) < sure - shift
    found = reliability(sure, right, np.ones_like(sure))
    assert found.error == pytest.approx(abs(shift), abs=0.01)
    assert found.excess == pytest.approx(shift, abs=0.01)


def test_weights_count_and_the_borders_have_a_bin() -> None:
    found = reliability(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0]), np.array([3.0, 1.0, 4.0]))
    assert found.weight[-1] == found.weight[0] == 0.5
    assert found.error == pytest.approx(0.5 * 0.25)


def test_the_plot_shows_bars_only_where_there_are_answers() -> None:
    page = reliability_plot(reliability(np.array([0.95]), np.array([1]), np.array([1.0])))
    pixels = np.asarray(page).astype(int)
    blue = (abs(pixels - [0x4A, 0x7F, 0xB5]).sum(-1) < 10).nonzero()
    assert len(blue[1]) > 1000 and blue[1].min() > page.width * 0.8
