"""Kernel distance between pictures from text and held-out photos, on features of the project's own classifier.

Binkowski et al. 2018, "Demystifying MMD GANs", section 4: squared maximum mean discrepancy with the polynomial kernel
k(x, y) = (x . y / D + 1)^3, by the unbiased estimator (Gretton et al. 2012, equation 3), over random subsets. They use
Inception's features; these are the penultimate layer of our 64 px classifier, so the numbers compare with nothing
outside this project. What training photos reach against the same held-out photos is printed beside it. That yardstick
is not 0 on average: the classifier has learned from the training photos and is surer of them.
"""

from __future__ import annotations

import numpy as np

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench
from studio.evaluation.classifier import shrink
from studio.evaluation.looks import features, matched, small_photos
from studio.evaluation.scores import Findings, Score
from studio.evaluation.text import text_pictures

SUBSETS = 50
SUBSET_SIZE = 100  # Binkowski et al. draw 1000 of 50,000; some classes have few held-out photos


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x . y / D + 1)^3 of all pairs: [N, D], [M, D] -> [N, M]."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def squared_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD^2 of two sets [N, D] and [M, D], N and M at least 2; near 0, also below, when they are alike."""
    x, y = x.astype(np.float64), y.astype(np.float64)  # differences of large sums
    n, m = len(x), len(y)
    among_x, among_y = kernel(x, x), kernel(y, y)
    return float(
        (among_x.sum() - np.trace(among_x)) / (n * (n - 1))
        + (among_y.sum() - np.trace(among_y)) / (m * (m - 1))
        - 2 * kernel(x, y).mean()
    )


def kernel_distance(
    x: np.ndarray, y: np.ndarray, generator: np.random.Generator, subsets: int = SUBSETS, size: int = SUBSET_SIZE
) -> tuple[float, float]:
    """Mean and deviation of MMD^2 over random subsets of `size` of each set, at most half of the smaller one.

    The subsets overlap, so the deviation says how much one subset's value means, not how exact the mean is.
    """
    size = max(2, min(size, len(x) // 2, len(y) // 2))
    found = [
        squared_discrepancy(
            x[generator.choice(len(x), size, replace=False)], y[generator.choice(len(y), size, replace=False)]
        )
        for _ in range(subsets)
    ]
    return float(np.mean(found)), float(np.std(found))


@METRICS.register("kid")
def kid(bench: Bench) -> Findings:
    """Pictures from text, and training photos, each against held-out photos; all with as many of each class."""
    made = text_pictures(bench)
    generator = np.random.default_rng(0)
    held, training = bench.held_out_photos, bench.training_photos
    rows = matched(generator, [one.name for one in made], bench.photo_names(held), bench.photo_names(training))
    small = (
        np.stack([shrink(made[row].image) for row in rows[0]]),
        small_photos(held, rows[1]),
        small_photos(training, rows[2]),
    )
    generated, unseen, seen = (features(bench.classifier, one) for one in small)
    scores = []
    for name, found in (("pictures from text", generated), ("training photos", seen)):
        mean, deviation = kernel_distance(found, unseen, generator)
        title = f"kernel distance, own features: {name} to held-out photos"
        scores.append(Score(title, mean, len(found), deviation))
    return Findings(scores)
