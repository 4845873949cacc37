"""Photos edited with sounds of something else: whether they show it, and whether they keep their layout."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.editing.photo import to_pixels
from studio.errors import InputError
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Job, photo_prompt
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.joins import distance
from studio.evaluation.scores import Findings, Score, spread
from studio.evaluation.sheets import captioned_sheet
from studio.evaluation.volume import pair_probability, rank_correlation
from studio.recipe import Edit, Recipe, Track
from studio.result import Result

METHODS = ("pnp", "p2p", "sdedit")
VOLUMES = (0.1, 0.25, 0.5, 1.0)
SIDE = 64  # px; finer edges are the autoencoder's affair
SHOWN = 18  # photos on the sheet


def edges(picture: Image.Image) -> np.ndarray:
    """How strongly brightness changes at each place, as one vector of length 1: float [64 * 64].

    Of a picture of one colour all zeros. The length is taken out, so that contrast does not count, only where edges
    stand.
    """
    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64)
    strength = np.hypot(*np.gradient(grey)).ravel()
    size = float(np.linalg.norm(strength))
    return strength / size if size > 0 else strength


def edge_distance(one: Image.Image, other: Image.Image) -> float:
    """Euclidean distance of two pictures' edges: 0 = in the same places, 1.41 = in none of the same."""
    return float(np.linalg.norm(edges(one) - edges(other)))


def couples(bench: Bench) -> list[tuple[int, Job]]:
    """(held-out photo, sound that shows something else), at most `Counts.edits`."""
    jobs, photos = bench.jobs(), bench.held_out_photos
    names = bench.photo_names(photos)
    chosen = spread(list(range(len(photos))), bench.counts.edits)
    found = []
    for number, row in enumerate(chosen):
        others = [job for job in jobs if names[row] not in bench.vocabulary.pairs[job.name]]
        # Steps of 7 through the sounds: neighbours of one class do not follow one another.
        found.append((row, others[7 * number % len(others)]))
    return found


def edited(bench: Bench, photo: Image.Image, name: str, heard: Recipe, method: str, strength: float = 1.0) -> Result:
    """One edit with the settings that a user finds. name: the photo's class, for its source prompt.

    heard: the resolved recipe of a new picture of the sound; what that says is what the edit gets.
    """
    noun = bench.vocabulary.nouns[name][0]
    source = photo_prompt(noun) if method == "p2p" else ""
    recipe = Recipe(
        model=bench.model,
        adapter=heard.adapter,
        tracks=heard.tracks,
        word=heard.word,
        sound_tokens=heard.sound_tokens,
        loudness=heard.loudness,
        edit=Edit(method=method, source_prompt=source, check=False),
        prompt=source.replace(noun, "A*") or "a photo of A*",
        seed=heard.seed,
        sound_strength=strength,
        preview_every=0,
    )
    return bench.engine.run(recipe, photo=photo)


def structure_distance(classifier: PictureClassifier, one: Image.Image, other: Image.Image) -> float:
    """Root mean square difference of two pictures' self-similarities: 0 = the same structure."""
    a, b = (classifier.self_similarity(picture) for picture in (one, other))
    return float(np.sqrt(np.mean((a - b) ** 2)))


@dataclass
class Measured:
    """What was measured of one kind of picture, a value a photo: probabilities, and distances to the photo."""

    probability: list[float] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)
    structure: list[float] = field(default_factory=list)

    def nearer(self, new: Measured) -> tuple[float, float]:
        """By which share self-similarity and edges are nearer to the photo than those of new pictures."""
        both = ((self.structure, new.structure), (self.edges, new.edges))
        structure, edge = (1 - float(np.mean(own)) / max(float(np.mean(free)), 1e-9) for own, free in both)
        return structure, edge


@METRICS.register("edit")
def edit(bench: Bench) -> Findings:
    """Held-out photos with sounds of another class, by every method, beside a new picture of the same sound.

    Where the probability rises from almost nothing to a little more, chance has a part in it: "unchanged" is the photo
    after the autoencoder alone, with no sound at all.
    edit.jpg: a row has two photos of the first, spread over all: itself, a new picture, then the methods.
    """
    photos, pairs, backbone = bench.held_out_photos, bench.vocabulary.pairs, bench.backbone
    names = bench.photo_names(photos)
    chosen = couples(bench)
    on_sheet = {row for row, _ in spread(chosen, SHOWN)}
    swept = {row for row, _ in spread(chosen, max(1, len(chosen) // 10))}
    kinds = ("the photo", "unchanged", "new", *METHODS)
    found = {kind: Measured() for kind in kinds}
    rows: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    shown: list[tuple[str, Image.Image]] = []
    for row, job in tqdm(chosen, desc="edited photos", unit="photo"):
        photo = Image.fromarray(photos.resized(row, backbone.defaults.native_size))
        try:
            recipe = Recipe(model=bench.model, adapter=bench.adapters[0], tracks=(Track(),), preview_every=0)
            new = bench.engine.run(recipe.replace(seed=job.seed), bench.sounds.clips[job.row])
        except InputError:  # silent
            continue
        made = {method: edited(bench, photo, names[row], new.recipe, method).images[0] for method in METHODS}
        with backbone.lock:
            decoded = Image.fromarray(backbone.decode(backbone.encode(to_pixels(photo, photo.size)))[0])
        pictures = dict(zip(kinds, [photo, decoded, new.images[0], *made.values()], strict=True))
        sure = pair_probability(bench.classifier, list(pictures.values()), pairs[job.name])
        for (kind, picture), one in zip(pictures.items(), sure, strict=True):
            found[kind].probability.append(float(one))
            found[kind].edges.append(edge_distance(picture, photo))
            found[kind].structure.append(structure_distance(bench.classifier, picture, photo))
        if row in swept:
            for method in METHODS:
                louder = [edited(bench, photo, names[row], new.recipe, method, one).images[0] for one in VOLUMES[:-1]]
                rows[method].append(np.array([distance(one, photo) for one in (*louder, made[method])]))
        if row in on_sheet:
            captions = [names[row], f"new: {job.name}", *METHODS]
            shown += list(zip(captions, [photo, new.images[0], *made.values()], strict=True))
    count = len(found["new"].edges)
    if not count:
        return Findings([])
    before = np.array(found["the photo"].probability)
    scores = []
    for kind in kinds:
        mean = float(np.mean(found[kind].probability))
        scores.append(Score(f"edit, {kind}: probability of the sound's pair", mean, count))
        if kind == "the photo":
            continue
        goal = 0.7 if kind in METHODS else None
        rises = float((np.array(found[kind].probability) > before).mean())
        scores.append(Score(f"edit, {kind}: share of photos where it rises", rises, count, goal=goal))
        if kind == "new":
            continue
        goal = 0.4 if kind in METHODS else None
        structure, edge = found[kind].nearer(found["new"])
        scores += [
            Score(f"edit, {kind}: self-similarity nearer than a new picture's, by", structure, count, goal=goal),
            Score(f"edit, {kind}: edges nearer than a new picture's, by", edge, count, goal=goal),
        ]
        if kind in METHODS and rows[kind]:
            rising = float(rank_correlation(np.stack(rows[kind])).mean())
            scores.append(Score(f"edit, {kind}: Spearman of volume and distance", rising, len(rows[kind]), goal=0.9))
    return Findings(scores, sheets={"edit.jpg": captioned_sheet(shown, columns=10)})
