"""Every model trains from a data folder by its recipe, in order, and what comes out works in the engine."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from studio.adapters.word import WordAdapter
from studio.backbones.base import ModelDefaults
from studio.data.attributes import measure
from studio.data.recordings import COPIES, Sounds, held_out
from studio.encoders.pocket import PocketEar
from studio.errors import InputError
from studio.evaluation.classifier import PictureClassifier
from studio.sound.clip import Clip
from studio.training.adapter import MOODS, AdapterTask, new_adapter, word_of
from studio.training.drawn import favour_of
from studio.training.few_step import FewStepTask
from studio.training.image import ImageTask, drawn_by_default
from studio.training.latents import chosen
from studio.training.recipes import TRAINING, Work, run_training

STEPS = {
    "pocket-vae": 4,
    "pocket-image": 3,
    "pocket-fast": 3,
    "ear": 45,
    "adapter": 6,
    "adapter-gated": 8,
    "classifier": 25,
}
FOLDERS = ("pocket-vae", "pocket-image-64", "pocket-fast", "ear", "adapter", "adapter-gated", "classifier")


@pytest.fixture(scope="module")
def runs(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All trained in order, a few steps each."""
    folder = tmp_path_factory.mktemp("runs")
    for name, steps in STEPS.items():
        run_training(name, Work(tiny_data, folder, sizes=(64,)), steps=steps, batch_size=8)
    return folder


def test_every_recipe_was_tried(runs: Path) -> None:
    assert set(STEPS) == set(TRAINING)
    for name in FOLDERS:
        assert (runs / name / "export").is_dir() and (runs / name / "stats.jsonl").is_file()
    assert list((runs / "pocket-vae" / "samples").glob("*.jpg"))
    assert list((runs / "pocket-image-64" / "samples").glob("*.jpg"))
    assert list((runs / "pocket-fast" / "samples").glob("*.jpg"))


@pytest.mark.parametrize("adapter", ["adapter", "adapter-gated"])
def test_the_trained_set_makes_a_picture(adapter: str, runs: Path) -> None:
    from studio.engine import Engine
    from studio.recipe import Recipe

    recipe = Recipe(
        model=str(runs / "pocket-image-64" / "export"),
        adapter=str(runs / adapter / "export"),
        seed=1,
        num_inference_steps=2,
        width=64,
        height=64,
    )
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 16_000)).astype(np.float32)
    assert Engine(device="cpu").run(recipe, Clip(noise, 16_000)).images[0].size == (64, 64)


def test_a_larger_size_goes_on_from_a_smaller_one(runs: Path, tiny_data: Path, tmp_path: Path) -> None:
    small = runs / "pocket-image-64" / "export"
    (tmp_path / "pocket-vae").symlink_to(runs / "pocket-vae")
    work = Work(tiny_data, tmp_path, sizes=(128,), init=small)
    run_training("pocket-image", work, steps=1, batch_size=2)
    defaults = json.loads((tmp_path / "pocket-image-128" / "export" / "hearsight.json").read_text())
    assert [defaults[name] for name in ("begin_size", "native_size", "picture_size")] == [128, 128, 256]
    task = TRAINING["pocket-fast"].build(Work(tiny_data, tmp_path))
    assert isinstance(task, FewStepTask)
    task.export(tmp_path / "fast")
    fast = json.loads((tmp_path / "fast" / "hearsight.json").read_text())
    assert [fast[name] for name in ("begin_size", "native_size", "picture_size")] == [128, 128, None]
    assert work.finished("pocket-image", "pocket") == tmp_path / "pocket-image-128" / "export"


@pytest.mark.parametrize(
    ("sizes", "native", "begin", "whole"),
    [((32,), 64, 32, 64), ((64,), 64, 64, 128), ((128, 256), 128, 128, 256), ((256,), 256, 256, 512)],
)
def test_models_trained_at_any_sizes_can_be_loaded(
    sizes: tuple[int, ...], native: int, begin: int, whole: int
) -> None:
    defaults = ModelDefaults(**drawn_by_default(sizes))  # refuses what a model folder may not say
    assert (defaults.native_size, defaults.begin_size, defaults.side) == (native, begin, whole)


