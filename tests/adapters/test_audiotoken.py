"""AudioToken: the published form weight for weight, its word and its LoRA."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from studio.adapters._importing import EMBEDDER, KINDS, LORA
from studio.adapters.audiotoken import BLOCKS, AudioTokenAdapter, AudioTokenConfig, Embedder, lora_shapes
from studio.backbones import load_backbone
from studio.backbones.base import Backbone, BackboneDims, TextStates
from studio.device import pick_device
from studio.encoders.base import SoundEmbedding
from studio.engine import Engine
from studio.errors import InputError
from studio.library.png import read_recipe, save_png
from studio.recipe import Edit, Recipe
from tests.adapter_forms import tiny_audiotoken
from tests.ears import lively, write_checkpoint
from tests.models import tone

SD14 = BackboneDims(768, 768, 77, 4, 8)


def light(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A state dict of those shapes whose every tensor is one number in the file."""
    return {name: torch.full((1,), 0.01).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_the_forms_have_the_published_number_of_parameters(kind: Any) -> None:
    assert sum(math.prod(shape) for shape in kind.expected({}).values()) == kind.parameters


def test_the_lora_names_every_attention_of_stable_diffusion() -> None:
    assert len(BLOCKS) == 16 and len(lora_shapes()) == 16 * 2 * 4 * 2
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight"
    assert lora_shapes()[name] == (4, 768)


def plain_word(weights: dict[str, np.ndarray], states: np.ndarray) -> np.ndarray:
    """The published computation, written out: states [T, D] -> the word [W]."""

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight = weights[f"{name}.weight"]
        return x @ weight.reshape(len(weight), -1).T + weights[f"{name}.bias"]

    hidden = linear("fc1", states)
    hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))  # GELU
    x = linear("fc2", hidden)  # [T, W]
    unary = linear("fga.un_models.0.feature_reduce", np.maximum(linear("fga.un_models.0.embed", x), 0))[:, 0]
    one, other = (linear(f"fga.pp_models.0.embed_{letter}", x) for letter in "XY")
    pairwise = np.zeros(len(x))
    for i in range(len(x)):
        for j in range(len(x)):
            lengths = np.linalg.norm(one[i]) * np.linalg.norm(other[j])
            pairwise[i] += float(one[i] @ other[j]) / lengths / len(x)
    first, second = weights["fga.reduce_potentials.0.weight"][0, :, 0]
    potential = first * unary + second * pairwise
    share = np.exp(potential - potential.max())
    return (share / share.sum()) @ x


def test_the_word_is_that_of_the_published_computation() -> None:
    torch.manual_seed(5)
    embedder = lively(Embedder(12, 8))
    adapter = AudioTokenAdapter(AudioTokenConfig(sound_dim=12, text_width=8), embedder, {}).train()
    tokens = torch.randn(2, 7, 12)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False  # the second sound is shorter
    words = adapter.condition(SoundEmbedding(tokens, mask, tokens.mean(1))).word
    weights = {name: value.double().numpy() for name, value in embedder.state_dict().items()}
    for row, length in ((0, 7), (1, 4)):
        plain = plain_word(weights, tokens[row, :length].double().numpy())
        assert np.allclose(words[row, 0].numpy(), plain, atol=1e-5)
    assert torch.equal(adapter.condition(SoundEmbedding(tokens, mask, tokens.mean(1))).word, words), "no dropout"


def test_the_published_files_are_read(tmp_path: Path) -> None:
    torch.save(light(EMBEDDER.expected({})), tmp_path / "embedder_learned_embeds.bin")
    adapter = AudioTokenAdapter.load(tmp_path, SD14)
    assert not adapter.draws and adapter.encoder == "beats"
    assert sum(value.numel() for value in adapter.parameters()) == 8_853_507
    torch.save(light(LORA.expected({})), tmp_path / "lora_layers_learned_embeds.bin")
    assert AudioTokenAdapter.load(tmp_path, SD14).draws
    with pytest.raises(InputError, match="768 wide, but this model reads words 32 wide"):
        AudioTokenAdapter.load(tmp_path, BackboneDims(32, 32, 24, 4, 8))


