"""The one training loop. A task says what its modules and its loss are; the loop does the rest.

Runs stop at any moment (Ctrl-C, kill, power cut) and go on with the same command: the run folder holds the options,
the statistics (``stats.jsonl``), samples, and the last whole checkpoint. Randomness comes from (seed, step), so a
resumed run draws what an uninterrupted one would have drawn.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from studio.device import pick_device
from studio.errors import InputError
from studio.training.workers import Workers


@dataclass(frozen=True)
class LoopOptions:
    """How long and how fast; the same for every task.

    minutes : budget of training time, evaluation and interruptions not counted; the learning rate falls to 0 at its
        end
    steps : budget in optimiser steps instead (exactly one of the two)
    batch_size : samples a step, in each process where several train together
    accumulate : how many batches make up a step; as much memory as one of them, for the gradient of all
    learning_rate : peak, after `warmup` steps of linear rise
    decay : share of the budget at its end over which the rate falls linearly to 0
    ema : decay of the averaged weights, which are the ones exported
    """

    minutes: float | None = None
    steps: int | None = None
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup: int = 100
    decay: float = 0.4
    ema: float = 0.999
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 3.0
    sample_minutes: float = 10.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise InputError("Give a training budget: either --minutes or --steps.")
        for name in ("minutes", "steps", "batch_size", "accumulate"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name} must be above 0 but is {value}.")


class Task(ABC):
    """What one model needs beside the loop.

    modules : the trained networks by name; anything frozen stays out
    rates : learning rate of a module as a multiple of the run's; 1 where it is not named
    progress : share of the budget that is used, 0..1; the loop keeps it up to date, for tasks in stages
    """

    name: str
    modules: dict[str, nn.Module]
    rates: ClassVar[dict[str, float]] = {}
    progress: float = 0.0

    @abstractmethod
    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        """Draw a batch and return scalars; the entry ``loss`` is minimised, the others are only logged."""

    def samples(self, path: Path) -> None:  # noqa: B027 - not every task has something to show
        """Write pictures of the present state (file name without suffix), with the averaged weights in place."""

    def scores(self) -> dict[str, float]:
        """Held-out figures of the present state, with the averaged weights in place."""
        return {}

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the finished model in its public format."""


def autocast(device: str) -> torch.autocast:
    """bfloat16 autocast: on CUDA and on processors with instructions for it (as `pick_device` finds them); else a
    disabled context, because emulated it is slower than float32.
    """
    kind = torch.device(device).type
    fast = kind == "cuda" or pick_device("cpu").dtype is torch.bfloat16
    return torch.autocast(kind, torch.bfloat16, enabled=fast)


