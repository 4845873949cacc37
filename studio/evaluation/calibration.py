"""Whether the ear is as sure as it is right: expected calibration error and the reliability plot.

Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3: sounds are sorted into bins by the ear's
confidence (the probability of its first label); the error is the mean over bins, weighted by what is in them, of the
distance between the share that is right and the mean confidence. The ear's temperature is fitted on half of the
held-out recordings (`studio.training.vote`; on training recordings the ear is surer than it has a right to be), so
only the other half is scored here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from studio.data.recordings import calibrates
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench
from studio.evaluation.scores import Findings, Score

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """K bins of equal width over 0..1.

    weight: share of all that is in each bin, float [K], sums to 1.
    confidence, accuracy: mean confidence and share right in each bin, float [K]; 0 where a bin is empty.
    """

    weight: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1."""
        return float(np.sum(self.weight * np.abs(self.accuracy - self.confidence)))

    @property
    def excess(self) -> float:
        """Mean confidence minus share right, -1..1: positive = too sure."""
        return float(np.sum(self.weight * (self.confidence - self.accuracy)))


def reliability(confidence: np.ndarray, right: np.ndarray, weight: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort N answers into bins. confidence: [N] in 0..1.  right: [N], whether each is.  weight: [N], positive."""
    share = weight / weight.sum()
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = np.bincount(place, share, bins)
    filled = np.maximum(inside, 1e-12)
    return Reliability(
        inside,
        np.bincount(place, share * confidence, bins) / filled,
        np.bincount(place, share * right, bins) / filled,
    )


def reliability_plot(found: Reliability, size: int = 420) -> Image.Image:
    """Bars of the share right over confidence with the diagonal, and below them how much lies in each bin."""
    margin, strip = 44, 60
    page = Image.new("RGB", (size + 2 * margin, size + strip + 2 * margin), "white")
    draw = ImageDraw.Draw(page)
    left, bottom = margin, margin + size
    bins = len(found.weight)
    for number in range(bins):
        first, last = left + size * number // bins, left + size * (number + 1) // bins - 2
        if found.weight[number] > 0:
            draw.rectangle((first, bottom - size * found.accuracy[number], last, bottom), fill="#4a7fb5")
            # A line across the bar at the mean confidence: the distance to the bar's top is the bin's error.
            level = bottom - size * found.confidence[number]
            draw.line((first, level, last, level), fill="#c23b22", width=3)
        height = (strip - 16) * found.weight[number] / max(found.weight.max(), 1e-12)
        draw.rectangle((first, bottom + strip - height, last, bottom + strip), fill="#999999")
    draw.line((left, bottom, left + size, bottom - size), fill="black")
    draw.rectangle((left, bottom - size, left + size, bottom), outline="black")
    for tenth in range(0, 11, 2):
        draw.text((left + size * tenth // 10 - 8, bottom + strip + 4), f"{tenth / 10:.1f}", fill="black")
        draw.text((left - 24, bottom - size * tenth // 10 - 6), f"{tenth / 10:.1f}", fill="black")
    draw.text((left, 8), f"blue: share right, red: confidence; ECE {found.error:.3f}", fill="black")
    draw.text((left, 22), "diagonal: as sure as right", fill="black")
    draw.text((left, bottom + strip + 20), "confidence (grey: how many sounds)", fill="black")
    return page


@METRICS.register("calibration")
def calibration(bench: Bench) -> Findings:
    """ECE of the ear on held-out recordings that its temperature has not seen; one in several pieces counts once.

    Sounds that the engine refuses as silent have no confidence and are left out.
    """
    pieces = Counter(bench.sounds.recordings)
    answers = []
    for row, recording in enumerate(tqdm(bench.sounds.recordings, desc="confidence", unit="sound")):
        heard = None if calibrates(recording) else bench.hear(row)
        if heard is not None:
            label, sure = heard[0]
            answers.append((sure, label == bench.sound_name(row), 1 / pieces[recording]))
    if not answers:
        return Findings([])
    confidence, right, weight = (np.array(column, float) for column in zip(*answers, strict=True))
    found = reliability(confidence, right, weight)
    scores = [
        Score(f"calibration: expected calibration error ({BINS} bins)", found.error, len(answers)),
        Score("calibration: mean confidence minus share right", found.excess, len(answers)),
    ]
    return Findings(scores, sheets={"reliability.png": reliability_plot(found)})