def test_several_sizes_are_trained_together(runs: Path, tiny_data: Path, tmp_path: Path) -> None:
    """Half of the steps take the smallest; the larger, of fewer samples, are drawn with less noise."""
    (tmp_path / "pocket-vae").symlink_to(runs / "pocket-vae")
    work = Work(tiny_data, tmp_path, sizes=(32, 64, 128), init=runs / "pocket-image-64" / "export")
    task = TRAINING["pocket-image"].build(work)
    assert isinstance(task, ImageTask)
    task.export(tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "hearsight.json").read_text())
    assert [settings[name] for name in ("begin_size", "native_size", "picture_size")] == [32, 128, 128]
    asked: list[tuple[int, int, float]] = []

    def network(noisy: torch.Tensor, timesteps: torch.Tensor, **_: Any) -> Any:
        asked.append((noisy.shape[-1] * 8, len(noisy), float(timesteps.float().mean())))
        return SimpleNamespace(sample=torch.zeros_like(noisy, requires_grad=True))

    task.unet = Mock(side_effect=network, dtype=torch.float32)
    for step in range(80):
        losses = task.loss(step, torch.Generator().manual_seed(step), 16)
        assert set(losses) == {"loss", f"loss_{asked[-1][0]}"}
    drawn = {size: [one for one in asked if one[0] == size] for size in (32, 64, 128)}
    assert 25 < len(drawn[32]) < 55 and min(len(drawn[64]), len(drawn[128])) > 8
    assert [{batch for _, batch, _ in drawn[size]} for size in (32, 64, 128)] == [{16}, {4}, {1}]
    noisy = [np.mean([mean for _, _, mean in drawn[size]]) for size in (32, 64, 128)]
    assert 450 < noisy[0] < 550 and max(noisy[1:]) < 420


def test_large_sizes_take_few_photos_and_none_that_is_too_small() -> None:
    sides = np.array([64] * 300 + [160] * 300 + [256] * 300)
    photos: Any = SimpleNamespace(sides=sides, labels=np.array(([0] * 150 + [1] * 150) * 3))
    everything = chosen(photos, 256)  # of a size that teaches things: all photos, however small
    assert sorted(index for index, style in everything if style == "photo") == list(range(900))
    assert len(everything) == 900 + 2 * 60
    for size, most, styled in ((64, 450, 60), (128, 200, 40), (256, 50, 10)):
        found = chosen(photos, size, details=True)
        plain = [index for index, style in found if style == "photo"]
        assert len(plain) == 2 * most and len(set(plain)) == len(plain)
        assert min(sides[plain]) >= size / 2
        assert len(found) - len(plain) == 2 * styled
    assert set(sides[plain]) == {256}  # the largest first


def test_the_word_favours_what_the_image_model_draws_well(runs: Path, tiny_data: Path) -> None:
    task = TRAINING["adapter"].build(Work(tiny_data, runs, sizes=(64,)))  # now there is a picture classifier
    assert isinstance(task, AdapterTask) and isinstance(task.adapter, WordAdapter)
    assert task.adapter.config.favour == (0.0,) * len(task.adapter.config.concepts)  # one picture class a sound here
    judge = PictureClassifier.load(runs / "classifier" / "export")
    drawn = favour_of(task.backbone, judge, task.vocabulary, task.vocabulary.pictures)
    assert len(set(drawn.values())) > 1 and all(math.log(0.02) - 0.01 <= value <= 0 for value in drawn.values())
    ear, best = PocketEar.load(runs / "ear" / "export"), max(drawn.values())
    words = replace(task.vocabulary, pairs={label: list(drawn) for label in ear.labels})
    favour = new_adapter(task.backbone, ear, words, drawn).config.favour
    assert favour == tuple(round(value - best, 3) for value in drawn.values()) * len(ear.labels)


