"""Whether words of light, time and colour move the picture the way they say.

"a photo of a NOUN" and "a photo of a NOUN, WORD" are drawn with the same seed, and what `studio.data.attributes`
measures in both is compared. The comma is how captions say it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from tqdm import tqdm

from studio.data.attributes import ATTRIBUTES, measure, strength
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, photo_prompt
from studio.evaluation.scores import Findings, Score, spread
from studio.evaluation.sheets import captioned_sheet

# What is written -> what is measured. The last one is a way of saying it that no caption uses.
WORDS = {word: word for word in ATTRIBUTES} | {"in bright light": "bright"}


def moves(before: Image.Image, after: Image.Image, attribute: str) -> bool:
    """Whether `after` has more of the attribute than `before`."""
    return strength(np.asarray(after), attribute) > strength(np.asarray(before), attribute)


@METRICS.register("control")
def control(bench: Bench) -> Findings:
    """Share of nouns whose picture moves the right way, by word; and how often the word is then what is measured.

    control.jpg: a row for each noun, the picture without a word first.
    """
    nouns = [bench.vocabulary.nouns[name][0] for name in bench.vocabulary.pictures]
    nouns = spread(nouns, bench.counts.nouns)
    right: dict[str, list[bool]] = {word: [] for word in WORDS}
    named, named_before = [], []
    shown: list[tuple[str, Image.Image]] = []
    for noun in tqdm(nouns, desc="pictures with words", unit="noun"):
        before = bench.paint(photo_prompt(noun), 0)
        shown.append((noun, before))
        for word, attribute in WORDS.items():
            after = bench.paint(f"{photo_prompt(noun)}, {word}", 0)
            right[word].append(moves(before, after, attribute))
            named.append(attribute in measure(np.asarray(after)))
            named_before.append(attribute in measure(np.asarray(before)))
            shown.append((word, after))
    hits = [hit for found in right.values() for hit in found]
    scores = [
        Score("control: pictures that move the word's way (0.5 = chance)", float(np.mean(hits)), len(hits)),
        Score("control: the word is what is measured", float(np.mean(named)), len(hits)),
        Score("control: it is also measured without the word", float(np.mean(named_before)), len(hits)),
    ]
    by_class = {word: float(np.mean(found)) for word, found in right.items()}
    return Findings(scores, by_class, {"control.jpg": captioned_sheet(shown, columns=1 + len(WORDS), size=96)})
