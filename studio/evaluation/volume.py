"""Whether a louder sound makes a picture that shows it more."""

from __future__ import annotations

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.errors import InputError
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Job
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.scores import Findings, Score
from studio.evaluation.sheets import captioned_sheet

GAINS = (-30.0, -20.0, -10.0, 0.0)  # dB, relative to the recording


def rank_correlation(values: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of [N, G] with its rising position: float [N] in -1..1, 0 for equal values.

    Of four values in random order 11 of 24 orders rise.
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    place = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    size = np.sqrt((ranks**2).sum(1) * (place**2).sum())
    return (ranks @ place) / np.where(size > 0, size, 1)


def pair_probability(classifier: PictureClassifier, pictures: list[Image.Image], accepted: list[str]) -> np.ndarray:
    """The classifier's probability that each picture shows one of the accepted classes: float [B] in 0..1."""
    columns = [classifier.classes.index(name) for name in accepted]
    return classifier.probabilities(pictures)[:, columns].sum(1)


def chosen_jobs(jobs: list[Job], per_class: int) -> list[Job]:
    """At most `per_class` of each sound, the first ones."""
    names = [job.name for job in jobs]
    return [job for place, job in enumerate(jobs) if names[:place].count(job.name) < per_class]


@METRICS.register("volume")
def volume(bench: Bench) -> Findings:
    """The classifier's probability of the sound's pair at four levels of the same recording with the same seed.

    Recordings that the engine refuses as silent at the lowest level are left out. volume.jpg: a row has two sounds,
    from quiet to loud.
    """
    jobs = chosen_jobs(bench.jobs(), bench.counts.volume_per_class)
    shown: list[tuple[str, Image.Image]] = []
    found: list[np.ndarray] = []
    names: list[str] = []
    for job in tqdm(jobs, desc="pictures at four levels", unit="sound"):
        try:
            pictures = [bench.draw(job, gain)[0] for gain in GAINS]
        except InputError:
            continue
        sure = pair_probability(bench.classifier, pictures, bench.vocabulary.pairs[job.name])
        found.append(sure)
        names.append(job.name)
        shown += [
            (f"{job.name[:6]} {gain:g} dB {one:.2f}", picture)
            for gain, one, picture in zip(GAINS, sure, pictures, strict=True)
        ]
    if not found:
        return Findings([])
    table = np.stack(found)
    rising = rank_correlation(table)
    scores = [
        Score(f"volume: probability of the pair at {gain:g} dB", float(mean), len(table))
        for gain, mean in zip(GAINS, table.mean(0), strict=True)
    ]
    share = float((rising > 0).mean())
    scores.append(Score("volume: sounds whose probability rises (0.46 = chance)", share, len(table)))
    by_class = {name: float(rising[[n == name for n in names]].mean()) for name in dict.fromkeys(names)}
    return Findings(scores, by_class, {"volume.jpg": captioned_sheet(shown, columns=8, size=112)})
