"""Two sounds in one picture: mixed in the air, morphed between their meanings; and two of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.errors import InputError
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Job
from studio.evaluation.couples import PHOTO_PAIRS, couples, equally_loud, known_couples, photo_pair
from studio.evaluation.scores import Findings, Score, spread
from studio.evaluation.sheets import captioned_sheet
from studio.evaluation.volume import pair_probability, rank_correlation
from studio.recipe import Recipe, Track
from studio.sound.clip import Clip
from studio.sound.loudness import apply_gain

SHOWN_FIRST = 5  # a class counts as shown when it is among the classifier's first so many
LOUDER = 6.0  # dB by which one of the two is louder, and the other softer
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
Couple = tuple[Job, Job]


def draw(bench: Bench, clips: list[Clip], seed: int, **fields: object) -> Image.Image:
    """The picture of a scene of these sounds. Raises InputError as the engine does."""
    settings = {"model": bench.model, "adapter": bench.adapters[0], "seed": seed, "preview_every": 0, **fields}
    recipe = Recipe(tracks=tuple(Track() for _ in clips), **settings)  # type: ignore[arg-type]
    return bench.engine.run(recipe, clips).images[0]


def shows(bench: Bench, picture: Image.Image, accepted: list[str]) -> bool:
    """Whether one of the accepted classes is among the classifier's first five."""
    classes, sure = bench.classifier.classes, bench.classifier.probabilities([picture])[0]
    return bool({classes[int(place)] for place in np.argsort(-sure)[:SHOWN_FIRST]} & set(accepted))


