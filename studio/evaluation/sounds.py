"""How often pictures from held-out sounds are recognised as something that may stand for the sound."""

from __future__ import annotations

from tqdm import tqdm

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Made, recognised
from studio.evaluation.scores import Findings, Score, class_mean, shares
from studio.evaluation.sheets import captioned_sheet


def sound_pictures(bench: Bench) -> list[Made]:
    """Pictures of "a photo of A*" from held-out recordings that have pictures; one piece of each recording."""
    made = []
    for job in tqdm(bench.jobs(), desc="pictures from sounds", unit="picture"):
        image, heard = bench.draw(job)
        made.append(Made(job.name, image, heard == job.name))
    return made


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


@METRICS.register("sounds")
def sounds(bench: Bench) -> Findings:
    """Recognition of pictures from sounds beside that of real photos; sounds.jpg shows all of them."""
    made, paired = sound_pictures(bench), bench.yardsticks[1]
    guesses = recognised(bench.classifier, [one.image for one in made])
    scores, by_class = score_sounds(made, guesses, bench.vocabulary.pairs, paired)
    sheet = captioned_sheet([(one.name, one.image) for one in made], columns=12)
    return Findings([paired, *scores], by_class, {"sounds.jpg": sheet})
