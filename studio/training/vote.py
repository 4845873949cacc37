"""Joins ears that were trained apart into one that votes, and makes it as sure as it is right.

Networks that start from other random numbers err on other sounds, so their mean opinion is better than each one's
(Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.data.recordings import Sounds, calibrates, held_out
from studio.encoders.pocket import PocketEar
from studio.errors import InputError

TEMPERATURES = torch.logspace(-1, 1, 401)


def join_ears(ears: Sequence[PocketEar], brief: Sequence[PocketEar] = ()) -> PocketEar:
    """One ear from several of the same labels and sizes. The first one's embedding is the joined one's, so that
    adapters made for it fit.

    brief: ears that were trained on brief pieces, which join in where a sound is one.
    Raises InputError when they differ.
    """
    plain = [replace(ear.config, voters=0, brief=0, temperature=1.0) for ear in (*ears, *brief)]
    if not ears or any(config != plain[0] for config in plain):
        raise InputError("Ears that vote together must have the same labels and sizes; train them on the same data.")
    if any(ear.config.voters or ear.config.brief for ear in (*ears, *brief)):
        raise InputError("One of these ears is already several that vote. Name the ears it was joined from.")
    joined = PocketEar(replace(plain[0], voters=len(ears) - 1, brief=len(brief)))
    joined.network.load_state_dict(ears[0].network.state_dict())
    for network, ear in zip((*joined.voters, *joined.brief), (*ears[1:], *brief), strict=True):
        network.load_state_dict(ear.network.state_dict())
    return joined.eval()


def first_of(ear: PocketEar) -> PocketEar:
    """The first of the networks of an ear, alone."""
    alone = PocketEar(replace(ear.config, voters=0, brief=0, temperature=1.0))
    alone.network.load_state_dict(ear.network.state_dict())
    return alone.eval()


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature in 0.1..10 with the least cross-entropy (Guo et al. 2017, section 4.2).

    logits: float32 [N, L].  labels: int64 [N].
    """
    if len(logits) == 0:
        raise InputError("No recording of this data is kept for fitting the temperature; it needs more recordings.")
    losses = torch.stack([F.cross_entropy(logits / temperature, labels) for temperature in TEMPERATURES])
    return float(TEMPERATURES[int(losses.argmin())])


def vote(folders: Sequence[Path], data: Path, out: Path, brief: Sequence[Path] = ()) -> dict[str, float]:
    """Join the ears in `folders`, fit the temperature on half of the data's held-out recordings, save to `out`.

    brief: folders of ears for brief sounds.
    Returns top1 and top3 on all held-out pieces, and the temperature.
    """
    joined = join_ears(*([PocketEar.load(folder) for folder in some] for some in (folders, brief)))
    sounds = Sounds.load(data, keep=held_out)
    if list(joined.labels) != sounds.classes:
        raise InputError("These ears name other sounds than this data holds. Give the data that they were trained on.")
    logits = torch.cat([_logits(joined, sounds, row) for row in range(len(sounds.clips))])
    labels = torch.from_numpy(sounds.labels)
    half = torch.tensor([calibrates(recording) for recording in sounds.recordings])
    temperature = fit_temperature(logits[half], labels[half])
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    calibrated = PocketEar(replace(joined.config, temperature=temperature))
    calibrated.load_state_dict(joined.state_dict())
    calibrated.save(out)
    tops = {f"top{count}": float((ranks < count).float().mean()) for count in (1, 3)}
    return {**tops, "temperature": temperature}


def _logits(ear: PocketEar, sounds: Sounds, row: int) -> Tensor:
    logits = ear.encode([sounds.clips[row]]).logits
    assert logits is not None
    return logits