def distance(one: Image.Image, other: Image.Image) -> float:
    """Root mean square difference of two pictures' pixels, 0..1."""
    a, b = (np.asarray(picture, np.float64) / 255 for picture in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


@METRICS.register("mix")
def mix(bench: Bench) -> Findings:
    """Two sounds at equal loudness in one picture, and with one of them 12 dB louder: of any unheard recordings, and
    of those the ear names rightly. Beside them photos of the two, put together: what can be seen of two things at all.
    mix.jpg, mix-known.jpg: equal, first, second louder.
    """
    return of_both(bench, "mix", _mixed)


@METRICS.register("morph")
def morph(bench: Bench) -> Findings:
    """From one sound's meaning to another's in five places, one seed: of any unheard recordings, and of those the ear
    names rightly. morph.jpg, morph-known.jpg: a row has two morphs.
    """
    return of_both(bench, "morph", _morphed)


@METRICS.register("variety")
def variety(bench: Bench) -> Findings:
    """How far two recordings of one sound differ in their pictures (same seed), beside recordings of two sounds."""
    jobs = bench.jobs()
    names = [job.name for job in jobs]
    same = [(one, other) for one, other in pairwise(jobs) if one.name == other.name]
    other_sound = {job.name: jobs[(names.index(job.name) + len(jobs) // 2) % len(jobs)] for job, _ in same}
    within, between = [], []
    for one, other in tqdm(spread(same, bench.counts.couples) if same else [], desc="variety", unit="pair"):
        try:
            trio = [bench.draw(Job(job.name, job.row, one.seed))[0] for job in (one, other, other_sound[one.name])]
        except InputError:
            continue
        within.append(distance(trio[0], trio[1]))
        between.append(distance(trio[0], trio[2]))
    if not within:
        return Findings([])
    ratio = float(np.mean(within) / max(float(np.mean(between)), 1e-9))
    return Findings(
        [
            Score("variety: distance of two recordings' pictures, 0..1", float(np.mean(within)), len(within)),
            Score("variety: the same as a share of two sounds' distance", ratio, len(within)),
        ]
    )


def of_both(bench: Bench, name: str, measure: Callable[[Bench, list[Couple]], Findings]) -> Findings:
    """What is measured of any couples, and of those that the ear names rightly, with their lines and sheets named so.

    The first is what an artist gets; the second leaves the ear's mistakes out, and so says what joining does.
    """
    plain = measure(bench, couples(bench))
    known = measure(bench, known_couples(bench))
    told = f"{name}, the ear names both rightly"
    lines = [replace(line, name=line.name.replace(name, told, 1)) for line in known.scores]
    sheets = {file.replace(".", "-known.", 1): page for file, page in known.sheets.items()}
    return Findings([*plain.scores, *lines], sheets=plain.sheets | sheets)


def _mixed(bench: Bench, some: list[Couple]) -> Findings:
    pairs, both, wins, real = bench.vocabulary.pairs, [], [], []
    shown: list[tuple[str, Image.Image]] = []
    for couple in tqdm(some, desc="mixes", unit="pair"):
        first, second = equally_loud(bench, couple)
        quiet, loud = (-LOUDER, LOUDER)
        scenes = [
            [first, second],
            [apply_gain(first, loud), apply_gain(second, quiet)],
            [apply_gain(first, quiet), apply_gain(second, loud)],
        ]
        try:
            pictures = [draw(bench, scene, couple[0].seed) for scene in scenes]
        except InputError:
            continue
        wanted = (pairs[couple[0].name], pairs[couple[1].name])
        both.append(all(shows(bench, pictures[0], one) for one in wanted))
        photos = [photo_pair(bench, wanted, couple[0].seed * PHOTO_PAIRS + turn) for turn in range(PHOTO_PAIRS)]
        real += [all(shows(bench, photo, one) for one in wanted) for photo in photos if photo is not None]
        for place, job in enumerate(couple):
            sure = pair_probability(bench.classifier, pictures, pairs[job.name])
            wins.append(bool(sure[1 + place] > sure[2 - place]))
        names = [job.name[:8] for job in couple]
        captions = ["+".join(names), f"{names[0]} louder", f"{names[1]} louder"]
        shown += list(zip(captions, pictures, strict=True))
    if not both:
        return Findings([])
    scores = [
        Score("mix: both sounds among the first five classes", float(np.mean(both)), len(both), goal=0.4),
        Score("mix: more likely when it is the louder one (0.5 = chance)", float(np.mean(wins)), len(wins)),
    ]
    if real:  # what this classifier sees of two things in one picture, when they are there for certain
        scores.insert(
            1, Score("mix: halves of two real photos, both among the first five", float(np.mean(real)), len(real))
        )
    return Findings(scores, sheets={"mix.jpg": captioned_sheet(shown, columns=9)})


def _morphed(bench: Bench, some: list[Couple]) -> Findings:
    pairs, falls, rises, steps = bench.vocabulary.pairs, [], [], []
    shown: list[tuple[str, Image.Image]] = []
    for couple in tqdm(some, desc="morphs", unit="pair"):
        clips = [bench.sounds.clips[job.row] for job in couple]
        try:
            pictures = [
                draw(bench, clips, couple[0].seed, join="morph", weights=(1 - place, place)) for place in PLACES
            ]
        except InputError:
            continue
        falls.append(-pair_probability(bench.classifier, pictures, pairs[couple[0].name]))
        rises.append(pair_probability(bench.classifier, pictures, pairs[couple[1].name]))
        whole = distance(pictures[0], pictures[-1])
        steps.append(
            max(distance(*pictures[place : place + 2]) for place in range(len(PLACES) - 1)) / max(whole, 1e-9)
        )
        shown += [
            (f"{couple[0].name[:7]}>{couple[1].name[:7]} {place:g}", one)
            for place, one in zip(PLACES, pictures, strict=True)
        ]
    if not steps:
        return Findings([])
    scores = [
        Score(
            "morph: Spearman, the first falls", float(rank_correlation(np.stack(falls)).mean()), len(falls), goal=0.9
        ),
        Score(
            "morph: Spearman, the second rises", float(rank_correlation(np.stack(rises)).mean()), len(rises), goal=0.9
        ),
        Score("morph: largest of 4 steps, as a share of the distance of the ends", float(np.max(steps)), len(steps)),
        Score("morph: the same, mean (0.25 = four equal steps on a line)", float(np.mean(steps)), len(steps)),
    ]
    return Findings(scores, sheets={"morph.jpg": captioned_sheet(shown, columns=10, size=112)})
