"""Ears that vote: their mean opinion, and a temperature that makes them as sure as they are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from studio.data.recordings import COPIES, Sounds, calibrates
from studio.encoders.pocket import BRIEF_SAY, EarConfig, PocketEar, brief_say
from studio.errors import InputError
from studio.sound.clip import Clip
from studio.training.vote import first_of, fit_temperature, join_ears, vote
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


def cut(clip: Clip, seconds: float) -> Clip:
    return replace(clip, samples=clip.samples[:, : round(seconds * clip.rate)].copy())


def test_ears_for_brief_sounds_say_the_less_the_longer_a_sound_is() -> None:
    ears, brief = [ear(seed) for seed in range(2)], [ear(seed) for seed in range(5, 8)]
    joined, without = join_ears(ears, brief), join_ears(ears)
    for seconds, say in ((0.4, BRIEF_SAY), (0.6, BRIEF_SAY), (1.3, BRIEF_SAY / 2), (2.0, 0.0), (3.0, 0.0)):
        clip = cut(noise(seconds=3.0), seconds)
        assert brief_say(clip.seconds) == pytest.approx(say)

        def opinion(some: Sequence[PocketEar], clip: Clip = clip) -> Tensor:
            return torch.stack([one.probabilities(one.encode([clip])) for one in some]).mean(0)

        heard, plain = joined.encode([clip]), without.encode([clip])
        wanted = (1 - say) * opinion(ears) + say * opinion(brief)
        assert torch.allclose(joined.probabilities(heard), wanted, atol=1e-6)
        assert torch.equal(heard.tokens, plain.tokens) and torch.equal(heard.pooled, plain.pooled)


def test_the_first_of_several_is_as_it_was() -> None:
    ears = [ear(seed) for seed in range(3)]
    first, clip = first_of(join_ears(ears[:2], ears[2:])), noise()
    assert first.config == ears[0].config
    assert torch.equal(first.probabilities(first.encode([clip])), ears[0].probabilities(ears[0].encode([clip])))


def test_other_labels_or_a_vote_of_votes_are_refused() -> None:
    torch.manual_seed(0)
    stranger = PocketEar(replace(CONFIG, labels=("door", "fire")))
    with pytest.raises(InputError, match="same labels"):
        join_ears([ear(0), stranger])
    with pytest.raises(InputError, match="same labels"):
        join_ears([ear(0)], [stranger])
    with pytest.raises(InputError, match="already several"):
        join_ears([join_ears([ear(0), ear(1)]), ear(2)])
    with pytest.raises(InputError, match="already several"):
        join_ears([ear(0)], [join_ears([ear(1)], [ear(2)])])


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
    for seed in range(3):
        torch.manual_seed(seed)
        folders.append(tmp_path / str(seed))
        PocketEar(replace(CONFIG, labels=labels)).save(folders[-1])
    scores = vote(folders[:2], tiny_data, tmp_path / "joined", folders[2:])
    joined = PocketEar.load(tmp_path / "joined")
    assert (joined.config.voters, joined.config.brief) == (1, 1)
    assert joined.config.temperature == scores["temperature"] != 1.0
    assert 0 <= scores["top1"] <= scores["top3"] == 1.0  # of three labels
