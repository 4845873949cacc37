"""Models in one file: read exactly as from their folder, and laid out as Diffusers' own converters expect."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.backbones import load_backbone
from studio.backbones._clip_words import clip_tokenizer
from studio.backbones._older_names import openclip_name, unet_name, vae_name
from studio.backbones._single_file import CLIP, CONFIGS, OPENCLIP, UNET, VAE, XL_CLIP, XL_OPENCLIP
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.engine import Engine
from studio.errors import InputError
from studio.recipe import Recipe
from tests.models import build_tiny_stable_diffusion, tone
from tests.real_forms import build_tiny_sd2, build_tiny_sdxl

CHOICE = pick_device("cpu")._replace(dtype=torch.float32)
FORMS = {"sd1": build_tiny_stable_diffusion, "sd2": build_tiny_sd2, "sdxl": build_tiny_sdxl}


def _openclip(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        layer, _, kind = key.removeprefix("text_model.").rpartition(".")
        if layer == "text_projection":
            found[prefix + "text_projection"] = value.T.contiguous()
        elif layer == "embeddings.position_embedding":
            found[prefix + "positional_embedding"] = value
        elif layer.endswith("q_proj"):
            whole = [state[key.replace("q_proj", name)] for name in ("q_proj", "k_proj", "v_proj")]
            block = layer.split(".")[2]
            found[f"{prefix}transformer.resblocks.{block}.attn.in_proj_{kind}"] = torch.cat(whole)
        elif not layer.endswith(("k_proj", "v_proj")):
            found[f"{prefix}{openclip_name(layer)}.{kind}"] = value
    return found


def _file(form: str, backbone: Backbone, path: Path) -> Path:
    """The weights of a loaded model under the names of the original code, in half precision as most such files."""
    parts: Any = backbone.modules()
    state: dict[str, Tensor] = {}
    for key, value in parts["unet"].state_dict().items():
        layer, _, kind = key.rpartition(".")
        attentive = not layer.startswith("up_blocks.1")
        state[f"{UNET}{unet_name(layer, 1, attention=attentive)}.{kind}"] = value
    for key, value in parts["vae"].state_dict().items():
        layer, _, kind = key.rpartition(".")
        name = f"{VAE}{vae_name(layer, 4)}.{kind}"
        state[name] = value[..., None, None] if ".mid.attn_1." in name and value.ndim == 2 else value
    text = parts["text_encoder"].state_dict()
    if form == "sd2":
        state |= _openclip(text, OPENCLIP)
        last = {key: value for key, value in state.items() if ".resblocks.2." in key}
        state |= {key.replace(".2.", ".3."): value for key, value in last.items()}  # a last block that is not used
    else:
        state |= {(XL_CLIP if form == "sdxl" else CLIP) + key: value for key, value in text.items()}
    if form == "sdxl":
        state |= _openclip(parts["text_encoder_2"].state_dict(), XL_OPENCLIP)
    save_file({key: value.half().contiguous() for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_as_from_the_folder(form: str, tmp_path: Path) -> None:
    folder = FORMS[form](tmp_path / "style")
    plain = load_backbone(str(folder), CHOICE)
    file = _file(form, plain, tmp_path / "style.safetensors")
    for weights in folder.glob("*/*.safetensors"):
        weights.unlink()  # only configs and tokenizers stay beside the file
    loaded = load_backbone(str(file), CHOICE)
    assert (loaded.dims, loaded.marks) == (plain.dims, plain.marks)
    assert loaded.scheduler().config.prediction_type == plain.scheduler().config.prediction_type
    assert loaded.modules().keys() == plain.modules().keys()
    for name, part in loaded.modules().items():
        expected = plain.modules()[name].state_dict()
        for key, value in part.state_dict().items():
            assert torch.equal(value, expected[key].half().float()), (name, key)
    assert len(loaded.digest()) == 16


@pytest.mark.parametrize("form", ["sd1", "sdxl"])
def test_diffusers_reads_the_names_so_too(form: str, tmp_path: Path) -> None:
    """Our names, read by the library's converters, give the library's names back."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    backbone: Any = load_backbone(str(FORMS[form](tmp_path / "style")), CHOICE)
    state = load_file(_file(form, backbone, tmp_path / "style.safetensors"))
    for network, convert in ((backbone.unet, convert_ldm_unet_checkpoint), (backbone.vae, convert_ldm_vae_checkpoint)):
        converted, expected = convert(dict(state), dict(network.config)), network.state_dict()
        assert converted.keys() == expected.keys()
        for key, value in converted.items():
            assert torch.equal(value.float().reshape(expected[key].shape), expected[key].half().float()), key


