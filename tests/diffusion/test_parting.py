"""How several sounds at one place part the picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from studio.diffusion.parting import Parting, balanced, wide


def predictions(*changes: Tensor) -> tuple[Tensor, Tensor]:
    """What a step gives where each word adds its change, [h, w], to the prompt without it."""
    without = torch.randn(1, 4, *changes[0].shape, generator=torch.Generator().manual_seed(0))
    return without, torch.cat([without + change for change in changes])


def above_and_below(height: int = 16, width: int = 16) -> tuple[Tensor, Tensor]:
    """One word acts most at the top, the other at the bottom."""
    down = torch.linspace(0.1, 1, height)[:, None].expand(height, width)
    return down.flip(0), down


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (3.0, 1.0)])
@pytest.mark.parametrize("grid", [(16, 16), (8, 8), (5, 3), (1, 1)])
def test_every_point_is_given_away_and_every_word_gets_its_share(
    shares: tuple[float, ...], grid: tuple[int, int]
) -> None:
    parting = Parting(shares)
    parting.look(*predictions(*above_and_below()))
    masks = parting.masks(*grid)
    assert masks.shape == (2, grid[0] * grid[1]) and masks.dtype == torch.float32
    torch.testing.assert_close(masks.sum(0), torch.ones(grid[0] * grid[1]))
    assert masks.mean(1).tolist() == pytest.approx([share / sum(shares) for share in shares], abs=0.01)


def test_each_word_gets_where_it_changes_most() -> None:
    parting = Parting((0.5, 0.5))
    parting.look(*predictions(*above_and_below(16, 24)))
    first = parting.masks(16, 24)[0].view(16, 24)
    assert first[:7].min() > 0.9 and first[9:].max() < 0.1


def test_a_loud_change_is_no_larger_place() -> None:
    above, below = above_and_below()
    parting, louder = Parting((0.5, 0.5)), Parting((0.5, 0.5))
    parting.look(*predictions(above, below))
    louder.look(*predictions(above, 10 * below))
    torch.testing.assert_close(parting.masks(16, 16), louder.masks(16, 16), atol=1e-4, rtol=0)


def test_three_words() -> None:
    left = torch.zeros(12, 12)
    left[:, :4] = 1
    parting = Parting((1.0, 1.0, 1.0))
    parting.look(*predictions(left + 0.1, left.roll(4, 1) + 0.1, left.roll(8, 1) + 0.1))
    masks = parting.masks(12, 12).view(3, 12, 12)
    assert [int(word.mean(0).argmax()) // 4 for word in masks] == [0, 1, 2]


def test_later_steps_count_more_and_a_new_picture_begins_anew() -> None:
    above, below = above_and_below()
    parting = Parting((0.5, 0.5))
    parting.look(*predictions(above, below))
    parting.look(*predictions(below, above))
    assert parting.masks(16, 16)[0, :16].max() < 0.1
    parting.begin()
    torch.testing.assert_close(parting.masks(2, 3), torch.full((2, 6), 0.5))
    parting.look(*predictions(above, below))
    assert parting.masks(16, 16)[0, :16].min() > 0.9


def test_words_that_change_nothing_or_the_same_share_every_point() -> None:
    nothing = torch.zeros(8, 8)
    for changes in ((nothing, nothing), (nothing + 1, nothing + 1)):
        parting = Parting((0.3, 0.7))
        parting.look(*predictions(*changes))
        masks = parting.masks(8, 8)
        torch.testing.assert_close(masks[0], torch.full((64,), 0.3), atol=0.02, rtol=0)


def test_balanced_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    masks = balanced(logits, torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert masks.mean(1).tolist() == pytest.approx([0.5, 0.5], abs=1e-6)
    odds = (masks[0] / masks[1]).log()
    assert float(odds[0] - odds[1]) == pytest.approx(2.0)


def test_a_wide_map_keeps_its_level_and_leans_on_no_edge() -> None:
    flat = torch.ones(1, 1, 9, 14, dtype=torch.float64)
    torch.testing.assert_close(wide(flat), flat)
    spot = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    spot[..., 8, 8] = 1
    spread = wide(spot)
    assert float(spread.max()) < 0.03 and int(spread.argmax()) == 8 * 16 + 8
