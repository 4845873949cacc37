"""Placement: against blending written out by hand, what it leaves alone, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from studio.backbones import load_backbone
from studio.backbones.base import Backbone, TextStates
from studio.device import pick_device
from studio.diffusion.loop import Moment, denoise, initial_noise
from studio.diffusion.placement import Placement, cross_attentions, layer_grid, place
from studio.diffusion.prompt import embed
from studio.diffusion.regions import Regions
from studio.errors import HearsightError, InputError
from tests.models import WIDTH

APART = Regions((-0.8, 0.8), (0.5, 0.5))


@pytest.fixture(scope="module")
def backbone(tiny_folder: Path) -> Backbone:
    """The tiny model in float32, where sums can be compared closely."""
    return load_backbone(str(tiny_folder), pick_device("cpu")._replace(dtype=torch.float32))


def words(count: int) -> list[Tensor]:
    return [0.3 * torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(seed)) for seed in range(count)]


def states(backbone: Backbone, count: int = 2) -> Tensor:
    return torch.cat([embed(backbone, ["a photo of A*"], word).tokens for word in words(count)])


def loop(backbone: Backbone, *extensions: Any, size: tuple[int, int] = (64, 64), **more: Any) -> Iterator[Moment]:
    generator = torch.Generator().manual_seed(1)
    positive = TextStates(states(backbone, 1))
    settings = {"num_inference_steps": 2, "guidance_scale": 3.0} | more
    return denoise(
        backbone, initial_noise(backbone, *size, generator), embed(backbone, ["blurry"], words(1)[0]), positive,
        generator=generator, extensions=extensions, **settings,
    )  # fmt: skip


def latents(backbone: Backbone, *extensions: Any, **more: Any) -> Tensor:
    return list(loop(backbone, *extensions, **more))[-1].latents


def hooks(backbone: Backbone) -> int:
    modules = [module for network in backbone.modules().values() for module in network.modules()]
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)


def test_each_layer_blends_the_regions_column_by_column(backbone: Backbone) -> None:
    regions = states(backbone)
    placement = Placement(APART, regions)
    layers: list[tuple[Attention, Tensor, Tensor]] = []

    class Watch(Placement):
        """Placement that remembers what went into each layer and came out of it."""

        def _apart(self, layer: Any, inputs: Any, named: Any) -> Any:
            layers.append((layer, inputs[0].clone(), named["encoder_hidden_states"].clone()))
            return super()._apart(layer, inputs, named)

        def _together(self, size: tuple[int, int], rows: int) -> Any:
            blend = super()._together(size, rows)

            def check(layer: Any, inputs: Any, output: Tensor) -> Tensor:
                blended = blend(layer, inputs, output)
                _, hidden, text = layers[-1]
                height, width = layer_grid(size, hidden.shape[1])
                columns = APART.columns(width)
                plain = layer.forward(hidden[:1], encoder_hidden_states=text[:1])
                left, right = (layer.forward(hidden[1:], encoder_hidden_states=one[None]) for one in regions)
                for token in range(height * width):
                    share = columns[:, token % width]
                    wanted = share[0] * left[0, token] + share[1] * right[0, token]
                    torch.testing.assert_close(blended[1, token], wanted, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(blended[:1], plain, rtol=1e-4, atol=1e-5)
                return blended

            return check

    watched = latents(backbone, Watch(APART, regions), size=(64, 128))
    assert len(layers) == 2 * len(cross_attentions(next(loop(backbone))))
    torch.testing.assert_close(watched, latents(backbone, placement, size=(64, 128)))


@pytest.mark.parametrize("more", [{}, {"guidance_scale": 1.0}, {"sound_strength": 0.5}])
def test_regions_that_say_the_same_change_nothing(more: dict[str, Any], backbone: Backbone) -> None:
    if "sound_strength" in more:
        more = more | {"silent": embed(backbone, ["a photo of"], words(1)[0])}
    same = Placement(APART, states(backbone, 1).expand(2, -1, -1))
    torch.testing.assert_close(latents(backbone, same, **more), latents(backbone, **more), rtol=1e-4, atol=1e-4)
    placed = latents(backbone, Placement(APART, states(backbone)), **more)
    assert not torch.allclose(placed, latents(backbone, **more), atol=1e-2)


def test_without_strength_places_do_not_matter(backbone: Backbone) -> None:
    more = {"sound_strength": 0.0, "silent": embed(backbone, ["a photo of"], words(1)[0])}
    placed = latents(backbone, Placement(APART, states(backbone)), **more)
    torch.testing.assert_close(placed, latents(backbone, **more), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 128), (72, 64), (104, 88), (128, 64)])
def test_sizes(size: tuple[int, int], backbone: Backbone) -> None:
    assert bool(latents(backbone, Placement(APART, states(backbone)), size=size).isfinite().all())


def test_the_rest_is_the_prompt_without_its_sound(backbone: Backbone) -> None:
    placement = place(backbone, "a photo of A*", Regions((-0.5,), (1.0,)), words(1))
    wanted = torch.cat([states(backbone, 1), embed(backbone, ["a photo of A*"], words(1)[0][:0]).tokens])
    torch.testing.assert_close(placement._states, wanted)
    with pytest.raises(ValueError, match="2 states for 1 regions"):
        Placement(Regions((0.0,), (1.0,)), wanted)
    with pytest.raises(InputError, match="has the form"):
        place(backbone, "a photo of A*", APART, [torch.zeros(1, 8)] * 2)


TOGETHER = Regions((0.0, 0.0), (0.5, 0.5))


def parted(backbone: Backbone) -> Placement:
    return place(backbone, "a photo of A*", TOGETHER, words(2), parted=True)


def test_sounds_at_one_place_part_the_picture(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    predict = backbone.predict

    def counted(batch: Tensor, *rest: Any) -> Tensor:
        rows.append(len(batch))
        return predict(batch, *rest)

    monkeypatch.setattr(backbone, "predict", counted)
    blended = latents(backbone, place(backbone, "a photo of A*", TOGETHER, words(2)), num_inference_steps=5)
    assert rows == [2] * 5
    rows.clear()
    placement = parted(backbone)
    found = latents(backbone, placement, num_inference_steps=5)
    assert rows == [1, 1, 1, 2] * 2 + [2] * 3  # without a word and with each, in the first two of five steps
    assert not torch.allclose(found, blended, atol=1e-3)
    masks = placement._mask(8, 8)
    assert masks.mean(1).tolist() == pytest.approx([0.5, 0.5], abs=0.01) and float(masks.std()) > 0.1
    torch.testing.assert_close(latents(backbone, placement, num_inference_steps=5), found)  # the next picture


def test_a_later_stage_keeps_the_parts(backbone: Backbone) -> None:
    placement = parted(backbone)
    latents(backbone, placement, num_inference_steps=4)
    before = placement._mask(16, 16)
    latents(backbone, placement, num_inference_steps=4, first_step=3, size=(128, 128))
    torch.testing.assert_close(placement._mask(16, 16), before)


def test_only_several_sounds_at_one_place_part(backbone: Backbone) -> None:
    for regions in (APART, Regions((0.0,), (1.0,))):
        with pytest.raises(ValueError, match="several sounds at one place"):
            place(backbone, "a photo of A*", regions, words(len(regions.pans)), parted=True)


def test_the_model_is_as_it_was(backbone: Backbone) -> None:
    before, plain = hooks(backbone), latents(backbone)
    placement = Placement(APART, states(backbone))
    latents(backbone, placement)
    latents(backbone, parted(backbone))
    assert hooks(backbone) == before
    stopped = loop(backbone, placement)
    next(stopped)
    assert hooks(backbone) == before, "nothing is held between two steps"
    stopped.close()  # type: ignore[attr-defined]

    class Failing(Placement):
        def before_predict(self, moment: Moment) -> None:
            assert hooks(backbone) > before
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        next(loop(backbone, Failing(APART, states(backbone))))
    assert hooks(backbone) == before
    assert torch.equal(latents(backbone), plain)


def test_a_layer_with_text_of_its_own_is_left_alone(backbone: Backbone) -> None:
    other = Attention(query_dim=8, cross_attention_dim=WIDTH, heads=1, dim_head=8)
    placement = Placement(APART, states(backbone))
    hidden, own = torch.randn(2, 64, 8), torch.randn(2, 5, WIDTH)
    plain = other(hidden, encoder_hidden_states=own)
    with torch.no_grad():
        other.register_forward_pre_hook(placement._apart, with_kwargs=True)
        other.register_forward_hook(placement._together((8, 8), 2))
        assert torch.equal(other(hidden, encoder_hidden_states=own), plain)


@pytest.mark.parametrize(
    ("size", "tokens", "grid"),
    [((32, 32), 1024, (32, 32)), ((32, 32), 64, (8, 8)), ((13, 11), 42, (7, 6)), ((9, 8), 3 * 2, (3, 2))],
)
def test_layer_grid(size: tuple[int, int], tokens: int, grid: tuple[int, int]) -> None:
    assert layer_grid(size, tokens) == grid


@pytest.mark.parametrize("tokens", [63, 100, 2])
def test_a_grid_that_fits_no_level_is_refused(tokens: int) -> None:
    with pytest.raises(HearsightError, match=f"has {tokens} places"):
        layer_grid((32, 32), tokens)
