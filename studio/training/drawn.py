"""How well an image model draws each thing. A sound that may stand for several is best drawn as one that it can."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from studio.backbones.base import Backbone
from studio.data.shards import Vocabulary
from studio.evaluation.bench import photo_prompt
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.paint import paint_text

SEEDS = range(1000, 1004)  # the scores draw with those from 0 on
STEPS = 12
LEAST = 0.02  # what is never recognised is still drawn when a sound can be nothing else


def favour_of(
    backbone: Backbone, judge: PictureClassifier, vocabulary: Vocabulary, pictures: Sequence[str]
) -> dict[str, float]:
    """For each picture class the logarithm of the probability that `judge` sees it in pictures of its noun."""
    found = {}
    for name in tqdm(list(dict.fromkeys(pictures)), desc="how well things are drawn", unit="noun"):
        prompt = photo_prompt(vocabulary.nouns[name][0])
        painted = [paint_text(backbone, prompt, seed, num_inference_steps=STEPS) for seed in SEEDS]
        seen = judge.probabilities(painted)[:, judge.classes.index(name)]
        found[name] = round(math.log(max(float(np.mean(seen)), LEAST)), 3)
    return found
