"""How often pictures from held-out sounds are recognised as something that may stand for the sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Made, recognised
from studio.evaluation.scores import Findings, Score, class_mean, shares
from studio.evaluation.sheets import captioned_sheet


def sound_pictures(bench: Bench, adapter: str | None = None) -> list[Made]:
    """Pictures of "a photo of A*" from held-out recordings that have pictures; one piece of each recording."""
    made = []
    for job in tqdm(bench.jobs(), desc="pictures from sounds", unit="picture"):
        image, heard = bench.draw(job, adapter=adapter)
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
    """Recognition of pictures from sounds beside that of real photos; sounds.jpg shows all of them.

    Of several adapters the first has the lines and the sheet without a name; the others' carry theirs.
    """
    paired = bench.yardsticks[1]
    lines, sheets = [paired], {}
    by_class: dict[str, float] = {}
    for number, adapter in enumerate(bench.adapters):
        made = sound_pictures(bench, adapter)
        guesses = recognised(bench.classifier, [one.image for one in made])
        scores, shares_of = score_sounds(made, guesses, bench.vocabulary.pairs, paired)
        name = f"{number + 1}-{Path(adapter).name}" if Path(adapter).is_dir() else adapter
        lines += scores if number == 0 else [replace(one, name=f"{name}: {one.name}") for one in scores]
        by_class |= shares_of if number == 0 else {f"{name}: {label}": share for label, share in shares_of.items()}
        sheet = captioned_sheet([(one.name, one.image) for one in made], columns=12)
        sheets["sounds.jpg" if number == 0 else f"sounds-{name}.jpg"] = sheet
    return Findings(lines, by_class, sheets)
