"""What pictures look like in numbers: 64 px pixels, the classifier's features, and sets of equal composition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from studio.data.photos import Photos
from studio.evaluation.classifier import SIZE, PictureClassifier


def small_photos(photos: Photos, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Those photos as the classifier sees them: uint8 [N, 64, 64, 3]."""
    shown = tqdm(rows, desc="shrinking photos", unit="photo", disable=len(rows) < 1000)
    return np.stack([photos.resized(int(row), SIZE) for row in shown])


def features(classifier: PictureClassifier, small: np.ndarray) -> np.ndarray:
    """The classifier's penultimate layer for uint8 [N, 64, 64, 3]: float32 [N, D]."""
    starts = tqdm(range(0, len(small), 128), desc="features", unit="batch", disable=len(small) < 1000)
    return np.concatenate([classifier.features(small[start : start + 128]) for start in starts])


def matched(generator: np.random.Generator, *sets: Sequence[str]) -> list[np.ndarray]:
    """Rows of each set, such that all have the same number of each class: as many as the smallest set has.

    sets: the class of every picture of each set. Sets that differ in how many seas and how many dogs they hold would
    differ in every statistic, however alike their seas are. Rows are drawn without repetition.
    """
    counts = [Counter(names) for names in sets]
    chosen: list[list[int]] = [[] for _ in sets]
    for name in sorted(counts[0]):
        number = min(count[name] for count in counts)
        for rows, names in zip(chosen, sets, strict=True):
            rows += generator.permutation(np.flatnonzero(np.asarray(names) == name))[:number].tolist()
    return [np.array(rows, int) for rows in chosen]
