"""Words between words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.word import blend_words

RANDOM = np.random.default_rng(0)
FIRST, SECOND, THIRD = ((scale * RANDOM.standard_normal((2, 64))).astype(np.float32) for scale in (1.0, 0.4, 2.0))


def _lengths(word: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    return np.asarray(np.linalg.norm(word, axis=1))


@pytest.mark.parametrize("weights", [(1, 0, 0), (5, 0, 0), (0.1, 0, 0)])
def test_all_the_weight_is_that_word_bit_for_bit(weights: tuple[float, ...]) -> None:
    assert blend_words([FIRST, SECOND, THIRD], weights).tobytes() == FIRST.tobytes()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_length_and_direction_go_from_one_to_the_other(share: float) -> None:
    between = blend_words([FIRST, SECOND], (1 - share, share))
    assert between.dtype == np.float32
    np.testing.assert_allclose(_lengths(between), (1 - share) * _lengths(FIRST) + share * _lengths(SECOND), rtol=1e-5)
    cosines = [
        float((between[0] * one[0]).sum() / np.linalg.norm(between[0]) / np.linalg.norm(one[0]))
        for one in (FIRST, SECOND)
    ]
    assert (cosines[0] > cosines[1]) == (share < 0.5) or share == 0.5
    if share == 0.5:
        assert cosines[0] == pytest.approx(cosines[1], abs=1e-5), "also when one word is longer"


def test_only_ratios_count_and_no_order_is_special() -> None:
    one = blend_words([FIRST, SECOND, THIRD], (1, 2, 3))
    np.testing.assert_allclose(blend_words([THIRD, FIRST, SECOND], (30, 10, 20)), one, atol=1e-6)
    np.testing.assert_allclose(blend_words([FIRST, FIRST], (1, 2)), FIRST, rtol=1e-6)


def test_opposite_words() -> None:
    assert np.isfinite(blend_words([FIRST, -FIRST], (1, 1))).all()
    assert not blend_words([0 * FIRST, 0 * FIRST], (1, 1)).any()