class Bomb:
    def __reduce__(self) -> Any:
        return print, ("boom",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state.pop("fga.un_models.0.embed.bias"),
            "the weight 'fga.un_models.0.embed.bias' [768] is",
        ),
        (lambda state: state.update({"fc2.bias": torch.zeros(5)}), "'fc2.bias' has the shape [5] and must have [768]"),
        (lambda state: state.update({"extra": torch.zeros(1)}), "the weight 'extra' does not belong"),
        (lambda state: state.update({"fc1.bias": torch.full((2304,), torch.nan)}), "'fc1.bias' holds a value that"),
        (lambda state: state.update({"fc1.bias": "text"}), "holds no named weights"),
        (lambda state: state.update({"fc1.bias": Bomb()}), "holds more than weights"),
    ],
)
def test_the_first_weight_that_does_not_fit_is_named(
    change: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state: dict[str, Any] = dict(light(EMBEDDER.expected({})))
    change(state)
    with (tmp_path / "embedder_learned_embeds.bin").open("wb") as file:
        torch.save(state, file, pickle_module=pickle)
    with pytest.raises(InputError) as caught:
        AudioTokenAdapter.from_published(tmp_path / "embedder_learned_embeds.bin")
    assert said in str(caught.value) and "boom" not in capsys.readouterr().out


def test_the_lora_is_what_folding_it_would_be(tiny_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    tiny_audiotoken(tmp_path)
    tiny_backbone = load_backbone(str(tiny_folder), pick_device("cpu")._replace(dtype=torch.float32))
    adapter = AudioTokenAdapter.load(tmp_path, tiny_backbone.dims)
    latents, states = torch.randn(1, 4, 8, 8), TextStates(torch.randn(1, 24, 32))
    plain = tiny_backbone.predict(latents, torch.tensor(400), states)
    with adapter.along(tiny_backbone):
        along = tiny_backbone.predict(latents, torch.tensor(400), states)
    folded = copy.deepcopy(tiny_backbone.modules()["unet"])
    for name, value in adapter.lora_state().items():
        if name.endswith(".down.weight"):
            layer = name.removesuffix("_lora.down.weight").replace(".processor.", ".")
            layer += ".0" if layer.endswith("to_out") else ""
            up = adapter.lora_state()[name.replace(".down.", ".up.")]
            linear = folded.get_submodule(layer)
            assert isinstance(linear, nn.Linear)
            with torch.no_grad():
                linear.weight += up @ value
    expected = folded(latents, torch.tensor(400), states.tokens, return_dict=False)[0]
    assert torch.allclose(along, expected, atol=1e-4) and not torch.allclose(along, plain, atol=1e-3)
    assert torch.equal(tiny_backbone.predict(latents, torch.tensor(400), states), plain)


def test_a_lora_for_another_model_is_refused(tiny_backbone: Backbone) -> None:
    adapter = AudioTokenAdapter(AudioTokenConfig(), Embedder(4, 4), light(lora_shapes()))
    with pytest.raises(InputError, match="another structure, with a layer 'down_blocks"), adapter.along(tiny_backbone):
        pass
    half = dict(list(lora_shapes().items())[:1])
    with pytest.raises(InputError, match="only one half"):
        AudioTokenAdapter(AudioTokenConfig(), Embedder(4, 4), light(half))


@pytest.fixture
def recipe(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    write_checkpoint("beats", tmp_path / "encoders" / "beats")
    tiny_audiotoken(tmp_path / "adapters" / "mine")
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    return Recipe(model=str(tiny_folder), adapter="mine", seed=3, num_inference_steps=2, preview_every=0)


def test_from_sound_to_picture_and_again(recipe: Recipe, tmp_path: Path) -> None:
    """An adapter of one's own is known by its folder's name, and a picture made with its LoRA needs it again."""
    made = Engine("cpu").run(recipe, tone())
    carried = read_recipe(save_png(made.images[0], made.recipes[0], tmp_path / "picture.png"))
    assert carried.adapter == "mine" and carried.adapter_sha256
    again = Engine("cpu").run(carried.replace(model=recipe.model))
    assert again.images[0].tobytes() == made.images[0].tobytes() and again.warnings == []
    without = Engine("cpu").run(carried.replace(model=recipe.model, adapter_sha256=None))
    assert without.images[0].tobytes() != made.images[0].tobytes(), "the LoRA draws along"
    edited = Engine("cpu").run(recipe.replace(edit=Edit(method="sdedit")), tone(), photo=made.images[0])
    assert edited.recipe.adapter_sha256 == carried.adapter_sha256
