"""Whether two sounds that are panned apart appear each in its own half of the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from studio.errors import InputError
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Job
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.couples import PHOTO_PAIRS, couples, equally_loud, heard_rightly, known_couples, photo_pair
from studio.evaluation.joins import SHOWN_FIRST
from studio.evaluation.scores import Findings, Score
from studio.evaluation.sheets import captioned_sheet
from studio.recipe import Recipe, Track
from studio.sound.clip import Clip

APART = (-0.8, 0.8)
MIDDLE = (0.0, 0.0)


@dataclass(frozen=True)
class Places:
    """What the classifier finds in the two halves of a picture of two things, the first of them wanted on the left.

    found: for each thing, whether it is among the first five classes in its own half.
    named: whether each half alone says rightly which of the two stands there (both halves guessing: 0.25).
    together: whether both are among the first five classes in the whole picture.
    """

    found: tuple[bool, bool]
    named: bool
    together: bool

    @property
    def both(self) -> bool:
        return all(self.found)


def halves(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The left and the right half, each beside its mirror image: as large as the whole and in its proportions.

    The classifier sees squares. Half a photo pressed into one it names rightly in 0.73 of 300 held-out photos (among
    the first five), with its mirror image in 0.76, and the whole photo in 0.84.
    """
    middle = picture.width // 2
    boxes = ((0, 0, middle, picture.height), (picture.width - middle, 0, picture.width, picture.height))
    doubled = []
    for half in (picture.crop(box) for box in boxes):
        page = Image.new("RGB", (2 * middle, picture.height))
        page.paste(half, (0, 0))
        page.paste(ImageOps.mirror(half), (middle, 0))
        doubled.append(page)
    return doubled[0], doubled[1]


def look(classifier: PictureClassifier, picture: Image.Image, wanted: tuple[list[str], list[str]]) -> Places:
    """Look for two things in a picture. wanted: the accepted classes of the left one and of the right one."""
    left, right, whole = classifier.probabilities([*halves(picture), picture])
    columns = [[classifier.classes.index(name) for name in names] for names in wanted]

    def shows(sure: np.ndarray, thing: int) -> bool:
        return bool(set(np.argsort(-sure)[:SHOWN_FIRST].tolist()) & set(columns[thing]))

    def more_likely(sure: np.ndarray, thing: int) -> bool:
        return bool(sure[columns[thing]].sum() > sure[columns[1 - thing]].sum())

    return Places(
        (shows(left, 0), shows(right, 1)),
        more_likely(left, 0) and more_likely(right, 1),
        shows(whole, 0) and shows(whole, 1),
    )


def draw_placed(bench: Bench, clips: list[Clip], seed: int, pans: tuple[float, float]) -> Image.Image:
    """The picture of two sounds mixed with these pans. Raises InputError as the engine does."""
    tracks = tuple(Track(pan=pan) for pan in pans)
    recipe = Recipe(model=bench.model, adapter=bench.adapters[0], tracks=tracks, seed=seed, preview_every=0)
    return bench.engine.run(recipe, clips).images[0]


@dataclass(frozen=True)
class Placed:
    """What was found of some couples: panned apart, both in the middle, and of photos put together, some a couple.

    by_class: whether each sound's thing was in its half.  sheet: captions and pictures, apart and in the middle.
    """

    apart: list[Places]
    middle: list[Places]
    photos: list[Places]
    by_class: dict[str, list[bool]]
    sheet: list[tuple[str, Image.Image]]

    def scores(self, name: str) -> list[Score]:
        """The lines of the report. name: what they begin with."""
        count, (rate, plain) = len(self.apart), (_mean(some, "both") for some in (self.apart, self.middle))
        lines = [
            Score("each in its half, first five classes, panned apart", rate, count, goal=0.6),
            Score("each in its half, both in the middle", plain, count),
            # Where none is found without pans, half a picture is what it is compared with.
            Score("the first as a multiple of the second", rate / max(plain, 0.5 / count), count, goal=2.0),
            Score("one of them in its half, panned apart", _mean(self.apart, "found"), count),
            Score("one of them in its half, both in the middle", _mean(self.middle, "found"), count),
            *[
                Score(f"both halves name the right one of the two, {how}", _mean(some, "named"), count)
                for how, some in (("panned apart", self.apart), ("in the middle (0.25 = chance)", self.middle))
            ],
            *[
                Score(f"both among the first five of the whole, {how}", _mean(some, "together"), count)
                for how, some in (("panned apart", self.apart), ("in the middle", self.middle))
            ],
        ]
        if self.photos:
            both = _mean(self.photos, "both")
            lines.append(Score("halves of two real photos, each in its half", both, len(self.photos)))
        return [replace(line, name=f"{name}: {line.name}") for line in lines]


def place(bench: Bench, some: list[tuple[Job, Job]]) -> Placed:
    """Draw couples at equal loudness, panned apart and both in the middle with the same seed, and look for them.

    Couples that the engine refuses as silent are left out.
    """
    found = Placed([], [], [], {}, [])
    for couple in tqdm(some, desc="placements", unit="pair"):
        clips, seed, wanted = equally_loud(bench, couple), couple[0].seed, _wanted(bench, couple)
        try:
            pictures = [draw_placed(bench, clips, seed, pans) for pans in (APART, MIDDLE)]
        except InputError:
            continue
        for places, picture in zip((found.apart, found.middle), pictures, strict=True):
            places.append(look(bench.classifier, picture, wanted))
            marks = ["+" if one else "-" for one in places[-1].found]
            caption = " ".join(f"{mark}{job.name[:8]}" for mark, job in zip(marks, couple, strict=True))
            found.sheet.append((caption, picture))
        for job, one in zip(couple, found.apart[-1].found, strict=True):
            found.by_class.setdefault(job.name, []).append(one)
        for turn in range(PHOTO_PAIRS):
            photos = photo_pair(bench, wanted, seed * PHOTO_PAIRS + turn)
            if photos is not None:
                found.photos.append(look(bench.classifier, photos, wanted))
    return found


@METRICS.register("placement")
def placement(bench: Bench) -> Findings:
    """Two sounds panned apart and both in the middle: of any unheard recordings, and of those the ear names rightly.

    The first is what an artist gets; the second leaves the ear's mistakes out, and so says what placing does.
    placement.jpg, placement-known.jpg: pairs of pictures, apart and in the middle; + stands before what was found in
    its half.
    """
    some = couples(bench)
    everything, known = place(bench, some), place(bench, known_couples(bench))
    scores, sheets = [], {}
    if everything.apart:
        right = float(np.mean([all(heard_rightly(bench, job) for job in couple) for couple in some]))
        scores += everything.scores("placement")
        scores.append(Score("placement: pairs of which the ear names both sounds rightly", right, len(some)))
        sheets["placement.jpg"] = captioned_sheet(everything.sheet, columns=8)
    if known.apart:
        scores += known.scores("placement, the ear names both rightly")
        sheets["placement-known.jpg"] = captioned_sheet(known.sheet, columns=8)
    by_class = {name: float(np.mean(hits)) for name, hits in sorted(everything.by_class.items())}
    return Findings(scores, by_class, sheets)


def _wanted(bench: Bench, couple: tuple[Job, Job]) -> tuple[list[str], list[str]]:
    first, second = (bench.vocabulary.pairs[job.name] for job in couple)
    return first, second


def _mean(places: list[Places], what: str) -> float:
    return float(np.mean([getattr(one, what) for one in places]))