class Average:
    """Exponential moving average of the trained weights; floating-point tensors only, others are copied."""

    def __init__(self, modules: dict[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.modules = modules
        self.state = {key: value.detach().clone() for key, value in self._live().items()}

    def _live(self) -> dict[str, Tensor]:
        return {
            f"{n}.{key}": value for n, module in self.modules.items() for key, value in module.state_dict().items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # short memory at the start
        for key, value in self._live().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averaged weights into the modules for the duration of the block."""
        live = {name: copy.deepcopy(module.state_dict()) for name, module in self.modules.items()}
        modes = {name: module.training for name, module in self.modules.items()}
        try:
            for name, module in self.modules.items():
                start = len(name) + 1
                module.load_state_dict({k[start:]: v for k, v in self.state.items() if k.startswith(name + ".")})
                module.eval()
            yield
        finally:
            for name, module in self.modules.items():
                module.load_state_dict(live[name])
                module.train(modes[name])


@contextmanager
def stoppable() -> Iterator[None]:
    """Let a polite kill (SIGTERM) stop a run as Ctrl-C does: with a checkpoint. Only the main thread may ask for
    it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        for number in before:  # a second Ctrl-C must not break off the writing of the checkpoint
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write beside and rename, so that a kill never leaves half a checkpoint."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def learning_rate(options: LoopOptions, step: int, progress: float) -> float:
    """Linear warm-up, constant, linear fall to 0 over the last `decay` of the budget (progress 0..1)."""
    rise = min(1.0, (step + 1) / max(1, options.warmup))
    fall = min(1.0, max(0.0, 1 - progress) / options.decay) if options.decay > 0 else 1.0
    return options.learning_rate * rise * fall


def train(
    task: Task,
    run: Path,
    options: LoopOptions,
    notes: dict[str, Any] | None = None,
    workers: Workers | None = None,
) -> dict[str, float]:
    """Train `task` in folder `run` until the budget is used, going on from its checkpoint if there is one.

    Returns the last scores. Exports the model to ``run/export``. workers: all processes that train it together; the
    task must have been built in each of them from the same seed.
    """
    workers = workers or Workers(options.device)
    if workers.first:
        run.mkdir(parents=True, exist_ok=True)
        (run / "samples").mkdir(exist_ok=True)
        (run / "options.json").write_text(
            json.dumps({"loop": asdict(options), "task": notes or {}}, indent=1, default=str)
        )
    for module in task.modules.values():
        module.to(options.device).train()
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.requires_grad]} for module in task.modules.values()
    ]
    parameters = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(
        groups, lr=options.learning_rate, weight_decay=options.weight_decay, betas=(0.9, 0.99), fused=True
    )
    average = Average(task.modules, options.ema)
    step, spent = 0, 0.0
    checkpoint = run / "checkpoint.pt"
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=options.device, weights_only=True)
        try:
            for name, module in task.modules.items():
                module.load_state_dict(saved["modules"][name])
            optimizer.load_state_dict(saved["optimizer"])
        except (KeyError, RuntimeError, ValueError):
            raise InputError(
                f"The run in {str(run)!r} is of a model of another form, so it cannot go on: delete that folder, "
                "or give --runs another one."
            ) from None
        average.state = saved["average"]
        step, spent = saved["step"], saved["spent"]

    def progress() -> float:
        return spent / (options.minutes * 60) if options.minutes is not None else step / (options.steps or 1)

    def write() -> None:
        if not workers.first:
            return
        save_checkpoint(
            checkpoint,
            {
                "modules": {name: module.state_dict() for name, module in task.modules.items()},
                "optimizer": optimizer.state_dict(),
                "average": average.state,
                "step": step,
                "spent": spent,
            },
        )

    def log(entry: dict[str, float]) -> None:
        if not workers.first:
            return
        with (run / "stats.jsonl").open("a") as out:
            out.write(json.dumps({"step": step, "minutes": round(spent / 60, 3), **entry}) + "\n")

    samples = options.batch_size * options.accumulate * workers.count
    since_checkpoint = since_sample = 0.0
    running: dict[str, float] = {}
    done = int(1000 * min(1, progress()))
    form = "{l_bar}{bar}| {elapsed}<{remaining} {postfix}"
    bar = tqdm(total=1000, initial=done, desc=task.name, bar_format=form, disable=not workers.first)
    with stoppable():
        try:
            while progress() < 1:
                started = time.perf_counter()
                task.progress = progress()
                rate = learning_rate(options, step, task.progress)
                for name, group in zip(task.modules, optimizer.param_groups, strict=True):
                    group["lr"] = rate * task.rates.get(name, 1.0)
                for part in range(options.accumulate):
                    draw = (step * options.accumulate + part) * workers.count + workers.rank
                    generator = torch.Generator().manual_seed(options.seed * 1_000_003 + draw)
                    torch.manual_seed(2**40 + options.seed * 1_000_003 + draw)  # dropout draws from torch's own
                    with autocast(options.device):
                        losses = task.loss(step, generator, options.batch_size)
                    (losses["loss"] / options.accumulate).backward()
                workers.average_gradients(parameters)
                norm = torch.nn.utils.clip_grad_norm_(parameters, options.clip_norm)
                if math.isfinite(float(norm)):  # one bad batch must not spoil the run
                    optimizer.step()
                    average.update(step)
                optimizer.zero_grad(set_to_none=True)
                step += 1
                seconds = workers.agreed(time.perf_counter() - started, options.device)
                spent += seconds
                since_checkpoint += seconds
                since_sample += seconds
                for name, value in losses.items():
                    now = float(value.detach())
                    running[name] = 0.98 * running.get(name, now) + 0.02 * now
                bar.n = int(1000 * min(1.0, progress()))
                bar.set_postfix_str(f"step {step} loss {running['loss']:.4f} {samples / seconds:.0f}/s", refresh=False)
                bar.update(0)
                if step % 50 == 0:
                    log({**running, "lr": rate})
                if since_checkpoint > options.checkpoint_minutes * 60:
                    write()
                    since_checkpoint = 0.0
                if since_sample > options.sample_minutes * 60:
                    if workers.first:
                        with average.in_place(), torch.no_grad(), autocast(options.device):
                            task.samples(run / "samples" / f"{step:07d}")
                            log(task.scores())
                    workers.wait()
                    since_sample = 0.0
        finally:
            bar.close()
            write()
    scores: dict[str, float] = {}
    if workers.first:
        with average.in_place(), torch.no_grad(), autocast(options.device):
            task.samples(run / "samples" / f"{step:07d}")
            scores = task.scores()
            log(scores)
            task.export(run / "export")
    workers.wait()
    return scores
