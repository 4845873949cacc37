"""Inversion: each step is undone exactly as Diffusers does it, and layers are found in networks of any depth."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from studio.diffusion.attention import unet_layers
from studio.diffusion.inversion import groups, picture_and_noise, shares, undo


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [7, 20])
def test_undo_is_the_inverse_of_a_step(kind: str, spacing: str, steps: int) -> None:
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type=kind, clip_sample=False, timestep_spacing=spacing,
        set_alpha_to_one=False,
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(0)
    for timestep in scheduler.timesteps[1:]:  # at the first nothing of a picture is left to be brought back
        latents, output = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
        stepped = scheduler.step(output, timestep, latents)
        share = shares(scheduler, timestep)
        assert torch.allclose(undo(output, stepped.prev_sample, share, kind), latents, atol=2e-3)
        picture, _ = picture_and_noise(output, latents, share.a, share.s, kind)
        assert torch.allclose(picture, stepped.pred_original_sample, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("steps", [1, 20, 21, 50, 100])
def test_groups_cover_the_steps_once(steps: int) -> None:
    together = groups(steps)
    assert [step for group in together for step in group] == list(range(1, steps + 1))
    assert len(together) <= 20


def _unet(channels: tuple[int, ...], cross_down: tuple[bool, ...], layers: int) -> UNet2DConditionModel:
    down = tuple("CrossAttnDownBlock2D" if cross else "DownBlock2D" for cross in cross_down)
    up = tuple("CrossAttnUpBlock2D" if cross else "UpBlock2D" for cross in reversed(cross_down))
    return UNet2DConditionModel(
        block_out_channels=channels, down_block_types=down, up_block_types=up, layers_per_block=layers,
        cross_attention_dim=8, attention_head_dim=2, norm_num_groups=4,
    )  # fmt: skip


def test_layers_of_stable_diffusion_are_the_published_ones() -> None:
    """Stable Diffusion 1.x and 2.x have this form; up_blocks 1: [1, 2], 2 and 3: [0, 1, 2] are the usual names."""
    found = unet_layers(_unet((8, 8, 8, 8), (True, True, True, False), 2), 64)
    assert found.features == ("up_blocks.1.resnets.1.conv2", "up_blocks.1.resnets.2.conv2")
    places = [(1, 1), (1, 2), *((block, index) for block in (2, 3) for index in (0, 1, 2))]
    assert found.layout == tuple(f"up_blocks.{b}.attentions.{i}.transformer_blocks.0.attn1" for b, i in places)
    assert len(found.self_attention) == len(found.cross_attention) == 16


def test_layers_of_a_small_network() -> None:
    found = unet_layers(_unet((8, 8, 8), (False, True, True), 1), 16)  # the embedded model's form
    assert found.features == ("up_blocks.2.resnets.0.conv2", "up_blocks.2.resnets.1.conv2")
    assert found.layout == tuple(f"up_blocks.1.attentions.{i}.transformer_blocks.0.attn1" for i in (0, 1))
