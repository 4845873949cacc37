"""How often the ear names held-out recordings right."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench
from studio.evaluation.scores import Findings, Score


@METRICS.register("ear")
def score_ear(bench: Bench) -> Findings:
    """Top-1 and top-3 over all sound classes on the held-out recordings, and top-1 by class.

    A recording that was cut into several pieces counts once: the shares of its pieces are averaged. A piece that the
    engine refuses as silent counts as wrong.
    """
    ranks: dict[tuple[str, str], list[int]] = {}
    for row, recording in enumerate(tqdm(bench.sounds.recordings, desc="listening", unit="sound")):
        name = bench.sound_name(row)
        heard = bench.hear(row)
        rank = len(bench.sounds.classes) if heard is None else [label for label, _ in heard].index(name)
        ranks.setdefault((recording, name), []).append(rank)
    first = {key: float(np.mean([rank < 1 for rank in found])) for key, found in ranks.items()}
    third = [float(np.mean([rank < 3 for rank in found])) for found in ranks.values()]
    by_class = {name: float(np.mean([first[key] for key in first if key[1] == name])) for _, name in first}
    scores = [
        Score("ear: right sound first", float(np.mean(list(first.values()))), len(first)),
        Score("ear: right sound among the first three", float(np.mean(third)), len(first)),
    ]
    return Findings(scores, by_class)
