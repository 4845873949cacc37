"""The context adapter: a sound in the place of the text, on PixArt without its text encoder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.adapters.context import ContextAdapter, ContextConfig, ContextProjection
from studio.encoders.base import SoundEmbedding
from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Recipe
from studio.word import MANY_VALUES, pack_word, unpack_word
from tests.adapter_forms import tiny_context
from tests.ears import lively, write_checkpoint
from tests.models import noise, tone
from tests.real_forms import build_tiny_pixart


def small() -> ContextAdapter:
    torch.manual_seed(2)
    return lively(ContextAdapter(ContextConfig(sound_dim=6, count=5, width=8))).eval()


def test_the_projection_is_that_of_captions() -> None:
    from diffusers.models.embeddings import PixArtAlphaTextProjection

    adapter = small()
    theirs = PixArtAlphaTextProjection(6, 8)
    state = adapter.projection.state_dict()
    theirs.load_state_dict({name: value for name, value in state.items() if name != "null"})
    patches = torch.randn(1, 5, 6)
    ours = adapter.condition(SoundEmbedding(patches, torch.ones(1, 5, dtype=torch.bool), patches.mean(1))).tokens
    assert ours is not None and torch.allclose(ours, theirs(patches), atol=1e-6)
    x = patches[0].double().numpy() @ state["linear_1.weight"].double().numpy().T + state["linear_1.bias"].numpy()
    x = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    plain = x @ state["linear_2.weight"].double().numpy().T + state["linear_2.bias"].numpy()
    assert np.allclose(ours[0].numpy(), plain, atol=1e-5)


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        projection = ContextProjection(ContextConfig())
    assert sum(value.numel() for value in projection.parameters()) == (768 + 1) * 1152 + (1152 + 1) * 1152 + 1152


def test_windows_are_averaged_patch_by_patch() -> None:
    adapter, patches = small(), torch.randn(2, 10, 6)
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[1, 5:] = False  # the second sound has one window, the first has two
    said = adapter.condition(SoundEmbedding(patches, mask, patches.mean(1))).tokens
    assert said is not None and said.shape == (2, 5, 8)
    mean, first = (patches[0, :5] + patches[0, 5:]) / 2, patches[1, :5]
    assert torch.allclose(said[0], adapter.projection(mean), atol=1e-6)
    assert torch.allclose(said[1], adapter.projection(first), atol=1e-6)
    odd = torch.randn(1, 7, 6)
    with pytest.raises(InputError, match="The ear gives 7 patches, and this adapter reads 5"):
        adapter.condition(SoundEmbedding(odd, torch.ones(1, 7, dtype=torch.bool), odd.mean(1)))


def test_all_patches_of_a_sound_fit_into_a_recipe() -> None:
    patches = np.random.default_rng(0).standard_normal((1214, 1152), dtype=np.float32)
    assert patches.size > MANY_VALUES
    text = pack_word(patches)
    again = unpack_word(text)
    assert again.dtype == np.float32 and np.allclose(again, patches, atol=2e-3)
    assert pack_word(again) == text and len(text) < 4e6


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    write_checkpoint("ast", tmp_path / "encoders" / "ast")
    torch.manual_seed(11)
    tiny_context(tmp_path / "adapters" / "context")
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    folder = build_tiny_pixart(tmp_path / "pixart")
    return Recipe(
        model=str(folder), adapter="context", seed=3, num_inference_steps=2, width=64, height=64, preview_every=0
    )


def test_from_sound_to_picture_without_a_text_encoder(recipe: Recipe, tmp_path: Path) -> None:
    engine = Engine("cpu")
    made = engine.run(recipe, tone())
    assert made.recipe.model == f"{recipe.model}+text=none"
    assert "text_encoder" not in engine._models.backbone(made.recipe.model).modules()
    assert engine.run(recipe, noise()).images[0].tobytes() != made.images[0].tobytes()
    told = engine.run(recipe.replace(prompt="a street"), tone())
    assert told.images[0].tobytes() == made.images[0].tobytes()
    assert told.warnings == ["This adapter draws from the sound alone: the prompt is not read."]
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    again = engine.run(carried.replace(model=recipe.model))
    assert again.images[0].tobytes() == made.images[0].tobytes() and again.warnings == []
    silent = [engine.run(recipe.replace(sound_strength=0.0), sound) for sound in (tone(), noise())]
    assert silent[0].images[0].tobytes() == silent[1].images[0].tobytes() != made.images[0].tobytes()


def test_it_needs_a_transformer_of_its_width(recipe: Recipe, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="24 wide, and this model has no transformer"):
        Engine("cpu").run(recipe.replace(model=str(tiny_folder)), tone())
    lively(ContextAdapter(ContextConfig(sound_dim=32, count=514, width=16))).save(tmp_path / "wide")
    with pytest.raises(InputError, match="16 wide, and this model is 24 wide"):
        Engine("cpu").run(recipe.replace(adapter=str(tmp_path / "wide")), tone())
