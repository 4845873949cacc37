"""Pictures begun small and doubled: their stages, and what each of them starts from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.diffusion.coarse_to_fine import Stage, paint, stages, work
from studio.diffusion.loop import Moment, denoise, initial_noise
from studio.diffusion.prompt import embed
from studio.engine import Engine
from studio.recipe import Recipe
from studio.result import Result, Step
from tests.models import WIDTH, fingerprint, noise, tone


@pytest.fixture(scope="module")
def staged(staged_folder: Path) -> Backbone:
    return load_backbone(str(staged_folder), pick_device("cpu")._replace(dtype=torch.float32))


def _moments(
    backbone: Backbone, size: int = 128, seed: int = 0, steps: int = 4, scale: float = 3, watch: Any = None
) -> list[Moment]:
    word = 0.3 * torch.randn(1, backbone.dims.text_width, generator=torch.Generator().manual_seed(5))
    states = embed(backbone, ["blurry", "a photo of A*"], word)
    draw = partial(watch or denoise, backbone, negative=states[:1], positive=states[1:])
    generator = torch.Generator().manual_seed(seed)
    return list(paint(backbone, stages(backbone, size, size, steps), draw, scale, generator, lambda _: []))


def _picture(backbone: Backbone, moment: Moment, size: int) -> np.ndarray:
    picture = Image.fromarray(backbone.decode(moment.latents)[0])
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX), float)


@pytest.mark.parametrize(
    ("size", "steps", "plan"),
    [
        ((32, 32), 20, [Stage(32, 32, 20)]),
        ((56, 56), 20, [Stage(56, 56, 20)]),
        ((64, 64), 20, [Stage(32, 32, 20), Stage(64, 64, 10, 6)]),
        ((128, 128), 20, [Stage(32, 32, 20), Stage(64, 64, 10, 6), Stage(128, 128, 10, 6)]),
        ((192, 128), 8, [Stage(48, 32, 8), Stage(96, 64, 4, 3), Stage(192, 128, 4, 3)]),
        ((104, 72), 4, [Stage(48, 32, 4), Stage(104, 72, 2, 2)]),  # whole latents at every size
        ((128, 64), 1, [Stage(64, 32, 1), Stage(128, 64, 2, 2)]),
    ],
)
def test_stages(staged: Backbone, size: tuple[int, int], steps: int, plan: list[Stage]) -> None:
    assert stages(staged, *size, steps) == plan


def test_work_is_counted_in_steps_of_the_last_stage() -> None:
    plan = [Stage(64, 64, 20), Stage(128, 128, 10, 6)]
    assert [work(plan, steps) for steps in (0, 10, 20, 23, 25)] == [0, 2.5, 5, 8, 10]
    assert work(plan) == 10
    assert work(plan[:1]) == 20


def test_a_model_that_does_not_say_where_to_begin_draws_in_one_stage(tiny_backbone: Backbone) -> None:
    """And that is the plain loop, to the byte."""
    assert stages(tiny_backbone, 512, 256, 20) == [Stage(512, 256, 20)]
    painted = _moments(tiny_backbone, size=64)
    word = 0.3 * torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(5))
    states, generator = embed(tiny_backbone, ["blurry", "a photo of A*"], word), torch.Generator().manual_seed(0)
    *_, last = denoise(
        tiny_backbone, initial_noise(tiny_backbone, 64, 64, generator), states[:1], states[1:],
        num_inference_steps=4, guidance_scale=3, generator=generator,
    )  # fmt: skip
    assert torch.equal(painted[-1].latents, last.latents)


def test_steps_count_over_all_stages(staged: Backbone) -> None:
    moments = _moments(staged, steps=10)
    assert [(moment.index, moment.total) for moment in moments] == [(number, 16) for number in range(1, 17)]
    sizes = [moment.latents.shape[-1] * 8 for moment in moments]
    assert sizes == [32] * 10 + [64] * 3 + [128] * 3


def test_a_seed_is_a_picture_and_nothing_is_left_behind(staged: Backbone) -> None:
    network = staged.modules()["unet"]
    before = fingerprint(network)
    again, first = (_moments(staged)[-1].latents for _ in range(2))
    assert torch.equal(again, first)
    assert not torch.equal(first, _moments(staged, seed=1)[-1].latents)
    assert fingerprint(network) == before


@pytest.mark.parametrize(("scale", "later"), [(7.0, 3.0), (1.0, 1.0), (0.4, 0.4)])
def test_later_stages_are_guided_less(staged: Backbone, scale: float, later: float) -> None:
    asked = []

    def watch(*arguments: Any, **options: Any) -> Any:
        asked.append(options["guidance_scale"])
        return denoise(*arguments, **options)

    _moments(staged, scale=scale, watch=watch)
    assert asked == pytest.approx([scale, later, later])


@pytest.mark.parametrize(
    "sampler",
    ["", "+scheduler=EulerDiscreteScheduler", "+scheduler=EulerAncestralDiscreteScheduler",
     "+scheduler=DPMSolverMultistepScheduler", "+scheduler=LCMScheduler"],
)  # fmt: skip
def test_each_stage_goes_on_from_the_one_before(sampler: str) -> None:
    """With the embedded model, as an untrained one keeps nothing, and with samplers that each add noise in their way:
    what comes out is nearer to what the first stage drew than another seed's is."""
    pocket = load_backbone(f"pocket{sampler}", pick_device("cpu"))
    moments = _moments(pocket, size=256, steps=6)
    assert [moment.latents.shape[-1] * 8 for moment in moments] == [128] * 6 + [256]
    first, last = (_picture(pocket, moments[place], 32) for place in (5, -1))
    other = _picture(pocket, _moments(pocket, size=256, steps=6, seed=1)[-1], 32)
    assert np.abs(first - last).mean() < 0.6 * np.abs(other - last).mean()


def test_the_engine_draws_in_stages(engine: Engine, staged_folder: Path) -> None:
    recipe = Recipe(model=str(staged_folder), adapter="tiny-word", seed=3, num_inference_steps=4, preview_every=1)
    *steps, result = engine.stream(recipe, tone())
    assert isinstance(result, Result)
    assert (result.recipe.width, result.recipe.height, result.images[0].size) == (128, 128, (128, 128))
    shown = [step for step in steps if isinstance(step, Step)]
    assert [(step.index, step.total) for step in shown] == [(number, 6) for number in range(1, 7)]
    assert all(step.preview is not None and step.preview.size == (128, 128) for step in shown)
    assert engine.run(result.recipe).images[0].tobytes() == result.images[0].tobytes()
    wide = engine.run(recipe.replace(width=192, height=104), noise()).images[0]
    assert wide.size == (192, 104)
