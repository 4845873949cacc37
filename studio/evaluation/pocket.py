"""The scores of the embedded models, on recordings and photos they never saw.

Pictures are scored by the project's own classifier. Its accuracy on held-out real photos is the yardstick: a ratio of
1 means that generated pictures are recognised as often as the photos are. Picture scores are means over classes, so
that a class of three photos counts as much as one of ninety.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.data.photos import Photos
from studio.data.recordings import Sounds, held_out
from studio.data.shards import Vocabulary
from studio.engine import Engine
from studio.errors import InputError
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.paint import paint_text
from studio.evaluation.sheets import captioned_sheet
from studio.recipe import Recipe

PARTS = ("ear", "text", "sounds")


@dataclass(frozen=True)
class Score:
    """One line of the report: what was measured, its value (a share, or a ratio of shares), on how many."""

    name: str
    value: float
    count: int


@dataclass(frozen=True)
class Made:
    """A generated picture: of which class, and whether the ear had named its sound right (None for text)."""

    name: str
    image: Image.Image
    ear_right: bool | None = None


def class_mean(hits: Iterable[bool], names: Iterable[str]) -> float:
    """Mean over classes of each class's share of hits."""
    return float(np.mean(list(shares(hits, names).values())))


def shares(hits: Iterable[bool], names: Iterable[str]) -> dict[str, float]:
    """Each class's share of hits."""
    right, groups = np.asarray(list(hits), float), np.asarray(list(names))
    return {str(name): float(right[groups == name].mean()) for name in np.unique(groups)}


def score_ear(engine: Engine, sounds: Sounds) -> tuple[list[Score], dict[str, float]]:
    """Top-1 and top-3 over all sound classes on the held-out recordings, and top-1 by class.

    A recording that was cut into several pieces counts once: the shares of its pieces are averaged. A piece that the
    engine refuses as silent counts as wrong.
    """
    ranks: dict[tuple[str, str], list[int]] = {}
    for row, recording in enumerate(tqdm(sounds.recordings, desc="listening", unit="sound")):
        if held_out(recording):
            name = sounds.classes[int(sounds.labels[row])]
            try:
                heard = [label for label, _ in engine.hear(sounds.clips[row]).labels]
                rank = heard.index(name)
            except InputError:
                rank = len(sounds.classes)
            ranks.setdefault((recording, name), []).append(rank)
    first = {key: float(np.mean([rank < 1 for rank in found])) for key, found in ranks.items()}
    third = [float(np.mean([rank < 3 for rank in found])) for found in ranks.values()]
    by_class = {name: float(np.mean([first[key] for key in first if key[1] == name])) for _, name in first}
    scores = [
        Score("ear: right sound first", float(np.mean(list(first.values()))), len(first)),
        Score("ear: right sound among the first three", float(np.mean(third)), len(first)),
    ]
    return scores, by_class


def recognised(classifier: PictureClassifier, pictures: Sequence[Image.Image]) -> list[str]:
    """The class that the classifier sees in each picture."""
    guesses: list[str] = []
    for start in range(0, len(pictures), 128):
        best = classifier.probabilities(pictures[start : start + 128]).argmax(-1)
        guesses += [classifier.classes[int(number)] for number in best]
    return guesses


def score_photos(classifier: PictureClassifier, photos: Photos, vocabulary: Vocabulary) -> tuple[Score, Score]:
    """The yardsticks: held-out real photos, over picture classes, and over sound classes by their pairs."""
    guesses = recognised(classifier, [Image.fromarray(photos[index]) for index in range(len(photos))])
    names = [vocabulary.pictures[int(label)] for label in photos.labels]
    both = list(zip(guesses, names, strict=True))
    plain = class_mean([guess == name for guess, name in both], names)
    # A sound's photos are those of all its picture classes; any of these classes is right for any of them.
    paired = [
        (sound, guess in accepted)
        for sound, accepted in vocabulary.pairs.items()
        for guess, name in both
        if name in accepted
    ]
    by_pair = class_mean([hit for _, hit in paired], [sound for sound, _ in paired])
    return (
        Score("real photos: right class", plain, len(both)),
        Score("real photos: a class of the sound's pair", by_pair, len(paired)),
    )


def text_pictures(backbone: Backbone, vocabulary: Vocabulary, seeds: int) -> Iterator[Made]:
    """Pictures of "a photo of a NOUN", the model's own settings, for every picture class and seed."""
    jobs = [(name, seed) for seed in range(seeds) for name in vocabulary.pictures]
    for name, seed in tqdm(jobs, desc="pictures from text", unit="picture"):
        noun = vocabulary.nouns[name][0]
        article = "an" if noun[0] in "aeiou" else "a"
        yield Made(name, paint_text(backbone, f"a photo of {article} {noun}", seed))


