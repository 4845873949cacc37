"""Whether the image model repeats photos it was trained on. Pictures from text and from sounds, at 64 px.

Pixel distance is the root of the mean squared difference, to the photo or its mirror image (both were trained on).
Generated pictures are smoother than photos and therefore nearer to everything, so no distance is compared with another
picture's. Two tests that only compare distances from one picture:

- Nearness: the distance to the nearest training photo over the mean distance to the 50 nearest (Carlini et al. 2023,
  "Extracting Training Data from Diffusion Models", section 4.2). A copy stands out from its own neighbours. Held-out
  photos give the scale: a picture is unusually near when 95 % of them are less near; 0.05 is what no copying gives.
  Below one half is Carlini's own threshold.
- Equal numbers: how often the nearest photo is a training photo and not a held-out one, with as many of each and the
  same classes (the idea of Meehan et al. 2020, "A Non-Parametric Test to Detect Data-Copying"); 0.5 is what no copying
  gives. In features it is biased upwards: the classifier knows the training photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Made
from studio.evaluation.classifier import shrink
from studio.evaluation.looks import features, matched, small_photos
from studio.evaluation.scores import Findings, Score, spread
from studio.evaluation.sheets import captioned_sheet
from studio.evaluation.sounds import sound_pictures
from studio.evaluation.text import text_pictures

NEIGHBOURS = 50
DRAWS = 20
SHOWN = 24


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Root mean squared differences of all pairs: [N, D], [M, D] -> float32 [N, M]."""
    x, y = x.reshape(len(x), -1).astype(np.float32), y.reshape(len(y), -1).astype(np.float32)
    squares = (x**2).mean(1)[:, None] + (y**2).mean(1)[None] - 2 * (x @ y.T) / x.shape[1]
    return np.sqrt(np.maximum(squares, 0))


def pixel_distances(pictures: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """uint8 [N, 64, 64, 3], [M, 64, 64, 3] -> float32 [N, M] in 0..1: to each photo or its mirror image."""
    both = np.concatenate([pictures, pictures[:, :, ::-1]]).astype(np.float32) / 255
    found = np.empty((len(pictures), len(photos)), np.float32)
    # Photos in pieces: all 20,000 as float32 would take a gigabyte.
    for start in tqdm(range(0, len(photos), 1024), desc="comparing", unit="batch", disable=len(photos) < 5000):
        part = distances(both, photos[start : start + 1024].astype(np.float32) / 255)
        found[:, start : start + 1024] = np.minimum(*np.split(part, 2))
    return found


def nearness(to_training: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """[N, M] distances -> [N] in 0..1: the nearest over the mean of the nearest `neighbours`; low stands out."""
    count = min(neighbours, to_training.shape[1])
    nearest = np.partition(to_training, count - 1, axis=1)[:, :count]
    return nearest.min(1) / np.maximum(nearest.mean(1), 1e-12)


def training_wins(
    to_training: np.ndarray,
    to_held_out: np.ndarray,
    names: tuple[list[str], list[str]],
    generator: np.random.Generator,
) -> tuple[float, float]:
    """How often the nearest of equally many training and held-out photos is a training photo: mean, deviation.

    to_training: [N, M], to_held_out: [N, K] distances.  names: the classes of the M and of the K photos.
    Each of 20 draws takes other training photos.
    """
    found = []
    for _ in range(DRAWS):
        training, held_out = matched(generator, *names)
        one, other = to_training[:, training].min(1), to_held_out[:, held_out].min(1)
        found.append(float(np.mean((one < other) + 0.5 * (one == other))))
    return float(np.mean(found)), float(np.std(found))


@dataclass(frozen=True)
class Neighbour:
    """A generated picture beside the training photos nearest in pixels and in features; how near (see `nearness`)."""

    made: Made
    by_pixels: np.ndarray
    by_features: np.ndarray
    near: float


def neighbour_sheet(found: list[Neighbour]) -> Image.Image:
    """Those that stand out most first: the picture, its nearest training photo by pixels, and by features."""
    shown: list[tuple[str, Image.Image]] = []
    for one in sorted(found, key=lambda one: one.near)[:SHOWN]:
        shown.append((one.made.name, one.made.image))
        shown.append((f"pixels {one.near:.2f}", Image.fromarray(one.by_pixels)))
        shown.append(("features", Image.fromarray(one.by_features)))
    return captioned_sheet(shown, columns=12, size=96)


@METRICS.register("copies")
def copies(bench: Bench) -> Findings:
    """Both tests on all generated pictures; nearest.jpg shows those that stand out most beside their neighbours."""
    made = text_pictures(bench) + sound_pictures(bench)
    pictures = np.stack([shrink(one.image) for one in made])
    training, held = bench.training_photos, bench.held_out_photos
    training_names, held_names = bench.photo_names(training), bench.photo_names(held)
    photos = small_photos(training, range(len(training)))
    unseen = small_photos(held, range(len(held)))
    sample = spread(range(len(held)), bench.counts.photos)
    everything = pixel_distances(np.concatenate([pictures, unseen[sample]]), photos)
    to_training, of_held_out = everything[: len(made)], nearness(everything[len(made) :])
    near, names = nearness(to_training), (training_names, held_names)
    generator = np.random.default_rng(0)
    by_pixels = training_wins(to_training, pixel_distances(pictures, unseen), names, generator)

    # Features of all training photos take minutes: as many as there are held-out photos, with the same classes.
    rows, others = matched(generator, training_names, held_names)
    looked = features(bench.classifier, pictures)
    in_features = distances(looked, features(bench.classifier, photos[rows]))
    to_others = distances(looked, features(bench.classifier, unseen[others]))
    by_features = float(np.mean(in_features.min(1) < to_others.min(1)))

    limit = float(np.quantile(of_held_out, 0.05))
    nearest = zip(made, to_training.argmin(1), rows[in_features.argmin(1)], near, strict=True)
    sheet = neighbour_sheet([Neighbour(one, photos[i], photos[k], float(r)) for one, i, k, r in nearest])
    count = len(made)
    scores = [
        Score("copies: unusually near a training photo (0.05 = none)", float(np.mean(near < limit)), count),
        Score("copies: nearest less than half as far as the 50 nearest", float(np.mean(near < 0.5)), count),
        Score("copies: the same of held-out photos", float(np.mean(of_held_out < 0.5)), len(sample)),
        Score("copies: training before held-out, pixels (0.5 = none)", by_pixels[0], count, by_pixels[1]),
        Score("copies: training before held-out, own features", by_features, count),
    ]
    return Findings(scores, sheets={"nearest.jpg": sheet})
