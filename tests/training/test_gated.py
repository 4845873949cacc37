"""The gated adapter's two stages: losses fall, and gradients go only where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from studio.adapters.gated import GatedAdapter
from studio.backbones.stable_diffusion import StableDiffusion
from studio.cli import main
from studio.data.photos import Photos
from studio.data.recordings import Sounds
from studio.data.shards import Vocabulary
from studio.encoders.pocket import EarConfig, PocketEar
from studio.training.ear import EarTask
from studio.training.gated import GatedTask, new_gated_adapter
from studio.training.latents import Latents
from studio.training.loop import LoopOptions, train
from tests.models import fingerprint


@pytest.fixture(scope="module")
def task(tiny_data: Path, tiny_backbone: StableDiffusion, tmp_path_factory: pytest.TempPathFactory) -> GatedTask:
    """Tiny ear, tiny image model, and latents that say of which class a photo is."""
    torch.manual_seed(0)
    sounds = Sounds.load(tiny_data)
    ear = PocketEar(EarConfig(labels=tuple(sounds.classes), channels=(4, 4, 8, 8), dim=16)).eval()
    photos = Photos.load(tiny_data, "train", tmp_path_factory.mktemp("cache"))
    values = np.random.default_rng(0).normal(0, 0.1, (len(photos), 4, 8, 8)) + photos.labels[:, None, None, None]
    latents = Latents(values.astype(np.float16), np.arange(len(photos)), ["photo"] * len(photos))
    vocabulary = Vocabulary.load(tiny_data)
    adapter = new_gated_adapter(tiny_backbone, ear, vocabulary)
    return GatedTask(EarTask(sounds, ear), photos, latents, vocabulary, tiny_backbone, adapter.train(), copies=2)


@pytest.fixture
def frozen(task: GatedTask) -> Iterator[None]:
    """Afterwards the image model is what it was, without hooks, and no gradient has reached it."""
    parts = task.backbone.modules()
    before = {name: fingerprint(module) for name, module in parts.items()}
    yield
    assert {name: fingerprint(module) for name, module in parts.items()} == before
    assert all(p.grad is None for module in parts.values() for p in module.parameters())


def _gradients(task: GatedTask, progress: float) -> tuple[dict[str, Tensor], dict[str, set[bool]]]:
    task.progress = progress
    losses = task.loss(3, torch.Generator().manual_seed(0), 8)
    losses["loss"].backward()
    reached = {
        name: {p.grad is not None and bool(p.grad.any()) for p in module.parameters()}
        for name, module in task.modules.items()
    }
    for module in task.modules.values():
        module.zero_grad(set_to_none=True)
    return losses, reached


def test_stage_one_trains_the_projector_alone(task: GatedTask, frozen: None) -> None:
    losses, reached = _gradients(task, 0.0)
    assert {"alignment", "infonce"} < set(losses)
    assert reached == {"projector": {True}, "layers": {False}, "gates": {False}}
    assert task.rates["projector"] == 1


def test_stage_two_trains_layers_gates_and_slowly_the_projector(task: GatedTask, frozen: None) -> None:
    losses, reached = _gradients(task, 0.5)
    assert {"denoising", "following"} < set(losses)
    assert reached == {"projector": {True}, "layers": {True}, "gates": {True}}
    assert task.rates["projector"] == 0.1 * task.rates["layers"]


def test_both_losses_fall(task: GatedTask, tmp_path: Path, frozen: None) -> None:
    def measure(progress: float) -> float:
        """Mean over fixed draws, without dropout."""
        task.progress = progress
        task.gated.eval()
        with torch.no_grad():
            losses = [task.loss(0, torch.Generator().manual_seed(seed), 16)["loss"] for seed in range(4)]
        task.gated.train()
        return float(torch.stack(losses).mean())

    state = {name: value.clone() for name, value in task.gated.state_dict().items()}
    task.first = 0.5
    before = measure(0.0), measure(1.0)
    scores = train(task, tmp_path, LoopOptions(steps=40, batch_size=16, learning_rate=3e-3, warmup=5, ema=0.8))
    after = measure(0.0), measure(1.0)
    assert after[0] < 0.9 * before[0]
    assert after[1] < before[1]
    assert scores["gates"] != pytest.approx(float(torch.tensor(0.1).tanh()), abs=1e-3)
    assert (tmp_path / "export" / "config.json").is_file()
    GatedAdapter.load(tmp_path / "export", task.backbone.dims)
    task.gated.load_state_dict(state)


def test_the_null_sound_stands_under_prompts_that_name_the_noun(
    task: GatedTask, frozen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it must say then is what the words alone say: so that words keep their say."""
    seen: list[Any] = []

    def watched(_draw: Any, _latents: Tensor, hidden: Tensor, named: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((hidden == named).flatten(1).all(1).tolist())
        return tokens.mean((1, 2)), tokens.mean((1, 2))

    monkeypatch.setattr(task, "_errors", watched)
    task.progress = 1.0
    for step in range(20):
        task.loss(step, torch.Generator().manual_seed(step), 16)
    assert 0.05 < np.mean(seen) < 0.25


def test_kinds_are_for_adapters(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "ear", "--kind", "gated", "--data", str(tiny_data)]) == 2
    assert "--kind is for adapters only" in capsys.readouterr().err
