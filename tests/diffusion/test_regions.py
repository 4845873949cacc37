"""Regions: which part of the picture pans and shares give to which sound."""

from __future__ import annotations

import pytest
import torch

from studio.diffusion.regions import Regions

SCENES = [
    ((-0.8, 0.8), (1.0, 1.0)),
    ((-1.0, 0.0, 1.0), (0.2, 0.3, 0.5)),
    ((0.0, 0.0), (0.75, 0.25)),
    ((-0.3,), (1.0,)),
    ((0.9, 0.4, 0.4), (0.98, 0.01, 0.01)),
    ((-1.0, -1.0, -0.5, 0.0, 0.1, 0.5, 1.0, 1.0), (0.125,) * 8),
]


@pytest.mark.parametrize(("pans", "shares"), SCENES)
@pytest.mark.parametrize("width", [1, 3, 8, 128])
def test_every_column_is_given_away_completely(pans: tuple[float, ...], shares: tuple[float, ...], width: int) -> None:
    regions = Regions(pans, shares)
    columns = regions.columns(width)
    assert columns.shape == (len(pans) + regions.rest, width)
    assert bool(((columns >= 0) & (columns <= 1)).all())
    torch.testing.assert_close(columns.sum(0), torch.ones(width))
    assert bool((columns.diff(dim=1)[0] <= 1e-6).all()) or pans[0] > min(pans), "the leftmost only falls"


@pytest.mark.parametrize("flip", [False, True])
def test_left_is_left(flip: bool) -> None:
    pans = (0.8, -0.8) if flip else (-0.8, 0.8)
    columns = Regions(pans, (1.0, 1.0)).columns(32)
    left, right = columns.flip(0) if flip else columns
    assert float(left[:12].min()) > 0.95 and float(left[-12:].max()) < 0.05
    torch.testing.assert_close(left, right.flip(0))


def test_three_sounds_get_thirds_and_the_middle_one_the_middle() -> None:
    columns = Regions((-1.0, 0.0, 1.0), (1.0, 1.0, 1.0)).columns(60)
    assert columns.mean(1).tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert columns.argmax(0).tolist() == [0] * 20 + [1] * 20 + [2] * 20


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05, 0.001])
def test_the_louder_the_larger(share: float) -> None:
    columns = Regions((-0.8, 0.8), (1 - share, share)).columns(240)
    assert columns.mean(1).tolist() == pytest.approx([1 - share, share], abs=0.002)


def test_borders_are_sharper_between_distant_sounds() -> None:
    slopes = [float(Regions((-pan, pan), (1.0, 1.0)).columns(64)[1].diff().max()) for pan in (0.05, 0.2, 0.5, 1.0)]
    assert slopes == sorted(slopes) and slopes[-1] > 5 * slopes[0]
    torch.testing.assert_close(Regions((0.0, 0.0), (3.0, 1.0)).columns(5)[0], torch.full((5,), 0.75))


def test_sounds_on_one_side_leave_the_other_to_the_words() -> None:
    for pan in (-1.0, -0.5, -0.05):
        regions = Regions((pan,), (1.0,))
        sound, rest = regions.columns(240)
        assert regions.rest
        assert float(rest.mean()) == pytest.approx(-pan / 2, abs=0.002)
        assert bool((sound.diff() <= 0).all())
    assert not Regions((-1.0, 0.0), (1.0, 1.0)).rest
    assert not Regions((-1.0, 0.1), (1.0, 1.0)).rest
    outer, inner, rest = Regions((0.9, 0.4), (0.5, 0.5)).columns(240)
    assert float(rest.mean()) == pytest.approx(0.2, abs=0.002)
    centre = torch.linspace(-1, 1, 240)
    assert float((centre * rest).sum()) < float((centre * inner).sum()) < float((centre * outer).sum())
