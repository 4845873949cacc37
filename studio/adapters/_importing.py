"""Published files of adapters -> a folder of Hearsight's own: safetensors, config.json and a card.

What a file is, is told by its weights' names, not by its own. Every name and shape is checked, and the folder appears
whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from studio.adapters._published import check, read_state, shapes
from studio.adapters.audiotoken import (
    EMBEDDER_TITLE,
    LORA_TITLE,
    AudioTokenAdapter,
    Embedder,
    lora_shapes,
)
from studio.adapters.gated import GatedAdapter
from studio.adapters.gated_layers import GatedLayers
from studio.adapters.projectors import SonicProjector
from studio.adapters.sonic_diffusion import LAYERS_TITLE, PLACES, PROJECTOR_TITLE, load_published
from studio.errors import InputError

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Kind:
    """A published file. title: what people call it.  parameters: how many numbers it holds.
    mark: whether a weight of that name shows that a file is one.  expected: names and shapes of all its weights.
    """

    title: str
    parameters: int
    mark: Callable[[str], bool]
    expected: Callable[[State], dict[str, tuple[int, ...]]]


def _embedder(state: State) -> dict[str, tuple[int, ...]]:
    bias = state.get("fc2.bias")
    width = 1024 if bias is not None and tuple(bias.shape) == (1024,) else 768  # SD 2, else SD 1.4
    with torch.device("meta"):
        return shapes(Embedder(2304, width))


def _gates(_state: State) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes(GatedLayers(PLACES, SonicProjector.WIDTH))


def _projector(_state: State) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes(SonicProjector())


EMBEDDER = Kind(EMBEDDER_TITLE, 8_853_507, lambda name: name.startswith("fga."), _embedder)
LORA = Kind(LORA_TITLE, 797_184, lambda name: ".processor." in name and "_lora." in name, lambda _state: lora_shapes())
GATES = Kind(LAYERS_TITLE, 28_491_210, lambda name: name.endswith("gate_adapter"), _gates)
PROJECTOR = Kind(PROJECTOR_TITLE, 6_130_050, lambda name: name.startswith("audio_emb_projection."), _projector)
KINDS = (EMBEDDER, LORA, GATES, PROJECTOR)


def import_adapter(files: Sequence[Path], folder: Path) -> str:
    """Convert published files to an adapter's folder; returns what it is, in a sentence.

    Raises InputError when a file is none of the known kinds, does not fit, or lacks the other one that it needs, and
    when the folder is there already. Nothing is left behind then.
    """
    if folder.exists():
        raise InputError(f"{str(folder)!r} is there already: give the adapter a new folder.")
    found: dict[str, tuple[Path, State]] = {}
    for file in files:
        state = read_state(file)
        kind = recognised(state, file.name)
        if kind.title in found:
            raise InputError(f"{found[kind.title][0].name!r} and {file.name!r} are both {kind.title}: give one.")
        found[kind.title] = (file, state)
    adapter, needs = _adapter(found)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        adapter.save(part, torch.float32)  # the published numbers, not rounded
        (part / "README.md").write_text(_card(folder.name, found, adapter.encoder, needs), encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        raise InputError(
            f"The adapter cannot be written to {str(folder)!r} ({error.strerror}): choose another folder."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    parts = " and ".join(found)
    return f"{parts}; reads the ear {adapter.encoder}, draws with {needs}"


def recognised(state: State, file: str) -> Kind:
    """Which kind of file holds these weights, all of them checked. Raises InputError when none does."""
    kind = next((one for one in KINDS if any(map(one.mark, state))), None)
    if kind is None:
        first = next(iter(state), "nothing")
        known = "; ".join(f"{one.title} ({one.parameters:,} numbers)" for one in KINDS)
        raise InputError(f"The file {file!r} holds {first!r} and no known adapter. Known are: {known}.")
    check(state, kind.expected(state), file, f"{kind.title} ({kind.parameters:,} numbers)")
    return kind


def _adapter(found: Mapping[str, tuple[Path, State]]) -> tuple[AudioTokenAdapter | GatedAdapter, str]:
    """The adapter that the files make up, and which image model it was trained for."""
    kinds = set(found)
    if kinds == {GATES.title, PROJECTOR.title}:
        adapter = load_published(found[GATES.title][0], found[PROJECTOR.title][0])
        return adapter, "Stable Diffusion 1.4"
    if EMBEDDER.title in kinds and kinds <= {EMBEDDER.title, LORA.title}:
        files = [found[title][0] if title in found else None for title in (EMBEDDER.title, LORA.title)]
        assert files[0] is not None
        token = AudioTokenAdapter.from_published(files[0], files[1])
        return token, "Stable Diffusion 1.4" if token.config.text_width == 768 else "Stable Diffusion 2"
    pairs = {GATES.title: PROJECTOR.title, PROJECTOR.title: GATES.title, LORA.title: EMBEDDER.title}
    lone = next((title for title in found if pairs.get(title, title) not in kinds), None)
    if lone is not None:
        raise InputError(
            f"The file {found[lone][0].name!r} is {lone}, which is one half of an adapter: give {pairs[lone]} too."
        )
    raise InputError("The files belong to two adapters: import AudioToken's and SonicDiffusion's into a folder each.")


def _card(name: str, found: Mapping[str, tuple[Path, State]], encoder: str, needs: str) -> str:
    lines = [
        f"# {name}",
        "",
        "A Hearsight adapter, converted from published files; its numbers are theirs.",
        "",
        "| file | what it is | numbers | SHA-256 |",
        "|---|---|---|---|",
    ]
    for title, (file, state) in found.items():
        count = sum(value.numel() for value in state.values())
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        lines.append(f"| {file.name} | {title} | {count:,} | {digest} |")
    lines += [
        "",
        f"It reads the ear `{encoder}` and was trained for {needs}:",
        "",
        "```",
        f"hearsight generate rain.ogg -o rain.png --model YOUR_MODEL --adapter {name}",
        "```",
        "",
        "The licence is that of the published files; look there before you pass this folder on.",
        "",
    ]
    return "\n".join(lines)


def described(folder: Path) -> dict[str, Any]:
    """The config.json of an adapter's folder; empty where there is none that can be read."""
    import json

    try:
        values = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
