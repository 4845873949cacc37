"""The bench: data, models and pictures that the metrics share. Everything on it is loaded or made on first use, once.

Drawing is what takes time, so pictures are remembered by prompt or sound, seed and gain: a metric asks for what it
needs and gets what another one has drawn before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.data.photos import Photos
from studio.data.recordings import Sounds, held_out
from studio.data.shards import Vocabulary
from studio.engine import Engine
from studio.errors import InputError
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.paint import paint_text
from studio.evaluation.scores import Score, class_mean
from studio.recipe import Recipe, Track


@dataclass(frozen=True)
class Counts:
    """How much is measured; all at least 1. With these, everything takes under ten minutes on two free cores.

    seeds: pictures of each noun.  per_class: recordings of each sound that are drawn, at most.
    recordings: held-out recordings that go through each disturbance, at most.
    volume_per_class: recordings of each sound that are drawn at four levels, at most.
    couples: pairs of sounds that are mixed, morphed, placed, or compared, at most.
    known_couples: pairs of sounds that are mixed, morphed and placed, of those that the ear names rightly, at most.
    nouns: nouns whose pictures are asked to change with the words, at most.
    photos: held-out photos whose nearest training photo is looked for, at most.
    edits: held-out photos that are edited with a sound by every method, at most; a tenth of them at four volumes.
    """

    seeds: int = 3
    per_class: int = 2
    recordings: int = 200
    volume_per_class: int = 1
    couples: int = 16
    known_couples: int = 32
    nouns: int = 5
    photos: int = 300
    edits: int = 20

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}.")


@dataclass(frozen=True)
class Made:
    """A generated picture: of which class, and whether the ear had named its sound right (None for text)."""

    name: str
    image: Image.Image
    ear_right: bool | None = None


@dataclass(frozen=True)
class Job:
    """A picture to draw: the sound's class, its row in `Bench.sounds`, the seed."""

    name: str
    row: int
    seed: int


class Bench:
    """What the metrics measure with. data: the data folder.  cache: where decoded photos are kept.

    model: the image model that draws, by name.
    adapters: those whose pictures are compared, by name or folder; what is drawn without naming one is by the first.
    """

    def __init__(
        self,
        data: Path,
        cache: Path,
        counts: Counts | None = None,
        model: str = "pocket",
        adapters: Sequence[str] = ("word",),
    ) -> None:
        self.data, self.cache, self.counts, self.model = data, cache, counts or Counts(), model
        self.adapters = tuple(adapters)
        self.engine, self.vocabulary = Engine(), Vocabulary.load(data)
        self._heard: dict[int, list[tuple[str, float]] | None] = {}
        self._painted: dict[tuple[str, int], Image.Image] = {}
        self._drawn: dict[tuple[int, int, float, str], tuple[Image.Image, str]] = {}

    @cached_property
    def backbone(self) -> Backbone:
        return load_backbone(self.model, self.engine.choice)

    @cached_property
    def classifier(self) -> PictureClassifier:
        return PictureClassifier.load()

    @cached_property
    def sounds(self) -> Sounds:
        """The held-out sounds only."""
        return Sounds.load(self.data, keep=held_out)

    @cached_property
    def held_out_photos(self) -> Photos:
        return Photos.load(self.data, "val", self.cache)

    @cached_property
    def training_photos(self) -> Photos:
        return Photos.load(self.data, "train", self.cache)

    @cached_property
    def yardsticks(self) -> tuple[Score, Score]:
        """What `score_photos` says of the held-out photos."""
        return score_photos(self.classifier, self.held_out_photos, self.vocabulary)

    def sound_name(self, row: int) -> str:
        return self.sounds.classes[int(self.sounds.labels[row])]

    def photo_names(self, photos: Photos) -> list[str]:
        """The class of each photo."""
        return [self.vocabulary.pictures[int(label)] for label in photos.labels]

    def hear(self, row: int) -> list[tuple[str, float]] | None:
        """(label, probability) of a held-out sound as it is, best first; None when the engine refuses it as silent."""
        if row not in self._heard:
            try:
                self._heard[row] = self.engine.hear(self.sounds.clips[row]).labels
            except InputError:
                self._heard[row] = None
        return self._heard[row]

    def one_piece_each(self) -> list[int]:
        """Rows of `sounds`, one piece of each recording."""
        seen: dict[str, int] = {}
        for row, recording in enumerate(self.sounds.recordings):
            seen.setdefault(recording, row)
        return list(seen.values())

    def paint(self, prompt: str, seed: int) -> Image.Image:
        """A picture of words alone, with the model's own settings."""
        if (prompt, seed) not in self._painted:
            self._painted[prompt, seed] = paint_text(self.backbone, prompt, seed)
        return self._painted[prompt, seed]

    def draw(self, job: Job, gain: float = 0.0, adapter: str | None = None) -> tuple[Image.Image, str]:
        """The picture of "a photo of A*" from a held-out sound, and what the ear took it for.

        gain: in dB, before the ear hears it.  adapter: None = the first of `adapters`.
        Raises InputError when the sound is silent then.
        """
        adapter = self.adapters[0] if adapter is None else adapter
        key = (job.row, job.seed, gain, adapter)
        if key not in self._drawn:
            recipe = Recipe(
                model=self.model, adapter=adapter, tracks=(Track(gain=gain),), seed=job.seed, preview_every=0
            )
            result = self.engine.run(recipe, self.sounds.clips[job.row])
            self._drawn[key] = (result.images[0], result.heard[0][0])
        return self._drawn[key]

    def jobs(self) -> list[Job]:
        """What is drawn of sounds: at most `per_class` held-out recordings of each sound that has pictures."""
        chosen: list[tuple[str, int]] = []
        for row in self.one_piece_each():
            name = self.sound_name(row)
            if name in self.vocabulary.pairs and sum(n == name for n, _ in chosen) < self.counts.per_class:
                chosen.append((name, row))
        return [Job(name, row, seed) for seed, (name, row) in enumerate(sorted(chosen))]


def photo_prompt(noun: str) -> str:
    """ "a photo of a NOUN", with its article."""
    return f"a photo of {'an' if noun[0] in 'aeiou' else 'a'} {noun}"


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
