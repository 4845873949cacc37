"""The training loop: it learns, stops at any moment, and goes on as if it had not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from studio.errors import InputError
from studio.training import loop
from studio.training.loop import LoopOptions, Task, autocast, learning_rate, save_checkpoint, train


class Line(Task):
    """y = 3 x + 1 from noisy points; `stop_at` raises as Ctrl-C would."""

    name = "line"

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.modules = {"line": self.model}
        self.stop_at = stop_at

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        x = torch.randn(batch_size, 1, generator=generator)
        return {"loss": (self.model(x).float() - (3 * x + 1)).square().mean()}

    def scores(self) -> dict[str, float]:
        return {"slope": float(self.model.weight)}

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "line.pt")


OPTIONS = LoopOptions(steps=120, batch_size=16, learning_rate=0.1, warmup=5, ema=0.5, weight_decay=0.0)


def weights(run: Path) -> dict[str, Tensor]:
    return torch.load(run / "export" / "line.pt", weights_only=True)


def test_learns_and_leaves_a_complete_run_folder(tmp_path: Path) -> None:
    scores = train(Line(), tmp_path, OPTIONS, {"name": "line"})
    assert scores["slope"] == pytest.approx(3, abs=0.2)
    options = json.loads((tmp_path / "options.json").read_text())
    assert options["loop"]["steps"] == 120 and options["task"] == {"name": "line"}
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 50 and lines[-1]["slope"] == scores["slope"]
    assert lines[0]["loss"] > lines[1]["loss"]
    assert (tmp_path / "checkpoint.pt").is_file() and (tmp_path / "samples").is_dir()


def test_a_stopped_run_ends_where_an_unstopped_one_does(tmp_path: Path) -> None:
    train(Line(), tmp_path / "whole", OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=37), tmp_path / "cut", OPTIONS)
    train(Line(), tmp_path / "cut", OPTIONS)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_an_impatient_second_interrupt_does_not_cost_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Line):
        def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
            if step == 37:
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(step, generator, batch_size)

    def interrupted(path: Path, content: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save_checkpoint(path, content)

    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(), tmp_path, OPTIONS)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 37
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    train(Line(), tmp_path, OPTIONS)
    before = weights(tmp_path)
    train(Line(stop_at=120), tmp_path, OPTIONS)  # would raise if it took a step
    assert torch.equal(before["weight"], weights(tmp_path)["weight"])


def test_learning_rate_rises_stays_and_falls() -> None:
    options = LoopOptions(steps=100, learning_rate=1.0, warmup=10, decay=0.5)
    assert learning_rate(options, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(options, 20, 0.2) == 1.0
    assert learning_rate(options, 75, 0.75) == pytest.approx(0.5)
    assert learning_rate(options, 100, 1.0) == 0.0


@pytest.mark.parametrize(
    "wrong", [{}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}, {"steps": 1, "batch_size": 0}]
)
def test_options_without_a_sensible_budget_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        LoopOptions(**wrong)


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_only_where_it_is_not_emulated(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    with autocast("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (product.dtype is torch.bfloat16) is native