def test_a_sound_with_a_mood_leans_towards_its_words(
    runs: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mood = {"orange": 0.5, "dark": 0.5}
    monkeypatch.setitem(MOODS, "fire", mood)
    task = TRAINING["adapter"].build(Work(tiny_data, runs, sizes=(64,)))
    assert isinstance(task, AdapterTask) and isinstance(task.adapter, WordAdapter)
    backbone, ear = task.backbone, PocketEar.load(runs / "ear" / "export")
    labels = [ear.labels[label] for label in task.adapter.config.concepts]
    plain, moody = word_of(backbone, "fire"), word_of(backbone, "fire", mood)
    assert float(moody.norm()) == pytest.approx(float(plain.norm()), rel=1e-4)
    for word in ("orange", "dark"):
        said = word_of(backbone, word)
        assert torch.cosine_similarity(moody, said, 0) > torch.cosine_similarity(plain, said, 0) + 0.2
    words = dict(zip(labels, task.adapter.network.words, strict=True))
    torch.testing.assert_close(words["fire"].detach(), moody.to(words["fire"]))
    torch.testing.assert_close(words["sea_waves"].detach(), word_of(backbone, "sea").to(words["fire"]))
    # What is aimed at is that word, and for the other sound its noun.
    fire, sea = task.classes.index("fire"), task.classes.index("sea_waves")
    pictures = [[task.vocabulary.pictures.index(name) for name in ("fire", "sea")]]
    said = torch.stack([moody, word_of(backbone, "sea")])[:, None]
    assert task.alignment(said, [fire, sea], pictures, "a photo of {}").max() < 1e-6
    assert task.alignment(said.flip(0), [fire, sea], pictures, "a photo of {}").min() > 1e-3
    # Of its photos those are drawn that look so; where none does, all.
    rows = task.rows_of[pictures[0][0]]
    assert set(task.moody_rows[fire, pictures[0][0]]) <= set(rows)
    assert set(task._in_mood(rows, ("purple",))) == set(rows)
    looks = [measure(task.photos[int(task.latents.photos[row])]) for row in rows]
    orange = [row for row, look in zip(rows, looks, strict=True) if "orange" in look]
    assert list(task._in_mood(rows, ("orange",))) == (orange or list(rows))
    task.denoising = 1.0
    assert "denoising" in task.loss(0, torch.Generator().manual_seed(0), 4)


def test_favoured_photos_are_half_of_what_is_drawn(runs: Path, tiny_data: Path) -> None:
    work = Work(tiny_data, runs, sizes=(64,), favour=("fire",))
    task = TRAINING["pocket-image"].build(work)
    assert isinstance(task, ImageTask)
    (drawn,) = task.sets
    of = task.photos.labels[drawn.latents.photos] == task.vocabulary.pictures.index("fire")
    plain = torch.tensor([style == "photo" for style in drawn.latents.styles])
    share = drawn.weights[torch.from_numpy(of) & plain].sum() / drawn.weights[plain].sum()
    assert float(share) == pytest.approx(0.5)
    with pytest.raises(InputError, match="no photos called unicorn"):
        TRAINING["pocket-image"].build(Work(tiny_data, runs, sizes=(64,), favour=("unicorn",)))


def test_a_finished_autoencoder_goes_on_without_touching_its_latents(
    runs: Path, tiny_data: Path, tmp_path: Path
) -> None:
    first = runs / "pocket-vae" / "export"
    run_training("pocket-vae", Work(tiny_data, tmp_path, init=first), steps=2, batch_size=4)
    after = tmp_path / "pocket-vae" / "export" / "vae"
    before, now = (AutoencoderKL.from_pretrained(folder).state_dict() for folder in (first / "vae", after))
    changed = {name.split(".")[0] for name, value in before.items() if not torch.allclose(value, now[name], atol=1e-3)}
    assert changed <= {"decoder", "post_quant_conv"}
    assert any(not torch.equal(before[name].half().float(), now[name].float()) for name in before if "decoder" in name)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (first / "vae", after)]
    assert configs[0]["scaling_factor"] == configs[1]["scaling_factor"] and "_name_or_path" not in configs[1]


