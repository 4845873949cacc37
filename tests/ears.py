"""Tiny random weights in the exact formats of the published ears: for every ear that Hearsight ships no weights of.

`write_checkpoints(home)` writes `home/encoders/NAME` for each; with HEARSIGHT_MODELS=home the ears find them as a
user's. A new ear of that kind adds its function here, and the contract tests pick it up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

CHECKPOINTS: dict[str, Callable[[Path], None]] = {}


def checkpoint(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a function that writes the tiny weights of the ear `name` into a folder."""

    def add(write: Callable[[Path], None]) -> Callable[[Path], None]:
        CHECKPOINTS[name] = write
        return write

    return add


def write_checkpoint(name: str, folder: Path) -> Path:
    """Write the tiny weights of one ear, always the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        CHECKPOINTS[name](folder)
    return folder


def write_checkpoints(home: Path) -> Path:
    """Write them all to where HEARSIGHT_MODELS=home makes the ears look."""
    for name in CHECKPOINTS:
        write_checkpoint(name, home / "encoders" / name)
    return home


def lively(network: Any) -> Any:
    """Random weights large enough that every part of a network can be seen in its output."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3 / max(1, parameter.ndim - 1))
    return network


AST_LABELS = ("Speech", "Dog", "Rain", "Sea, waves", "Guitar")


@checkpoint("ast")
def ast(folder: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        time_stride=16,
        frequency_stride=16,
        id2label=dict(enumerate(AST_LABELS)),
        label2id={label: index for index, label in enumerate(AST_LABELS)},
    )
    transformers_logging.disable_progress_bar()
    lively(ASTForAudioClassification(config)).save_pretrained(folder)
    ASTFeatureExtractor(max_length=1024, num_mel_bins=128).save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    # The library renames while it loads; the published file has the old names.
    old = {_old_ast_name(name): value for name, value in state.items()}
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})


def _old_ast_name(name: str) -> str:
    for new, then in (
        ("transformer.layers.", "transformer.encoder.layer."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        name = name.replace(new, then)
    return name


PHRASES = "the sound of a dog rain sea wind cat"


@checkpoint("clap")
def clap(folder: Path) -> None:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapTextConfig,
        RobertaTokenizer,
    )

    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    text = ClapTextConfig(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=42,
        projection_dim=20,
    )
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=8,
        hidden_size=64,
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        projection_dim=20,
        enable_fusion=False,
    )
    model = ClapModel(ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=20))
    transformers_logging.disable_progress_bar()
    lively(model).save_pretrained(folder)
    ClapFeatureExtractor(
        frequency_min=50, frequency_max=14_000, truncation="rand_trunc", padding="repeatpad"
    ).save_pretrained(folder)
    RobertaTokenizer(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]).save_pretrained(folder)


@checkpoint("clap-2022")
def clap_2022(folder: Path) -> None:
    """As published: the text side, the classifier and the Fourier transform as weights are in the file too."""
    from torchaudio.functional import melscale_fbanks

    from studio.encoders.clap_2022 import Clap2022Config, Clap2022Network

    sizes = {"channels": [2, 3, 4, 4, 5, 6], "hidden": 10, "dim": 12}
    (folder / "config.json").write_text(json.dumps(sizes))
    network = Clap2022Network(Clap2022Config(channels=(2, 3, 4, 4, 5, 6), hidden=10, dim=12))
    network.base.logmel_extractor.melW = melscale_fbanks(
        513, 50.0, 14_000.0, 64, 44_100, norm="slaney", mel_scale="slaney"
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0.2, 0.2)
            module.momentum = 1.0
    noise = torch.randn(4, 44_100) * torch.logspace(-3, -1, 4)[:, None]
    network.train()(noise)  # sets the means and deviations of all layers, so that each lets something through
    state = {f"audio_encoder.{name}": value for name, value in network.state_dict().items()}
    for part in ("real", "imag"):
        state[f"audio_encoder.base.spectrogram_extractor.stft.conv_{part}.weight"] = torch.zeros(513, 1, 1024)
    state |= {
        "audio_encoder.base.fc_audioset.weight": torch.zeros(5, 10),
        "audio_encoder.base.fc_audioset.bias": torch.zeros(5),
        "caption_encoder.base.embeddings.word_embeddings.weight": torch.zeros(3, 4),
        "caption_encoder.projection.linear1.weight": torch.zeros(12, 4),
        "logit_scale": torch.tensor(2.66),
    }
    torch.save({"model": state}, folder / "CLAP_weights_2022.pth")


