"""How often pictures of words alone are recognised as what the words name."""

from __future__ import annotations

from tqdm import tqdm

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Made, photo_prompt, recognised
from studio.evaluation.scores import Findings, Score, class_mean, shares
from studio.evaluation.sheets import captioned_sheet


def text_pictures(bench: Bench) -> list[Made]:
    """Pictures of "a photo of a NOUN" for every picture class and seed."""
    jobs = [(name, seed) for seed in range(bench.counts.seeds) for name in bench.vocabulary.pictures]
    return [
        Made(name, bench.paint(photo_prompt(bench.vocabulary.nouns[name][0]), seed))
        for name, seed in tqdm(jobs, desc="pictures from text", unit="picture")
    ]


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


@METRICS.register("text")
def text(bench: Bench) -> Findings:
    """Recognition of pictures from text beside that of real photos; text.jpg shows two of each noun."""
    made, plain = text_pictures(bench), bench.yardsticks[0]
    scores, by_class = score_text(made, recognised(bench.classifier, [one.image for one in made]), plain)
    shown = [(one.name, one.image) for one in made[: 2 * len(bench.vocabulary.pictures)]]
    return Findings([plain, *scores], by_class, {"text.jpg": captioned_sheet(shown, columns=11)})
