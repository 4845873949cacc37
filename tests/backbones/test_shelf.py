"""The list of image models: what is here, what would be fetched, what fits; nothing is loaded for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from studio.backbones import load_backbone
from studio.backbones._known import KNOWN
from studio.backbones._shelf import ShelvedModel, head_of, model_named, models
from studio.backbones._single_file import CLIP, UNET, VAE
from studio.backbones.hub import model_folder
from studio.device import pick_device
from studio.errors import InputError
from tests.real_forms import FORMS

CPU = pick_device("cpu")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own models, and an empty cache of the hub."""
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def shelf() -> dict[str, ShelvedModel]:
    return {one.name: one for one in models(CPU)}


def cache(name: str, folder: Path) -> Path:
    """The hub's cache as the library writes it, with one model's folder in it."""
    there = Path(huggingface_hub.constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    commit = "a" * 40
    shutil.copytree(folder, there / "snapshots" / commit)
    (there / "refs").mkdir()
    (there / "refs" / "main").write_text(commit)
    return there / "snapshots" / commit


def test_embedded_first_and_known_last(home: Path) -> None:
    found = models(CPU)
    assert [one.name for one in found][:2] == ["pocket", "pocket-fast"]
    assert [one.name for one in found][2:] == [one.name for one in KNOWN]
    pocket = found[0]
    assert pocket.ready and pocket.fits and pocket.download == 0
    assert (pocket.defaults.native_size, pocket.word) == (128, 256)
    sizes = {one.title: round(one.download / 1e9, 1) for one in found if one.place == "hub"}
    assert sizes["Stable Diffusion 1.5"] == 5.5 and sizes["Stable Diffusion XL"] == 13.9
    assert not any(one.ready for one in found if one.place == "hub")


@pytest.mark.parametrize("form", sorted(FORMS))
def test_what_is_read_of_a_folder_is_what_loading_finds(form: str, home: Path) -> None:
    FORMS[form](home / form)
    one = shelf()[form]
    backbone = load_backbone(form, CPU)
    assert one.ready and one.fits and one.folder == str(home / form)
    assert one.defaults == backbone.defaults
    assert one.word == backbone.dims.text_width
    assert one.weights == sum(
        value.numel() * value.element_size() for part in backbone.modules().values() for value in part.parameters()
    )
    transformer = backbone.modules().get("transformer")
    assert one.hidden == (None if transformer is None else transformer.inner_dim)
    assert backbone.choice.reason.endswith("everything stays loaded") and one.plan.endswith("everything stays loaded")


def test_a_name_alone_is_enough(home: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, home / "mine")
    assert model_folder("mine") == home / "mine"
    with pytest.raises(InputError, match="There is no model folder"):
        model_folder("../mine")
    with pytest.raises(InputError, match=f"There is no model called 'yours'.*go into {home}"):
        model_folder("yours")


def test_a_single_file(home: Path, tiny_folder: Path) -> None:
    tensors = {f"{start}weight": torch.zeros(3, 2) for start in (CLIP, UNET, VAE)}
    save_file(tensors, home / "style.safetensors")
    one = shelf()["style.safetensors"]
    assert one.ready and (one.word, one.defaults.native_size) == (768, 512)
    shutil.copytree(tiny_folder / "text_encoder", home / "style" / "text_encoder")  # a config there overrules
    one = shelf()["style.safetensors"]
    assert not one.ready and "has no tokenizer with it" in one.lacks  # and its words are not CLIP's
    shutil.copytree(tiny_folder / "tokenizer", home / "style" / "tokenizer")
    one = shelf()["style.safetensors"]
    assert one.ready and one.word == 32 and "style" not in shelf()


def test_what_is_damaged_is_said(home: Path, tiny_folder: Path) -> None:
    (home / "not a model").mkdir()
    (home / "notes.safetensors").write_text("hello, this is text")
    shutil.copytree(tiny_folder, home / "half")
    (home / "half" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (home / "strange").mkdir()
    (home / "strange" / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    found = shelf()
    assert "not a model" not in found
    assert not any(found[name].ready for name in ("notes.safetensors", "half", "strange"))
    assert "its 'unet' has no weights" in found["half"].lacks
    assert "no safetensors file" in found["notes.safetensors"].lacks
    assert "FluxPipeline" in found["strange"].lacks
    with pytest.raises(ValueError, match="no safetensors file"):
        head_of(home / "strange" / "model_index.json")


def test_the_hubs_cache(home: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_MEMORY_GIB", "8")  # what is really free changes from one look to the next
    known = KNOWN[0].name
    folder = cache(known, tiny_folder)
    cache("somebody/else-s", tiny_folder)
    broken = cache("somebody/half", tiny_folder)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    found = shelf()
    assert found[known].ready and found[known].title == "Stable Diffusion 1.5" and found[known].download == 0
    assert found["somebody/else-s"].ready and "somebody/half" not in found
    assert list(found).count(known) == 1
    one = model_named(known, CPU)
    assert one == found[known] and one.folder == str(folder)


def test_what_does_not_fit(home: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_MEMORY_GIB", "4.5")
    found = {one.title: one for one in models(CPU)}
    assert found["Stable Diffusion 1.5"].fits and "slices" in found["Stable Diffusion 1.5"].plan
    assert not found["Stable Diffusion XL"].fits
    assert "its weights are 12.9 GiB and 4.5 GiB are free" in found["Stable Diffusion XL"].plan
    monkeypatch.setenv("HEARSIGHT_MEMORY_GIB", "0.00001")
    assert not model_named(str(tiny_folder), CPU).fits  # type: ignore[union-attr]


def test_a_model_by_its_folder(tiny_folder: Path) -> None:
    one = model_named(str(tiny_folder), CPU)
    assert one is not None and one.ready and one.title == tiny_folder.name
    gone = model_named("/nowhere/model", CPU)
    assert gone is not None and not gone.ready and "There is no model folder" in gone.lacks