def test_ear_and_classifier_learned_and_load_again(runs: Path, tiny_data: Path) -> None:
    ear = PocketEar.load(runs / "ear" / "export")
    assert ear.labels == ("door", "fire", "sea_waves")
    sounds = Sounds.load(tiny_data)
    embedding = ear.encode(sounds.clips)
    assert embedding.logits is not None
    right = embedding.logits.argmax(-1).numpy() == sounds.labels
    assert right.mean() > 0.8  # three pure tones; chance is 1/3
    classifier = PictureClassifier.load(runs / "classifier" / "export")
    assert classifier.classes == ["sea", "fire", "city_street"]


def test_an_ear_for_brief_sounds_goes_on_from_a_finished_one(runs: Path, tiny_data: Path, tmp_path: Path) -> None:
    work = Work(tiny_data, tmp_path, init=runs / "ear" / "export", brief=True)
    scores = run_training("ear", work, steps=3, batch_size=4)
    assert 0 <= scores["top1"] <= 1
    made = PocketEar.load(tmp_path / "ear-brief" / "export")
    assert made.config == PocketEar.load(work.init).config
    task: Any = TRAINING["ear"].build(work)
    draw = np.random.default_rng(0)
    drawn = [task.lengths(draw) for _ in range(200)]
    assert {length for _, length in drawn} == {16_000}
    assert 4_000 <= min(part for part, _ in drawn) < 6_000 and max(part for part, _ in drawn) == 16_000
    assert 0.2 < np.mean([part == 8_000 for part, _ in drawn]) < 0.4


def test_brief_pieces_lie_where_the_sound_is(runs: Path, tiny_data: Path) -> None:
    task: Any = TRAINING["ear"].build(Work(tiny_data, runs, brief=True))
    task.waves[0] = torch.zeros(5 * 16_000)
    task.waves[0][40_000:44_000] = torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    draw = np.random.default_rng(0)
    for take, share in ((task.loud_piece, 0.99), (task.piece, 0.35)):
        pieces = [take(0, 8_000, draw) for _ in range(100)]
        assert {len(piece) for piece in pieces} == {8_000}
        heard = np.mean([bool(piece.any()) for piece in pieces])
        assert heard >= share if share > 0.5 else heard <= share
    task.waves[0] = torch.zeros(5 * 16_000)
    assert len(task.loud_piece(0, 8_000, draw)) == 8_000
    task.waves[0] = torch.ones(3_000)
    assert len(task.loud_piece(0, 8_000, draw)) == 8_000


def test_splits_go_by_recording() -> None:
    names = [f"source/{number}" for number in range(2000)]
    assert 0.17 < np.mean([held_out(name) for name in names]) < 0.23
    assert [held_out(name) for name in names] == [held_out(name) for name in names]
    assert {name: held_out(name) for name in COPIES} == {name: held_out(twin) for name, twin in COPIES.items()}


def test_the_adapter_leaves_the_image_model_alone(runs: Path, tiny_data: Path) -> None:
    task: Any = TRAINING["adapter"].build(Work(tiny_data, runs, sizes=(64,)))
    before = {name: value.clone() for name, value in task.backbone.unet.state_dict().items()}
    task.denoising = 1.0
    losses = task.loss(0, torch.Generator().manual_seed(0), 4)
    losses["loss"].backward()
    assert {"alignment", "denoising"} < set(losses)
    # Every sound of this data has one picture class, so that there is nothing to choose.
    learned = {name for name, p in task.adapter.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learned == {name for name, _ in task.adapter.named_parameters() if ".choose." not in name}
    for module in (task.backbone.unet, task.backbone.text_encoder, task.backbone.vae):
        assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in task.backbone.unet.state_dict().items())
