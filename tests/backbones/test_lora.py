"""LoRA files in every way of naming: what they add to the weights, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from studio.backbones import load_backbone
from studio.backbones._variant import Variant, absolute_name, split_name
from studio.backbones.base import Backbone
from studio.device import pick_device
from studio.errors import InputError
from studio.recipe import Recipe
from tests.real_forms import build_tiny_sdxl

CHOICE = pick_device("cpu")._replace(dtype=torch.float32)
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
RANK = 2


def _pair(layer: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    down = torch.randn(RANK, *weight.shape[1:], generator=generator)
    return down, torch.randn(len(weight), RANK, *[1] * (weight.ndim - 2), generator=generator)


def _layer(backbone: Backbone, component: str, name: str) -> torch.nn.Module:
    return backbone.modules()[component].get_submodule(name)


def _load(folder: Path, lora: Path, scale: str = "") -> Backbone:
    return load_backbone(f"{folder}+lora={lora}{scale}", CHOICE)


CASES = {  # naming -> component, layer, key without its ending, endings of down and up
    "peft": ("unet", ATTENTION, f"unet.{ATTENTION}", ".lora_A.weight", ".lora_B.weight"),
    "diffusers": ("unet", ATTENTION, f"unet.{ATTENTION.replace('to_q', 'processor.to_q')}", "_lora.down.weight",
                  "_lora.up.weight"),
    "bare": ("unet", ATTENTION, ATTENTION, ".lora_A.weight", ".lora_B.weight"),
    "kohya": ("unet", ATTENTION, "lora_unet_" + ATTENTION.replace(".", "_"), ".lora_down.weight", ".lora_up.weight"),
    "kohya out": ("unet", ATTENTION.replace("to_q", "to_out.0"),
                  "lora_unet_" + ATTENTION.replace(".", "_").replace("to_q", "to_out_0"),
                  ".lora_down.weight", ".lora_up.weight"),
    "kohya convolution": ("unet", "down_blocks.0.resnets.0.conv1", "lora_unet_down_blocks_0_resnets_0_conv1",
                          ".lora_down.weight", ".lora_up.weight"),
    "text": ("text_encoder", "encoder.layers.1.self_attn.q_proj",
             "lora_te_text_model_encoder_layers_1_self_attn_q_proj", ".lora_down.weight", ".lora_up.weight"),
    "diffusers text": ("text_encoder", "encoder.layers.1.self_attn.q_proj",
                       "text_encoder.text_model.encoder.layers.1.self_attn.q_proj", ".lora_linear_layer.down.weight",
                       ".lora_linear_layer.up.weight"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_added(case: str, tiny_folder: Path, tmp_path: Path) -> None:
    """W + scale * alpha / rank * up @ down, in that layer and in no other."""
    component, name, key, down_ending, up_ending = CASES[case]
    plain = load_backbone(str(tiny_folder), CHOICE)
    layer = _layer(plain, component, name)
    down, up = _pair(layer)
    file = tmp_path / "my style.safetensors"
    alpha = {key + ".alpha": torch.tensor(1.0)} if "kohya" in case else {}
    save_file({key + down_ending: down, key + up_ending: up, **alpha}, file)
    changed = _load(tiny_folder, file, ":0.5")
    scale = 0.5 * (1.0 / RANK if alpha else 1.0)
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    expected = weight + scale * torch.einsum("or,ri->oi", up.flatten(1), down.flatten(1)).reshape(weight.shape)
    for part, network in changed.modules().items():
        state = plain.modules()[part].state_dict()
        for entry, value in network.state_dict().items():
            if (part, entry) == (component, f"{name}.weight"):
                assert torch.allclose(value, expected, atol=1e-5)
            else:
                assert torch.equal(value, state[entry])
    assert changed.digest() not in (plain.digest(), _load(tiny_folder, file).digest())


@pytest.mark.parametrize(
    ("key", "component", "name"),
    [
        ("lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_k", "unet",
         "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"),
        ("lora_unet_output_blocks_1_1_transformer_blocks_1_ff_net_2", "unet",
         "up_blocks.0.attentions.1.transformer_blocks.1.ff.net.2"),
        ("lora_unet_middle_block_1_proj_in", "unet", "mid_block.attentions.0.proj_in"),
        ("lora_unet_middle_block_2_in_layers_2", "unet", "mid_block.resnets.1.conv1"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoder", "encoder.layers.0.mlp.fc1"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", "text_encoder_2", "text_model.encoder.layers.0.mlp.fc1"),
    ],
)  # fmt: skip
def test_names_of_sdxl(key: str, component: str, name: str, tmp_path: Path) -> None:
    """Kohya's files for SDXL call the blocks as Stability's own code does: one level has two layers going up."""
    folder = build_tiny_sdxl(tmp_path / "model")
    plain = load_backbone(str(folder), CHOICE)
    down, up = _pair(_layer(plain, component, name))
    save_file({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}, tmp_path / "a.safetensors")
    changed = _load(folder, tmp_path / "a.safetensors")
    different = [
        f"{part}.{entry}"
        for part, network in changed.modules().items()
        for entry, value in network.state_dict().items()
        if not torch.equal(value, plain.modules()[part].state_dict()[entry])
    ]
    assert different == [f"{component}.{name}.weight"]


def test_one_alpha_for_the_whole_file(tiny_folder: Path, tmp_path: Path) -> None:
    plain = load_backbone(str(tiny_folder), CHOICE)
    down, up = _pair(_layer(plain, "unet", ATTENTION))
    file = tmp_path / "a.safetensors"
    about = {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": 8})}
    save_file({f"unet.{ATTENTION}.lora_A.weight": down, f"unet.{ATTENTION}.lora_B.weight": up}, file, about)
    before, after = (_layer(model, "unet", ATTENTION).weight for model in (plain, _load(tiny_folder, file)))
    assert torch.allclose(after, before + 4 * up @ down, atol=1e-4)  # type: ignore[arg-type, operator]


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"lora_unet_nowhere.lora_down.weight": torch.zeros(2, 4)}, "has no layer for 'lora_unet_nowhere'"),
        ({f"unet.{ATTENTION}.lora_A.weight": torch.zeros(2, 32)}, "only one of its two matrices"),
        ({f"unet.{ATTENTION}.lora_A.weight": torch.zeros(2, 48),
          f"unet.{ATTENTION}.lora_B.weight": torch.zeros(32, 2)},
         r"changes weights of \[32, 48\], the model's are \[32, 32\]"),
        ({f"unet.{ATTENTION}.hada_w1_a": torch.zeros(2, 2)}, "LoHa, LoKr and DoRA do not"),
        ({}, "is empty"),
    ],
)  # fmt: skip
def test_what_does_not_fit(tensors: dict[str, torch.Tensor], said: str, tiny_folder: Path, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=said):
        _load(tiny_folder, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("+lora=nowhere.safetensors", "There is no LoRA file 'nowhere.safetensors'"),
        ("+lora=a.pt", "There is no LoRA file 'a.pt'"),
        ("+lora=a.safetensors:9", "not a number from -2 to 2"),
        ("+lora=a.safetensors:much", "not a number from -2 to 2"),
        ("+lora=", "Write it as one of"),
        ("+size=9", "Write it as one of"),
        ("+scheduler=os.system", "Write it as one of"),
    ],
)
def test_names_that_are_refused(addition: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split_name(f"model{addition}")


def test_names_with_additions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my+model").mkdir()
    (tmp_path / "a.safetensors").touch()
    assert split_name("my+model") == ("my+model", Variant())
    name = absolute_name("my+model+lora=a.safetensors+lora=a.safetensors:-0.5+scheduler=LCMScheduler+text=none", ())
    file = tmp_path / "a.safetensors"
    assert name == f"{tmp_path}/my+model+lora={file}+lora={file}:-0.5+scheduler=LCMScheduler+text=none"
    assert absolute_name(name, ()) == name
    assert split_name(name)[1].text is False
    assert absolute_name("pocket+lora=a.safetensors", ("pocket",)) == f"pocket+lora={file}"
    shown = Recipe(model=name).public().model
    assert shown == "my+model+lora=a.safetensors+lora=a.safetensors:-0.5+scheduler=LCMScheduler+text=none"


def test_another_scheduler(tiny_folder: Path) -> None:
    backbone = load_backbone(f"{tiny_folder}+scheduler=LCMScheduler", CHOICE)
    assert type(backbone.scheduler()).__name__ == "LCMScheduler"
    assert backbone.scheduler().config.prediction_type == "v_prediction"
    assert backbone.digest() != load_backbone(str(tiny_folder), CHOICE).digest()
