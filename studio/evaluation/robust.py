"""How well the ear stands what happens to recordings: level, missing treble, noise, a room, length.

Everything goes through the engine as a user's sound does, its choice of a window and its refusal of silence included.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from studio.errors import InputError
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench
from studio.evaluation.conditions import add_noise, low_pass, reverberate, with_length
from studio.evaluation.scores import Findings, Score, spread
from studio.sound.clip import Clip
from studio.sound.loudness import apply_gain

Disturb = Callable[[Clip, np.random.Generator], Clip]
GOAL = 0.8  # of the clean top-1, in each condition


def _gain(decibel: float) -> Disturb:
    return lambda clip, _: apply_gain(clip, decibel)


def _low_pass(cut_off: float) -> Disturb:
    return lambda clip, _: low_pass(clip, cut_off)


def _length(seconds: float) -> Disturb:
    return lambda clip, _: with_length(clip, seconds)


CONDITIONS: dict[str, Disturb] = {
    **{f"gain {decibel:+d} dB": _gain(decibel) for decibel in (-30, -20, -10, 10)},
    # The data end at 8 kHz and the ear at 7.5 kHz: this cut only bends what is just below. 4 kHz is a telephone.
    "low-pass 8 kHz": _low_pass(8000.0),
    "low-pass 4 kHz": _low_pass(4000.0),
    "pink noise at 10 dB SNR": lambda clip, generator: add_noise(clip, 10.0, generator),
    "room with RT60 1 s": lambda clip, generator: reverberate(clip, 1.0, generator),
    **{f"length {seconds:g} s": _length(seconds) for seconds in (0.5, 1.0, 2.0, 5.0, 30.0)},
}


@METRICS.register("robust")
def robust(bench: Bench) -> Findings:
    """Top-1 under each condition and its ratio to the clean top-1 of the same recordings, one piece of each.

    A sound that the engine refuses as silent counts as wrong: its user gets no picture. How many those are is a score
    of its own where there are any.
    """
    rows = spread(bench.one_piece_each(), bench.counts.recordings)
    names = [bench.sound_name(row) for row in rows]
    heard = [bench.hear(row) for row in rows]
    first = [found is not None and found[0][0] == name for found, name in zip(heard, names, strict=True)]
    clean = float(np.mean(first))
    scores = [Score("robust: clean, right sound first", clean, len(rows))]
    for place, (condition, disturb) in enumerate(CONDITIONS.items()):
        hits, refused = [], 0
        for row, name in zip(tqdm(rows, desc=condition, unit="sound"), names, strict=True):
            changed = disturb(bench.sounds.clips[row], np.random.default_rng([place, row]))
            try:
                hits.append(bench.engine.hear(changed).labels[0][0] == name)
            except InputError:
                hits.append(False)
                refused += 1
        top = float(np.mean(hits))
        scores.append(Score(f"robust: {condition}, right sound first", top, len(rows)))
        if refused:
            scores.append(Score(f"robust: {condition}, refused as silent", refused / len(rows), len(rows)))
        ratio = top / clean if clean else 0.0
        scores.append(Score(f"robust: {condition}, ratio to clean", ratio, len(rows), goal=GOAL))
    return Findings(scores)
