"""Loading Diffusers folders: whole ones, old ones, damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.backbones import load_backbone
from studio.backbones.base import Backbone, TextStates
from studio.device import DeviceChoice, pick_device
from studio.errors import HearsightError, InputError
from tests.models import POSITIONS, WIDTH, build_tiny_stable_diffusion

UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


@pytest.fixture
def choice() -> DeviceChoice:
    return pick_device("cpu")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_what_is_loaded(tiny_backbone: Backbone, choice: DeviceChoice) -> None:
    dims = tiny_backbone.dims
    assert (dims.text_width, dims.context_width, dims.max_positions) == (WIDTH, WIDTH, POSITIONS)
    assert (dims.latent_channels, dims.downscale) == (4, 8)
    assert tiny_backbone.defaults.native_size == 64
    modules = tiny_backbone.modules()
    assert {parameter.dtype for parameter in modules["unet"].parameters()} == {choice.dtype}
    assert {parameter.dtype for parameter in modules["vae"].parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for module in modules.values() for parameter in module.parameters())
    assert not any(module.training for module in modules.values())


def test_loading_leaves_torch_alone(
    tiny_folder: Path, choice: DeviceChoice, capfd: pytest.CaptureFixture[str]
) -> None:
    state, dtype, threads = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    load_backbone(str(tiny_folder), choice)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (torch.get_default_dtype(), torch.get_num_threads()) == (dtype, threads)
    assert capfd.readouterr() == ("", "")


def test_latents_and_pictures(tiny_backbone: Backbone) -> None:
    pixels = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = tiny_backbone.encode(pixels)
    assert (latents.shape, latents.dtype) == ((2, 4, 8, 6), torch.float32)
    picture = tiny_backbone.decode(latents)
    assert (picture.shape, picture.dtype.name) == ((2, 64, 48, 3), "uint8")
    prediction = tiny_backbone.predict(latents, torch.tensor(500), TextStates(torch.zeros(2, POSITIONS, WIDTH)))
    assert (prediction.shape, prediction.dtype) == (latents.shape, torch.float32)


def test_invalid_numbers_are_not_a_picture(tiny_backbone: Backbone) -> None:
    with pytest.raises(HearsightError, match="invalid numbers"):
        tiny_backbone.decode(torch.full((1, 4, 8, 8), float("nan")))


def test_schedulers_are_fresh(tiny_backbone: Backbone) -> None:
    first, second = tiny_backbone.scheduler(), tiny_backbone.scheduler()
    assert first is not second
    assert (type(first).__name__, first.config.prediction_type) == ("DDIMScheduler", "v_prediction")


def test_half_precision_files_load_as_exactly_those_numbers(tmp_path: Path, choice: DeviceChoice) -> None:
    folder = build_tiny_stable_diffusion(tmp_path, dtype=torch.float16)
    backbone = load_backbone(str(folder), choice)
    assert torch.get_default_dtype() == torch.float32
    stored = load_file(folder / "vae/diffusion_pytorch_model.safetensors")
    for name, parameter in backbone.modules()["vae"].named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, stored[name].float())


def test_published_files_name_their_text_weights_differently(
    folder: Path, tiny_backbone: Backbone, choice: DeviceChoice
) -> None:
    """Stable Diffusion's files say "text_model." before every name and hold the positions too."""
    state = {f"text_model.{name}": value for name, value in load_file(folder / TEXT).items()}
    state["text_model.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    save_file(state, folder / TEXT, {"format": "pt"})
    ids = torch.arange(POSITIONS)[None]
    assert torch.equal(
        load_backbone(str(folder), choice).encode_text(ids).tokens, tiny_backbone.encode_text(ids).tokens
    )


def test_published_autoencoders_name_their_attention_differently(
    folder: Path, tiny_backbone: Backbone, choice: DeviceChoice
) -> None:
    """Stable Diffusion 1.x's autoencoder was saved before Diffusers renamed these layers."""
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, value in load_file(file).items():
        for new_name, old_name in old.items():
            name = name.replace(f"attentions.0.{new_name}.", f"attentions.0.{old_name}.")
        state[name] = value
    assert any("proj_attn" in name for name in state)
    save_file(state, file, {"format": "pt"})
    latents = torch.ones(1, 4, 8, 8)
    assert (load_backbone(str(folder), choice).decode(latents) == tiny_backbone.decode(latents)).all()


def test_published_tokenizers_are_two_files(folder: Path, tiny_backbone: Backbone, choice: DeviceChoice) -> None:
    """vocab.json and merges.txt, as Stable Diffusion's repositories have them, instead of tokenizer.json."""
    tokenizer = folder / "tokenizer"
    model = json.loads((tokenizer / "tokenizer.json").read_text())["model"]
    for path in tokenizer.iterdir():
        path.unlink()
    (tokenizer / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (tokenizer / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    (tokenizer / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}')
    backbone = load_backbone(str(folder), choice)
    assert backbone.marks == tiny_backbone.marks
    assert backbone.dims == tiny_backbone.dims
    assert backbone.token_ids("a photo of 2 dogs") == tiny_backbone.token_ids("a photo of 2 dogs")


def test_the_digest_is_of_the_content(tiny_folder: Path, folder: Path, choice: DeviceChoice) -> None:
    digest = load_backbone(str(tiny_folder), choice).digest()
    assert len(digest) == 16
    (folder / "hearsight.json").unlink()  # what it says is in the recipe anyway
    (folder / "unet" / "README.md").write_text("hello")
    backbone = load_backbone(str(folder), choice)
    assert backbone.digest() == digest
    assert backbone.defaults.num_inference_steps == 50
    state = load_file(folder / UNET)
    state["conv_in.bias"][0] += 1
    save_file(state, folder / UNET, {"format": "pt"})
    assert load_backbone(str(folder), choice).digest() != digest


def _edit_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _without_one_weight(folder: Path, file: str) -> None:
    state = load_file(folder / file)
    del state[sorted(state)[0]]
    save_file(state, folder / file, {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: shutil.rmtree(folder / "unet"), "its 'unet' is missing or damaged"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "its 'tokenizer' is missing or damaged"),
        (lambda folder: (folder / UNET).unlink(), "its 'unet' is missing or damaged"),
        (lambda folder: (folder / TEXT).write_bytes(b"no"), "its 'text_encoder' is missing or damaged"),
        (lambda folder: (folder / UNET).write_bytes((folder / UNET).read_bytes()[:5000]), "its 'unet' is missing"),
        (lambda folder: (folder / "vae/config.json").write_text("{"), "its 'vae' is missing or damaged"),
        (lambda folder: _without_one_weight(folder, UNET), "1 weights are missing"),
        (lambda folder: _without_one_weight(folder, TEXT), "1 weights are missing"),
        (lambda folder: _edit_json(folder / "unet/config.json", cross_attention_dim=16), "its 'unet' is missing"),
        (lambda folder: (folder / "scheduler/scheduler_config.json").unlink(), "scheduler_config.json is missing"),
        (lambda folder: (folder / "model_index.json").write_text("[]"), "model_index.json is damaged"),
        (lambda folder: _edit_json(folder / "model_index.json", _class_name="FluxPipeline"), "no model form called"),
        (lambda folder: (folder / "hearsight.json").write_text("{"), "hearsight.json is missing or damaged"),
        (lambda folder: _edit_json(folder / "hearsight.json", native_size=100), "'native_size' cannot be 100"),
        (lambda folder: _edit_json(folder / "hearsight.json", colour=1), "no field 'colour'"),
    ],
)
def test_damaged_folders_are_refused(
    damage: Callable[[Path], object], said: str, folder: Path, choice: DeviceChoice
) -> None:
    damage(folder)
    with pytest.raises(InputError) as caught:
        load_backbone(str(folder), choice)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
