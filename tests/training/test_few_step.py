"""The few-step student: it learns the teacher's way, evaluates once a step, and is a Diffusers folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from studio.backbones import load_backbone
from studio.backbones.stable_diffusion import StableDiffusion
from studio.data.shards import Vocabulary
from studio.device import DeviceChoice
from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Recipe
from studio.training.few_step import STEPS, FewStepTask
from studio.word import pack_word
from tests.models import WIDTH, build_tiny_stable_diffusion

EXACT = DeviceChoice(torch.device("cpu"), torch.float32, "exact")


@pytest.fixture
def task(tmp_path: Path, tiny_data: Path) -> FewStepTask:
    """The student of a tiny random teacher with guidance 3."""
    teacher = load_backbone(str(build_tiny_stable_diffusion(tmp_path / "teacher")), EXACT)
    assert isinstance(teacher, StableDiffusion)
    return FewStepTask(teacher, Vocabulary.load(tiny_data))


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_velocity_leads_where_the_teacher_went(task: FewStepTask) -> None:
    generator = torch.Generator().manual_seed(0)
    x, place = torch.randn(2, STEPS, 4, 8, 8, generator=generator)
    now, then = task.times[:-1], task.times[1:]
    assert task.times.tolist() == [999, 749, 499, 249, -1]
    velocity = task.velocity(x, place, now, then)
    assert torch.allclose(task.jump(x, velocity, now, then), place, atol=1e-4)
    clean, noise = place, x  # from any place, the true velocity of a picture and a noise leads to their mixture
    signal, noisy = task.signal[now].view(-1, 1, 1, 1), task.noise[now].view(-1, 1, 1, 1)
    later, less = task.signal[then].view(-1, 1, 1, 1), task.noise[then].view(-1, 1, 1, 1)
    there = task.jump(signal * clean + noisy * noise, signal * noise - noisy * clean, now, then)
    assert torch.allclose(there, later * clean + less * noise, atol=1e-5)


def test_the_schedule_is_the_samplers(task: FewStepTask) -> None:
    """What the student trains on is what Diffusers' scheduler does with it."""
    scheduler = task.backbone().scheduler()
    scheduler.set_timesteps(STEPS)
    assert scheduler.timesteps.tolist() == task.times[:-1].tolist()
    x, velocity = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    for now, then in zip(task.times[:-1], task.times[1:], strict=True):
        theirs = scheduler.step(velocity, now, x).prev_sample
        assert torch.allclose(task.jump(x, velocity, now[None], then[None]), theirs, atol=1e-5)


def test_it_learns_and_leaves_the_teacher_alone(task: FewStepTask) -> None:
    before = state(task.teacher.unet)
    optimizer = torch.optim.Adam(task.student.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):  # one batch again and again: even a random teacher's ways can be learned by heart
        loss = task.loss(0, torch.Generator().manual_seed(0), STEPS)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(before[name], value) for name, value in task.teacher.unet.state_dict().items())


def test_what_an_earlier_student_learned_is_carried_over_where_it_helps(task: FewStepTask, tmp_path: Path) -> None:
    own = state(task.student)

    def saved(name: str, weights: dict[str, Tensor]) -> Path:
        task.student.load_state_dict(weights)
        task.student.save_pretrained(tmp_path / name)
        task.student.load_state_dict(own)
        return tmp_path / name

    optimizer = torch.optim.Adam(task.student.parameters(), lr=2e-3)
    for _ in range(15):
        loss = task.loss(0, torch.Generator().manual_seed(0), 4 * STEPS)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = state(task.student)
    # The earlier teacher was another one by as much as its student was: what was learned between them is the same.
    earlier, student = saved("teacher", {k: v + 0.1 for k, v in own.items()}), {k: v + 0.1 for k, v in learned.items()}
    assert task.carry_over(earlier, saved("student", student))
    assert all(torch.allclose(value, learned[name], atol=1e-5) for name, value in task.student.state_dict().items())

    task.student.load_state_dict(own)
    worse = {name: 2 * value for name, value in own.items()}
    assert not task.carry_over(saved("teacher", own), saved("student", worse))
    assert all(torch.equal(value, own[name]) for name, value in task.student.state_dict().items())

    build_tiny_stable_diffusion(tmp_path / "other", width=2 * WIDTH)
    assert not task.carry_over(tmp_path / "other" / "unet", tmp_path / "other" / "unet")
    assert all(torch.equal(value, own[name]) for name, value in task.student.state_dict().items())


def test_the_same_step_draws_the_same(task: FewStepTask) -> None:
    first, second = (task.loss(3, torch.Generator().manual_seed(3), 8) for _ in range(2))
    assert {"loss", *(f"step_{k}" for k in range(1, STEPS + 1))} == set(first)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_export_draws_in_the_engine_and_in_diffusers(task: FewStepTask, tmp_path: Path) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    folder = tmp_path / "fast"
    task.export(folder)
    settings = json.loads((folder / "hearsight.json").read_text())
    assert (settings["num_inference_steps"], settings["guidance_scale"], settings["native_size"]) == (STEPS, 1.0, 64)
    assert "teacher" not in (folder / "unet" / "config.json").read_text()
    engine = Engine(device="cpu")
    calls: list[Any] = []
    backbone = engine._models.backbone(str(folder))
    backbone.modules()["unet"].register_forward_hook(lambda _module, inputs, _output: calls.append(len(inputs[0])))
    word = pack_word(np.random.default_rng(0).normal(0, 1, (1, WIDTH)).astype(np.float32))
    first, again = (engine.run(Recipe(model=str(folder), word=word, seed=4)) for _ in range(2))
    assert calls == [1] * (2 * STEPS)  # one row each: no guidance left to compute
    assert first.images[0].tobytes() == again.images[0].tobytes()
    assert first.recipe.num_inference_steps == STEPS and first.recipe.guidance_scale == 1.0

    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    assert isinstance(pipeline.scheduler, DDIMScheduler)
    picture = pipeline("a photo of the sea", num_inference_steps=STEPS, guidance_scale=1.0, width=64, height=64)
    assert picture.images[0].size == (64, 64)


def test_other_predictions_are_refused(tmp_path: Path, tiny_data: Path) -> None:
    teacher = load_backbone(str(build_tiny_stable_diffusion(tmp_path, prediction_type="epsilon")), EXACT)
    assert isinstance(teacher, StableDiffusion)
    with pytest.raises(InputError, match="v-prediction"):
        FewStepTask(teacher, Vocabulary.load(tiny_data))