@pytest.mark.parametrize(
    ("form", "unet", "text", "second"),
    [
        ("sd1", 859_520_964, 123_060_480, 0),
        ("sd2", 865_910_724, 340_387_840, 0),
        ("sdxl", 2_567_463_684, 123_060_480, 694_659_840),
    ],
)
def test_the_published_sizes(form: str, unet: int, text: int, second: int) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CONFIGS[form]
    with torch.device("meta"):
        networks: list[Any] = [
            UNet2DConditionModel(**config["unet"]),
            AutoencoderKL(**config["vae"]),
            CLIPTextModel(CLIPTextConfig(**config["text_encoder"])),
        ]
        if second:
            networks.append(CLIPTextModelWithProjection(CLIPTextConfig(**config["text_encoder_2"])))
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    assert counts == [unet, 83_653_863, text, *([second] if second else [])]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = build_tiny_stable_diffusion(tmp_path / "style")
    return _file("sd1", load_backbone(str(folder), CHOICE), tmp_path / "style.safetensors")


def test_a_picture_from_one_file(file: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    result = engine.run(Recipe(model="style.safetensors", adapter="tiny-word", seed=1, num_inference_steps=2), tone())
    assert result.recipe.model == str(file)
    assert result.recipe.num_inference_steps == 2
    assert result.recipe.guidance_scale == 3.0  # from the folder's hearsight.json


def test_the_tokens_of_clip() -> None:
    """Their published numbers: of "<|startoftext|>a photo of a cat<|endoftext|>", and of what is not ASCII."""
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == 49_408 and tokenizer.model_max_length == 77
    assert tokenizer("A photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    for text in ("ein nasser wald", "雨の音", "🔊"):
        assert str(tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids)).strip() == text


def test_a_file_without_a_tokenizer_reads_clips_words(tmp_path: Path, file: Path) -> None:
    """Nothing is fetched for it, and no folder has to lie beside it where the published configs fit."""
    backbone: Any = load_backbone(str(build_tiny_stable_diffusion(tmp_path / "wide")), CHOICE)
    backbone.text_encoder.resize_token_embeddings(49_408)
    wide = _file("sd1", backbone, tmp_path / "wide.safetensors")
    shutil.rmtree(tmp_path / "wide" / "tokenizer")
    config = tmp_path / "wide" / "text_encoder" / "config.json"
    marks = {"vocab_size": 49_408, "bos_token_id": 49_406, "eos_token_id": 49_407, "pad_token_id": 49_407}
    config.write_text(json.dumps(json.loads(config.read_text()) | marks))
    loaded: Any = load_backbone(str(wide), CHOICE)
    assert loaded.token_ids("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert (loaded.marks.start, loaded.marks.end, loaded.marks.pad) == (49406, 49407, 49407)
    assert loaded.encode_text(torch.tensor([[49406, 320, 2368, 49407]])).tokens.isfinite().all()


def test_what_is_refused(file: Path) -> None:
    state = load_file(file)

    def said(text: str, **changed: Tensor | None) -> None:
        values = {key: value for key, value in (state | changed).items() if value is not None}
        save_file(values, file)
        with pytest.raises(InputError, match=text):
            load_backbone(str(file), CHOICE)

    said(r"has no 'model.diffusion_model.out.2.weight'", **{UNET + "out.2.weight": None})
    said(r"'first_stage_model.quant_conv.bias' is \[3\], not \[8\]", **{VAE + "quant_conv.bias": torch.zeros(3)})
    shutil.rmtree(file.with_suffix("") / "tokenizer")
    said("has no tokenizer with it, and it does not read the 49408 tokens of CLIP")
    shutil.rmtree(file.with_suffix(""))
    said(r"is of another form: .* Put the Diffusers configs of the model into a folder 'style' beside it")
    save_file({"lora_unet_a.lora_up.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(InputError, match=r"LoRA files are added to a model: MODEL\+lora=FILE"):
        load_backbone(str(file), CHOICE)
    file.write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        load_backbone(str(file), CHOICE)
