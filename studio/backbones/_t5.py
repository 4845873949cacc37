"""T5 as PixArt reads it: 4.8 billion parameters, so loaded straight into their final number format, shard by shard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.t5.tokenization_t5 import T5Tokenizer

LARGE = 10**9  # parameters from which on half of the memory counts more than the last digits


def load_t5_encoder(folder: Path) -> T5EncoderModel:
    """The text encoder: bfloat16 from a billion parameters on (float16 overflows in T5), else float32.

    Raises OSError or ValueError when a weight is missing or has another shape.
    """
    config = T5Config.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):  # no memory for random numbers that the file replaces anyway
        model = T5EncoderModel(config)
    large = sum(parameter.numel() for parameter in model.parameters()) >= LARGE
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    state: dict[str, torch.Tensor] = {}
    files = [path for path in sorted(folder.glob("*.safetensors")) if "fp16" not in path.name]
    if not files:
        raise OSError(f"there are no .safetensors files in {folder}")
    for file in files:
        for name, value in load_file(file).items():
            if name not in shapes:
                continue  # a decoder, in the files of the whole T5
            if value.shape != shapes[name]:
                raise ValueError(f"{name} is {list(value.shape)}, and must be {list(shapes[name])}")
            state[name] = value.to(torch.bfloat16 if large else torch.float32)
    tied = {"shared.weight", "encoder.embed_tokens.weight"}
    if tied & state.keys():
        table = state.get("shared.weight", state.get("encoder.embed_tokens.weight"))
        state |= {name: table for name in tied if table is not None}
    if missing := sorted(shapes.keys() - state.keys()):
        raise ValueError(f"{len(missing)} weights are missing or of the wrong shape, the first is {missing[0]}")
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    return model


def load_t5_tokenizer(folder: Path) -> T5Tokenizer:
    """From tokenizer.json, or from the spiece.model that the published folders have."""
    if (folder / "tokenizer.json").is_file():
        return T5Tokenizer.from_pretrained(folder, local_files_only=True)
    pieces, charsmap = read_sentencepiece(folder / "spiece.model")
    return T5Tokenizer(vocab=pieces, _spm_precompiled_charsmap=charsmap)


def read_sentencepiece(path: Path) -> tuple[list[tuple[str, float]], bytes | None]:
    """The pieces with their scores, in the order of their ids, and the table that normalises text.

    The file is a protocol buffer (sentencepiece_model.proto): pieces are field 1 (text 1, score 2), the normaliser is
    field 3 (table 2). Reading that much ourselves saves two dependencies. Raises ValueError when it is damaged.
    """
    pieces: list[tuple[str, float]] = []
    charsmap: bytes | None = None
    for number, value in _fields(path.read_bytes()):
        if number == 1 and isinstance(value, bytes):
            parts = dict(_fields(value))
            score = parts.get(2, 0.0)
            pieces.append((bytes(parts.get(1, b"")).decode(), float(score)))
        elif number == 3 and isinstance(value, bytes):
            charsmap = dict(_fields(value)).get(2) or None
    if not pieces:
        raise ValueError(f"{path.name} holds no words")
    return pieces, charsmap


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of one message of a protocol buffer: int for wire type 0, float for 5, bytes for 2."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("the file ends in the middle")
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
            continue
        if kind not in (1, 2, 5):
            raise ValueError("the file is not a protocol buffer")
        length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        if at + length > len(data):
            raise ValueError("the file ends in the middle")
        value = data[at : at + length]
        at += length
        yield number, struct.unpack("<f", value)[0] if kind == 5 else value
