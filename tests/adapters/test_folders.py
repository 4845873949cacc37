"""Folders of adapters that somebody trained or imported: what is wrong with one is named in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.adapters.audiotoken import AudioTokenAdapter, AudioTokenConfig, Embedder
from studio.adapters.context import ContextAdapter, ContextConfig
from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.word import WordAdapter, WordConfig
from studio.errors import InputError
from studio.models import Models
from tests.models import TINY_PLACES, WIDTH

State = dict[str, torch.Tensor]
MADE: dict[str, Callable[[], Any]] = {
    "word": lambda: WordAdapter(WordConfig(sound_dim=24, text_width=WIDTH, hidden=8, concepts=(0, 1), labels=2)),
    "audiotoken": lambda: AudioTokenAdapter(AudioTokenConfig(sound_dim=24, text_width=WIDTH), Embedder(24, WIDTH), {}),
    "gated": lambda: GatedAdapter(GatedConfig(TINY_PLACES, count=2, sound_dim=24, width=WIDTH, text_width=WIDTH)),
    "context": lambda: ContextAdapter(ContextConfig(sound_dim=24, count=5, width=24)),
}


@pytest.fixture(params=MADE)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    MADE[request.param]().save(tmp_path / request.param)
    config = tmp_path / request.param / "config.json"  # every folder says which kind it is, or is a word adapter's
    assert json.loads(config.read_text()).get("adapter", "word") == request.param
    return tmp_path / request.param


def used(folder: Path, tiny_folder: Path) -> None:
    from studio.device import pick_device

    Models(pick_device("cpu"), False).adapter(str(tiny_folder), str(folder))


def weights(change: Callable[[State, str], Any]) -> Callable[[Path], str]:
    """Changes the file's weights, given the name of its last one; returns that name."""

    def changed(folder: Path) -> str:
        state = load_file(folder / "model.safetensors")
        name = sorted(state)[-1]
        change(state, name)
        save_file(state, folder / "model.safetensors")
        return name

    return changed


def config(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], str]:
    def changed(folder: Path) -> str:
        values = json.loads((folder / "config.json").read_text())
        change(values)
        (folder / "config.json").write_text(json.dumps(values))
        return "config.json"

    return changed


def cut(name: str) -> Callable[[Path], str]:
    def changed(folder: Path) -> str:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        return name

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (weights(lambda state, name: state.pop(name)), "is missing"),
        (weights(lambda state, name: state.update({name: torch.zeros(1, 2, 3)})), "has the shape [1, 2, 3] and must"),
        (weights(lambda state, name: state.update(extra=torch.zeros(1))), "the weight 'extra' does not belong"),
        (weights(lambda state, name: state[name].fill_(torch.nan)), "holds a value that is not a number"),
        (config(lambda values: values.update(depth=3)), "has a field 'depth' that is not known"),
        (config(lambda values: values.update(sound_dim=25)), "and must have"),
        (config(lambda values: values.update(sound_dim="wide")), "holds no adapter, or a damaged one"),
        (cut("config.json"), "damaged"),
        (cut("model.safetensors"), "model.safetensors cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "needs config.json and model.safetensors"),
    ],
    ids=["missing", "shape", "foreign", "nan", "field", "size", "kind", "half config", "half weights", "no weights"],
)
def test_what_is_wrong_is_named(change: Callable[[Path], Any], said: str, folder: Path, tiny_folder: Path) -> None:
    used(folder, tiny_folder)
    change(folder)
    with pytest.raises(InputError) as caught:
        used(folder, tiny_folder)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_first_weight_that_does_not_fit_is_named(folder: Path, tiny_folder: Path) -> None:
    name = weights(lambda state, name: state.pop(name))(folder)
    with pytest.raises(InputError, match=f"the weight '{name}' "):
        used(folder, tiny_folder)
