"""Copies are found, and what was only drawn from the same world is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from studio.evaluation.copies import distances, nearness, pixel_distances, training_wins


def pictures(count: int, seed: int) -> np.ndarray:
    """Smooth random pictures, uint8 [count, 64, 64, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3))
    return coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8)


def test_distances_by_hand() -> None:
    found = distances(np.array([[0.0, 0.0]]), np.array([[1.0, 1.0], [3.0, 0.0]]))
    assert found == pytest.approx(np.array([[1.0, np.sqrt(4.5)]]))


def test_pixel_distance_finds_the_photo_and_its_mirror_image() -> None:
    photos = pictures(30, 0)
    found = pixel_distances(np.stack([photos[3], photos[7][:, ::-1]]), photos)
    assert found.argmin(1).tolist() == [3, 7]
    assert found.min() < 1e-3 and np.median(found) > 0.2
    assert found[0, 5] <= np.sqrt(np.mean((photos[3] / 255 - photos[5] / 255) ** 2)) + 1e-4


def test_only_copies_stand_out_from_their_neighbours() -> None:
    photos, fresh = pictures(200, 0), pictures(20, 1)
    noisy = (photos[:20].astype(int) + np.random.default_rng(2).integers(-20, 20, photos[:20].shape)).clip(0, 255)
    assert nearness(pixel_distances(noisy.astype(np.uint8), photos)).max() < 0.5
    assert nearness(pixel_distances(fresh, photos)).min() > 0.7


def test_equal_numbers_are_won_by_copies_only() -> None:
    training, held_out, fresh = pictures(60, 0), pictures(60, 1), pictures(200, 2)
    names = (["sea", "dog"] * 30, ["sea", "dog"] * 30)

    def wins(made: np.ndarray) -> float:
        to_both = pixel_distances(made, training), pixel_distances(made, held_out)
        return training_wins(*to_both, names, np.random.default_rng(0))[0]

    assert wins(fresh) == pytest.approx(0.5, abs=0.12)
    assert wins(training) == 1 and wins(held_out) == 0