def sound_pictures(engine: Engine, sounds: Sounds, vocabulary: Vocabulary, per_class: int) -> Iterator[Made]:
    """Pictures of "a photo of A*" from held-out recordings that have pictures; one piece of each recording."""
    jobs: list[tuple[str, int]] = []
    seen: set[str] = set()
    for row, recording in enumerate(sounds.recordings):
        name = sounds.classes[int(sounds.labels[row])]
        wanted = held_out(recording) and recording not in seen and name in vocabulary.pairs
        if wanted and sum(other == name for other, _ in jobs) < per_class:
            jobs.append((name, row))
            seen.add(recording)
    for seed, (name, row) in enumerate(tqdm(sorted(jobs), desc="pictures from sounds", unit="picture")):
        result = engine.run(Recipe(seed=seed, preview_every=0), sounds.clips[row])
        yield Made(name, result.images[0], result.heard[0][0] == name)


def score_text(made: list[Made], guesses: list[str], yardstick: Score) -> tuple[list[Score], dict[str, float]]:
    """How often pictures from text are recognised as their class, also as a ratio to real photos."""
    hits = [guess == one.name for guess, one in zip(guesses, made, strict=True)]
    names = [one.name for one in made]
    share = class_mean(hits, names)
    scores = [
        Score("text: right class", share, len(made)),
        Score("text: ratio to real photos", share / yardstick.value, len(made)),
    ]
    return scores, shares(hits, names)


def score_sounds(
    made: list[Made], guesses: list[str], pairs: dict[str, list[str]], yardstick: Score
) -> tuple[list[Score], dict[str, float]]:
    """How often pictures from sounds are recognised as a class of the sound's pair, also where the ear was right."""
    hits = [guess in pairs[one.name] for guess, one in zip(guesses, made, strict=True)]
    names = [one.name for one in made]
    share = class_mean(hits, names)
    scores = [
        Score("sounds: a class of the pair", share, len(made)),
        Score("sounds: ratio to real photos", share / yardstick.value, len(made)),
    ]
    heard = [(hit, one.name) for hit, one in zip(hits, made, strict=True) if one.ear_right]
    if heard:
        ratio = class_mean([hit for hit, _ in heard], [name for _, name in heard]) / yardstick.value
        scores.append(Score("sounds, where the ear was right: ratio", ratio, len(heard)))
    return scores, shares(hits, names)


def evaluate_pocket(
    data: Path, cache: Path, out: Path, *, seeds: int = 4, per_class: int = 4, parts: Sequence[str] = PARTS
) -> dict[str, Any]:
    """Score the embedded models; writes ``scores.json`` and the sheets into `out` and returns what it wrote.

    seeds : pictures of each noun.  per_class : at most so many recordings of each sound.  parts : which of `PARTS`.
    """
    out.mkdir(parents=True, exist_ok=True)
    engine, vocabulary = Engine(), Vocabulary.load(data)
    sounds = Sounds.load(data) if {"ear", "sounds"} & set(parts) else None
    scores: list[Score] = []
    by_class: dict[str, dict[str, float]] = {}
    backbone = load_backbone("pocket", engine.choice)
    if sounds is not None and "ear" in parts:
        found, by_class["ear"] = score_ear(engine, sounds)
        scores += found
    if {"text", "sounds"} & set(parts):
        classifier = PictureClassifier.load()
        plain, paired = score_photos(classifier, Photos.load(data, "val", cache), vocabulary)
        scores += [plain, paired]
    if "text" in parts:
        made = list(text_pictures(backbone, vocabulary, seeds))
        found, by_class["text"] = score_text(made, recognised(classifier, [one.image for one in made]), plain)
        scores += found
        shown = [(one.name, one.image) for one in made[: 2 * len(vocabulary.pictures)]]
        captioned_sheet(shown, columns=11).save(out / "text.jpg", quality=88)
    if sounds is not None and "sounds" in parts:
        made = list(sound_pictures(engine, sounds, vocabulary, per_class))
        guesses = recognised(classifier, [one.image for one in made])
        found, by_class["sounds"] = score_sounds(made, guesses, vocabulary.pairs, paired)
        scores += found
        captioned_sheet([(one.name, one.image) for one in made], columns=12).save(out / "sounds.jpg", quality=88)
    report = {"scores": [asdict(score) for score in scores], "by_class": by_class, "model": backbone.digest()}
    (out / "scores.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return report
