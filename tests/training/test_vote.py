"""Ears that vote: their mean opinion, and a temperature that makes them as sure as they are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from studio.data.recordings import COPIES, Sounds, calibrates
from studio.encoders.pocket import EarConfig, PocketEar
from studio.errors import InputError
from studio.training.vote import fit_temperature, join_ears, vote
from tests.models import noise, tone

CONFIG = EarConfig(labels=("door", "fire", "sea_waves"), channels=(4, 4, 8, 8), dim=16)


def ear(seed: int) -> PocketEar:
    torch.manual_seed(seed)
    return PocketEar(CONFIG).eval()


def test_the_vote_is_the_mean_opinion_and_the_embedding_the_first_ones() -> None:
    ears = [ear(seed) for seed in range(3)]
    joined = join_ears(ears)
    clips = [tone(), noise()]
    heard, alone = joined.encode(clips), [one.encode(clips) for one in ears]
    mean = torch.stack([one.probabilities(each) for one, each in zip(ears, alone, strict=True)]).mean(0)
    assert torch.allclose(joined.probabilities(heard), mean, atol=1e-6)
    assert torch.equal(heard.tokens, alone[0].tokens) and torch.equal(heard.pooled, alone[0].pooled)
    assert not torch.allclose(mean, ears[0].probabilities(alone[0]), atol=1e-4)


def test_other_labels_or_a_vote_of_votes_are_refused() -> None:
    torch.manual_seed(0)
    stranger = PocketEar(replace(CONFIG, labels=("door", "fire")))
    with pytest.raises(InputError, match="same labels"):
        join_ears([ear(0), stranger])
    with pytest.raises(InputError, match="already several"):
        join_ears([join_ears([ear(0), ear(1)]), ear(2)])


@pytest.mark.parametrize("truth", [0.5, 2.0])
def test_the_temperature_undoes_wrong_confidence(truth: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4_000, 5, generator=generator)
    labels = torch.multinomial((logits / truth).softmax(-1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(truth, rel=0.12)


def test_copies_calibrate_with_their_twins() -> None:
    assert {name: calibrates(name) for name in COPIES} == {name: calibrates(twin) for name, twin in COPIES.items()}
    assert 0.4 < sum(calibrates(f"source/{number}") for number in range(1000)) / 1000 < 0.6


def test_the_command_s_ear_loads_again(tiny_data: Path, tmp_path: Path) -> None:
    labels = tuple(Sounds.load(tiny_data).classes)
    folders = []
    for seed in range(2):
        torch.manual_seed(seed)
        folders.append(tmp_path / str(seed))
        PocketEar(replace(CONFIG, labels=labels)).save(folders[-1])
    scores = vote(folders, tiny_data, tmp_path / "joined")
    joined = PocketEar.load(tmp_path / "joined")
    assert joined.config.voters == 1 and joined.config.temperature == scores["temperature"] != 1.0
    assert 0 <= scores["top1"] <= scores["top3"] == 1.0  # of three labels
