"""Drawing on a lent card: with a stand-in for the package that forks and pickles as it does, and without it.

Not collected with the others: a fork of a process that has drawn before, with its threads and its browser, may never
end. test_zero_gpu.py runs this file in a fresh one.
"""

from __future__ import annotations

import importlib.machinery
import multiprocessing
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.recipe import Recipe, Track
from studio.result import Result, Step
from studio.sound.write import write_wav
from studio.ui.album import Album
from studio.ui.hosting import load_early, on_zero_gpu
from studio.ui.jobs import Saved, Stopped, make
from studio.ui.service import Service, _embedded
from studio.ui.zero_gpu import LentEngine, lent, seconds_needed
from tests.models import tone


class StandIn(types.ModuleType):
    """The package `spaces`, as far as it is used: each call runs in a forked process, everything is pickled."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.__spec__ = importlib.machinery.ModuleSpec("spaces", None)
        self.durations: list[int] = []
        self.refusal: Exception | None = None
        self.steps = 0  # that the other process made

    def GPU(self, task: Callable[..., Iterator[Any]], *, duration: Callable[..., int]) -> Callable[..., Iterator[Any]]:
        context = multiprocessing.get_context("fork")

        def handler(*args: Any) -> Iterator[Any]:
            self.durations.append(duration(*args))
            if self.refusal is not None:
                raise self.refusal
            here, there = context.Pipe()
            stop, made = context.Event(), context.Value("i", 0)

            def work() -> None:
                for item in task(*there.recv()):
                    made.value += 1
                    there.send(item)
                    if stop.is_set():
                        break
                there.send("end")

            process = context.Process(target=work, daemon=True)
            process.start()
            here.send(args)
            try:
                while not isinstance(item := here.recv(), str):
                    yield item
            finally:
                stop.set()
                process.join(20)
                process.kill()
                self.steps = made.value

        return handler


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "spaces", module)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    # How many draw is part of what a picture says of its making.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield module
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tiny_folder: Path, tiny_plugins: None, tmp_path: Path) -> Recipe:
    write_wav(tone(), tmp_path / "tone.wav")
    return Recipe(
        tracks=(Track.of(tmp_path / "tone.wav"),),
        model=str(tiny_folder),
        adapter="tiny-word",
        num_inference_steps=4,
        seed=5,
        preview_every=1,
    )


def test_nothing_happens_elsewhere(monkeypatch: pytest.MonkeyPatch, spaces: StandIn) -> None:
    def task() -> Iterator[int]:
        yield 1

    assert on_zero_gpu()
    assert lent(task, seconds_needed) is not task
    monkeypatch.setenv("SPACES_ZERO_GPU", "false")  # another Space, with the package installed
    assert not on_zero_gpu()
    assert lent(task, seconds_needed) is task
    assert type(_embedded()) is Engine
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.delitem(sys.modules, "spaces")
    assert not on_zero_gpu()


def test_the_same_picture_comes_back(spaces: StandIn, recipe: Recipe) -> None:
    items = list(LentEngine().stream(recipe))
    plain = Engine("cpu").run(recipe)
    *steps, result = items
    assert [type(one) for one in items] == [Step] * 4 + [Result]
    assert steps[0].preview is not None
    assert result.images[0].tobytes() == plain.images[0].tobytes()
    assert (result.heard, result.recipe) == (plain.heard, plain.recipe)
    assert spaces.durations == [seconds_needed(recipe)]


def test_errors_of_ours_come_back_as_they_were(spaces: StandIn, recipe: Recipe) -> None:
    with pytest.raises(InputError, match="no adapter 'no-such-adapter'"):
        list(LentEngine().stream(recipe.replace(adapter="no-such-adapter")))


def test_a_card_that_is_not_lent_is_a_sentence(spaces: StandIn, recipe: Recipe) -> None:
    import gradio as gr

    spaces.refusal = gr.Error("<b>60s requested vs. 56s left</b>", title="ZeroGPU quota exceeded")
    with pytest.raises(HearsightError, match=r"no graphics card left for you now \(ZeroGPU quota exceeded\)"):
        list(LentEngine().stream(recipe))
    spaces.refusal = RuntimeError("something else")
    with pytest.raises(RuntimeError):
        list(LentEngine().stream(recipe))


def test_stop_ends_the_other_process_at_its_next_step(spaces: StandIn, recipe: Recipe, tmp_path: Path) -> None:
    service = Service(recipe.model, recipe.adapter, "tiny-ear", home=tmp_path, make_engine=LentEngine)
    service.load()
    album = Album.of(service.pictures, None)
    moments = make(service, "page", album, recipe.replace(num_inference_steps=60))
    found = [next(moments)]
    assert service.stop("page")
    found += list(moments)
    assert isinstance(found[-1], Stopped) and not any(isinstance(one, Saved) for one in found)
    assert spaces.steps < 30
    assert any(isinstance(one, Saved) for one in make(service, "page", album, recipe))


def test_the_model_is_loaded_before_the_page_is_up(
    spaces: StandIn, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = Service(recipe.model, recipe.adapter, "tiny-ear", home=tmp_path, make_engine=LentEngine)
    load_early(service)
    assert service.engine(0) is not None
    monkeypatch.setenv("SPACES_ZERO_GPU", "")
    other = Service(recipe.model, recipe.adapter, "tiny-ear", home=tmp_path, make_engine=LentEngine)
    load_early(other)
    assert other._engine is None