BEATS_SIZES: dict[str, Any] = {
    "encoder_layers": 3,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 40,
    "encoder_attention_heads": 4,
    "embed_dim": 16,
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "num_buckets": 16,
    "max_distance": 40,
}
# What else the published `cfg` holds: settings of the training, and the form of the network.
BEATS_FORM: dict[str, Any] = {
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "input_patch_size": 16,
    "conv_bias": False,
    "dropout": 0.0,
    "encoder_layerdrop": 0.05,
    "layer_wise_gradient_decay_ratio": 0.6,
    "finetuned_model": True,
    "predictor_dropout": 0.0,
    "predictor_class": 5,
}


@checkpoint("beats")
def beats(folder: Path) -> None:
    """As published: the weight norm in two parts, the bias of positions in every layer, the classifier."""
    from studio.encoders.beats import BeatsConfig, BeatsNetwork

    state = dict(lively(BeatsNetwork(BeatsConfig(**BEATS_SIZES))).state_dict())
    kernel = state.pop("encoder.pos_conv.0.weight")
    state["encoder.pos_conv.0.weight_v"] = kernel
    state["encoder.pos_conv.0.weight_g"] = 1 + torch.rand(1, 1, kernel.shape[-1])
    name = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
    for layer in (1, 2):
        state[name.format(layer)] = state[name.format(0)]
    state |= {"predictor.weight": torch.zeros(5, 24), "predictor.bias": torch.zeros(5)}
    labels = {index: f"/m/0{index}" for index in range(5)}
    path = folder / "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt"
    torch.save({"cfg": BEATS_SIZES | BEATS_FORM, "model": state, "label_dict": labels}, path)


@checkpoint("cav-mae")
def cav_mae(folder: Path) -> None:
    """As published after pre-training: the pictures' side, the decoder and the other norms are in the file too."""
    from studio.encoders.cav_mae import CavMaeConfig, CavMaeNetwork

    sizes = {"dim": 24, "heads": 4, "own_layers": 2, "shared_layers": 1, "ratio": 2}
    (folder / "config.json").write_text(json.dumps(sizes))
    network = lively(CavMaeNetwork(CavMaeConfig(**sizes)))
    state: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if name.startswith("blocks_u.") and ".norm" in name:
            state[name.replace(".norm1.", ".norm1_a.").replace(".norm2.", ".norm2_a.")] = value
            state[name] = torch.zeros(24)
        else:
            state[name] = value
        if name.startswith("blocks_a.") and ".norm" in name:
            state[name.replace(".norm1.", ".norm1_a.").replace(".norm2.", ".norm2_a.")] = torch.zeros(24)
        if name.startswith("blocks_"):
            state[name.replace("blocks_a.", "blocks_v.")] = state.get(name, value)
        if ".norm" in name:
            state[name.replace(".norm1.", ".norm1_v.").replace(".norm2.", ".norm2_v.")] = torch.zeros(24)
    for name in ("norm.weight", "norm.bias", "norm_v.weight", "norm_v.bias", "mask_token", "decoder_pred_a.weight"):
        state[name] = torch.zeros(24)
    for name in ("patch_embed_v.proj.weight", "modality_v", "pos_embed_v", "decoder_blocks.0.norm1_a.weight"):
        state[name] = torch.zeros(24)
    torch.save({f"module.{name}": value for name, value in state.items()}, folder / "cav-mae-scale++.pth")
