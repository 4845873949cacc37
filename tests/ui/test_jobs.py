"""Making pictures for a page on the model: the order of the moments, stopping, waiting, several pictures."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image

from studio.library.png import read_recipe
from studio.recipe import Recipe, Track
from studio.sound.write import write_wav
from studio.ui.album import Album
from studio.ui.jobs import Drawing, Saved, Stopped, Waiting, make
from studio.ui.service import Model, Service
from tests.models import tone


@pytest.fixture(scope="module")
def recipe(service: Service, home: Path) -> Recipe:
    path = home / "tone.wav"
    write_wav(tone(), path)
    return Recipe(
        tracks=(Track.of(path),), seed=40, num_inference_steps=4, model=service.model, adapter=service.adapter
    )


def test_pictures_are_saved_one_by_one_and_equal_singles(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    album = Album(tmp_path)
    moments = list(make(service, "page", album, recipe.replace(count=2)))
    saved = [moment for moment in moments if isinstance(moment, Saved)]
    drawing = [moment for moment in moments if isinstance(moment, Drawing)]
    assert [one.recipe.seed for one in saved] == [40, 41]
    assert [one.last for one in saved] == [False, True]
    total = drawing[0].step.total
    assert total >= 4  # more where the model draws in stages
    assert [(one.image, one.step.index) for one in drawing] == [(i, s) for i in (1, 2) for s in range(1, total + 1)]
    assert any(one.step.preview is not None for one in drawing)
    assert all(read_recipe(one.path) == one.recipe.public() for one in saved)
    single = list(make(service, "page", album, recipe.replace(seed=41)))[-1]
    assert isinstance(single, Saved)
    assert Image.open(single.path).tobytes() == Image.open(saved[1].path).tobytes()
    assert service.condition.model is Model.READY
    assert len(service.line) == 0


def test_a_picture_is_made_again_from_its_own_recipe(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    first = list(make(service, "page", Album(tmp_path), recipe))[-1]
    assert isinstance(first, Saved)
    carried = read_recipe(first.path).replace(model=service.model)  # the tiny folder's name alone is not enough
    again = list(make(service, "page", Album(tmp_path), carried))[-1]
    assert isinstance(again, Saved)
    assert Image.open(first.path).tobytes() == Image.open(again.path).tobytes()


def test_stop_is_seen_at_the_next_step(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    moments = make(service, "page", Album(tmp_path), recipe.replace(count=4))
    for moment in moments:
        if isinstance(moment, Drawing):
            break
    assert service.stop("another page") is False
    assert service.stop("page") is True
    assert list(moments) == [Stopped(2)]
    assert service.stop("page") is False
    assert not list(tmp_path.glob("*.png"))
    assert len(service.line) == 0


def test_a_closed_page_frees_the_line(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    moments = make(service, "page", Album(tmp_path), recipe)
    next(moments)
    assert len(service.line) == 1
    moments.close()  # type: ignore[attr-defined]  # what Gradio does when the tab is closed
    assert len(service.line) == 0
    assert service.stop("page") is False


def test_the_second_waits_and_can_be_stopped(service: Service, recipe: Recipe, tmp_path: Path) -> None:
    with service.join_line():
        moments = make(service, "page", Album(tmp_path), recipe)
        assert isinstance(first := next(moments), Waiting)
        assert first.ahead == 1
        threading.Timer(0.1, service.stop, ["page"]).start()
        assert Stopped(0) in list(moments)


def test_the_sounds_of_a_picture_are_kept_where_nobody_else_comes(
    service: Service, recipe: Recipe, tmp_path: Path
) -> None:
    names = (service.model, service.adapter, service.encoder)
    engine = service.engine(60)
    assert engine is not None
    for hosted in (False, True):
        other = Service(*names, home=tmp_path / str(hosted), hosted=hosted, make_engine=lambda: engine)
        made = list(make(other, "page", Album(tmp_path), recipe.replace(num_inference_steps=1)))[-1]
        assert isinstance(made, Saved)
        found = None if other.sounds is None else other.sounds.find(made.recipe.tracks[0].sha256)
        assert (found is None) is hosted
        assert hosted or (found is not None and found.name == "tone.wav")
        assert (tmp_path / str(hosted) / "sounds").exists() is not hosted
