"""What is particular to one form: SDXL's two parts of a word, PixArt without its text, few steps, safety checkers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig

from studio.backbones import load_backbone
from studio.backbones._t5 import read_sentencepiece
from studio.backbones.base import TextStates
from studio.device import pick_device
from studio.diffusion.prompt import embed
from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.models import check_size
from studio.recipe import Recipe
from tests.models import build_tiny_stable_diffusion, tone
from tests.real_forms import PIECES, build_tiny_lcm, build_tiny_pixart, build_tiny_sdxl

CHOICE = pick_device("cpu")._replace(dtype=torch.float32)


def test_each_text_encoder_reads_its_part_of_the_word(tmp_path: Path) -> None:
    backbone = load_backbone(str(build_tiny_sdxl(tmp_path / "model")), CHOICE)
    assert (backbone.dims.text_width, backbone.dims.context_width) == (72, 72)
    word = torch.randn(2, 72, generator=torch.Generator().manual_seed(0))
    plain = embed(backbone, ["a photo of A*"], word)
    for part, other in ((slice(0, 32), slice(32, 72)), (slice(32, 72), slice(0, 32))):
        changed = word.clone()
        changed[:, part] += 1
        states = embed(backbone, ["a photo of A*"], changed)
        assert not torch.equal(states.tokens[..., part], plain.tokens[..., part])
        assert torch.equal(states.tokens[..., other], plain.tokens[..., other])
        assert states.pooled is not None and plain.pooled is not None
        assert torch.equal(states.pooled, plain.pooled) == (part.start == 0)  # pooled text is the second one's
    nothing = embed(backbone, ["", "a dog"], word)
    assert nothing.pooled is not None
    assert [float(nothing.tokens[0].abs().max()), float(nothing.pooled[0].abs().max())] == [0, 0]
    assert float(nothing.tokens[1].abs().max()) > 0


def test_sdxl_refiners_are_refused(tmp_path: Path) -> None:
    folder = build_tiny_sdxl(tmp_path / "model")
    config = folder / "unet" / "config.json"
    values = json.loads(config.read_text()) | {"projection_class_embeddings_input_dim": 64}
    config.write_text(json.dumps(values))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    state["add_embedding.linear_1.weight"] = torch.zeros(len(state["add_embedding.linear_1.weight"]), 64)
    save_file(state, weights, {"format": "pt"})
    with pytest.raises(InputError, match=r"not SDXL's base form.*reads 64 numbers.*there are 72"):
        load_backbone(str(folder), CHOICE)


def test_few_step_models_say_so(tmp_path: Path) -> None:
    turbo = load_backbone(str(build_tiny_sdxl(tmp_path / "turbo", turbo=True)), CHOICE).defaults
    assert (turbo.num_inference_steps, turbo.guidance_scale, turbo.native_size) == (4, 1.0, 64)
    lcm = load_backbone(str(build_tiny_lcm(tmp_path / "lcm")), CHOICE)
    assert (lcm.defaults.num_inference_steps, lcm.defaults.guidance_scale) == (4, 8.5)
    latents, states = torch.ones(2, 4, 8, 8), TextStates(torch.ones(2, 24, 32), guidance=torch.tensor([8.5, 2.0]))
    two = lcm.predict(latents, torch.tensor(500), states)
    assert not torch.allclose(two[0], two[1])
    open_ = lcm.predict(latents, torch.tensor(500), TextStates(states.tokens))
    assert torch.equal(open_[0], two[0])


def test_weights_in_half_precision_only(tmp_path: Path) -> None:
    folder = build_tiny_stable_diffusion(tmp_path / "model", dtype=torch.float16)
    plain = load_backbone(str(folder), CHOICE)
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    half = load_backbone(str(folder), CHOICE)
    for name, part in half.modules().items():
        for key, value in part.state_dict().items():
            assert torch.equal(value, plain.modules()[name].state_dict()[key])


@pytest.mark.parametrize("addition", ["", "+text=none"])
def test_pixart_without_text_hears_only(addition: str, engine: Engine, tmp_path: Path) -> None:
    """States of either width move the picture, masked ones do not, and words are refused in a sentence."""
    folder = build_tiny_pixart(tmp_path / "model", text=bool(addition))
    backbone: Any = load_backbone(f"{folder}{addition}", CHOICE)
    assert set(backbone.modules()) == {"transformer", "vae"}
    latents, time = torch.ones(2, 4, 8, 8), torch.tensor(500)
    projection = backbone.transformer.caption_projection
    for width in (32, 24):  # what T5 writes, and what the transformer's attention reads
        tokens = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(0))
        mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
        prediction = backbone.predict(latents, time, TextStates(tokens, mask=mask))
        assert prediction.shape == latents.shape
        assert not torch.allclose(prediction[0], prediction[1])
        tokens[1, 2:] = 9.0
        assert torch.equal(backbone.predict(latents, time, TextStates(tokens, mask=mask)), prediction)
        assert backbone.transformer.caption_projection is projection
    with pytest.raises(InputError, match="cannot read words"):
        engine.run(Recipe(model=f"{folder}{addition}", adapter="tiny-word"), tone())


def test_pixart_sizes_are_whole_patches(tmp_path: Path) -> None:
    backbone = load_backbone(str(build_tiny_pixart(tmp_path / "model")), CHOICE)
    check_size(backbone, 64, 48)
    with pytest.raises(InputError, match="Use multiples of 16 px"):
        check_size(backbone, 64, 56)


def test_t5_in_parts(tmp_path: Path) -> None:
    folder = build_tiny_pixart(tmp_path / "model")
    shards = sorted((folder / "text_encoder").glob("*.safetensors"))
    assert len(shards) > 1
    backbone = load_backbone(str(folder), CHOICE)
    assert [PIECES[token] for token in backbone.token_ids("A photo of the SEA")] == [
        "▁a", "▁photo", "▁of", "▁the", "▁sea",
    ]  # fmt: skip
    word = torch.randn(1, 32, generator=torch.Generator().manual_seed(0))
    one, other = (embed(backbone, ["a photo of A*"], factor * word) for factor in (1, -1))
    assert one.mask is not None
    assert one.mask[0].tolist() == [True] * 5 + [False] * (backbone.dims.max_positions - 5)  # 3 words, A*, the end
    assert not torch.allclose(one.tokens, other.tokens)
    shards[0].unlink()
    with pytest.raises(InputError, match=r"its 'text_encoder' is missing or damaged.*weights are missing"):
        load_backbone(str(folder), CHOICE)


@pytest.mark.parametrize("damage", [b"", b"\x0a\x7f", b"\x0b\x00", b"\xff" * 30])
def test_damaged_sentencepiece_files(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(damage)
    with pytest.raises(ValueError, match=r"holds no words|ends in the middle|no protocol buffer|not a protocol"):
        read_sentencepiece(tmp_path / "spiece.model")


@pytest.fixture
def checked_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model with a random safety checker whose concepts nothing comes near to."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    folder = Path(shutil.copytree(tiny_folder, tmp_path / "checked"))
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 8}  # fmt: skip
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))
    checker.concept_embeds_weights.fill_(2.0)  # a cosine never gets there
    checker.special_care_embeds_weights.fill_(2.0)
    checker.save_pretrained(folder / "safety_checker")
    return folder


def test_a_safety_checker_is_respected(
    checked_folder: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = torch.randn(2, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    plain = load_backbone(str(tiny_folder), CHOICE).decode(latents)
    assert (load_backbone(str(checked_folder), CHOICE).decode(latents) == plain).all()
    weights = checked_folder / "safety_checker" / "model.safetensors"
    state = load_file(weights)
    state["concept_embeds_weights"].fill_(-2.0)  # now everything is over the threshold
    save_file(state, weights, {"format": "pt"})
    with pytest.raises(HearsightError, match=r"safety checker blocked this picture.*HEARSIGHT_SAFETY_CHECKER=0"):
        load_backbone(str(checked_folder), CHOICE).decode(latents)
    monkeypatch.setenv("HEARSIGHT_SAFETY_CHECKER", "0")
    assert (load_backbone(str(checked_folder), CHOICE).decode(latents) == plain).all()
