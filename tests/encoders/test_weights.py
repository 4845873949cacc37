"""Published files: where they are looked for, what is refused and how it is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from studio.encoders import ENCODERS
from studio.errors import HearsightError, InputError
from studio.hearing import Hearing
from tests.ears import CHECKPOINTS
from tests.models import noise, tone

OWN = {"beats": "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt", "clap-2022": "CLAP_weights_2022.pth"}
OWN["cav-mae"] = "cav-mae-scale++.pth"


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A hub whose cache is empty and that cannot be reached; what was asked of it."""
    asked: list[dict[str, Any]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("nothing here")
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_absent_weights_are_named(name: str, empty_cache: list[dict[str, Any]], tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path / "mine"))
    kind = ENCODERS.get(name)
    assert kind.published is not None
    with pytest.raises(InputError) as caught:
        Hearing().ear(name)
    said = str(caught.value)
    assert kind.published.title in said
    assert kind.published.files[0] in said
    assert str(tmp_path / "mine" / "encoders" / name) in said
    assert ("HEARSIGHT_ALLOW_DOWNLOAD=1" in said) == (kind.published.repository is not None)
    assert all(ask["local_files_only"] for ask in empty_cache)  # nothing was fetched without leave


def test_downloads_only_with_leave(empty_cache: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_ALLOW_DOWNLOAD", "1")
    with pytest.raises(HearsightError, match=r"could not be downloaded \(Name or service not known\).*or copy BEATs"):
        ENCODERS.get("beats").load()
    assert empty_cache[-1]["repo_type"] == "space"
    assert empty_cache[-1]["allow_patterns"] == [f"models/{OWN['beats']}"]


def test_the_hubs_cache_is_found(
    ear_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ear_folder("beats"), tmp_path / "snapshot" / "models")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **options: str(tmp_path / "snapshot"))
    assert Hearing().ear("beats").dim == 72


@pytest.mark.parametrize("name", sorted(OWN))
def test_saved_and_read_again(name: str, ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    ear: Any = ENCODERS.get(name).load(ear_folder(name))
    ear.save(tmp_path / "saved")
    again = ENCODERS.get(name).load(tmp_path / "saved")
    assert torch.equal(again.encode([noise()]).tokens, ear.encode([noise()]).tokens)


def _spoil(name: str, source: Path, folder: Path, spoil: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of an ear's folder whose published file is changed by `spoil`, which gets its named weights."""
    shutil.copytree(source, folder)
    path = folder / OWN[name]
    contents = torch.load(path, weights_only=True)
    spoil(contents if name == "cav-mae" else contents["model"])
    torch.save(contents, path)
    return folder


KEYS = {
    "beats": "encoder.layers.1.fc1.weight",
    "clap-2022": "audio_encoder.base.conv_block3.conv2.weight",
    "cav-mae": "module.blocks_u.0.mlp.fc1.weight",
}


@pytest.mark.parametrize("name", sorted(OWN))
@pytest.mark.parametrize(
    ("how", "said"),
    [("missing", "is missing"), ("shape", r"is \[3\], but must be \["), ("more", "does not know"), ("nan", "damaged")],
)
def test_weights_that_do_not_fit(
    name: str, how: str, said: str, ear_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    key = KEYS[name]

    def spoil(state: dict[str, Any]) -> None:
        if how == "missing":
            del state[key]
        elif how == "shape":
            state[key] = torch.zeros(3)
        elif how == "more":
            state[key.replace("weight", "odd")] = torch.zeros(3)
        else:
            state[key] = torch.full_like(state[key], float("nan"))

    folder = _spoil(name, ear_folder(name), tmp_path / "spoilt", spoil)
    with pytest.raises(InputError, match=said) as caught:
        ENCODERS.get(name).load(folder)
    part = key.removeprefix("module.").removeprefix("audio_encoder.").removesuffix(".weight")
    assert part in str(caught.value)


class Harm:
    """What a pickle can do: run anything."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("harm-was-done"),))


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_pickle_is_not_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"cfg": {}, "model": Harm()}, tmp_path / OWN[name])
    with pytest.raises(InputError, match="holds more than weights, and is not opened"):
        ENCODERS.get(name).load(tmp_path)
    assert not (tmp_path / "harm-was-done").exists()


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_cut_off_file(name: str, ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / OWN[name]).write_bytes((ear_folder(name) / OWN[name]).read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cannot be read|holds more than weights"):
        ENCODERS.get(name).load(tmp_path)


def test_which_file_must_be_clear(ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights of CAV-MAE"):
        ENCODERS.get("cav-mae").load(tmp_path)
    source = ear_folder("cav-mae")
    shutil.copy(source / "config.json", tmp_path)
    shutil.copy(source / OWN["cav-mae"], tmp_path / "audio_model.21.pth")
    ENCODERS.get("cav-mae").load(tmp_path).encode([tone()])  # another name is fine when it is the only one
    shutil.copy(source / OWN["cav-mae"], tmp_path / "audio_model.22.pth")
    with pytest.raises(InputError, match="holds 2 files of weights"):
        ENCODERS.get("cav-mae").load(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"nose": 3}, "a field 'nose'"),
        ({"dim": 10**9}, "dim = 1000000000"),
        ({"dim": -1}, "dim = -1"),
        ({"heads": "four"}, "heads = 'four'"),
        ({"dim": 24, "heads": 5}, "do not go together"),
        ({"own_layers": 60_000}, "do not go together"),
        ([], "must hold names and values"),
    ],
)
def test_sizes_that_cannot_be(config: object, said: str, ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copy(ear_folder("cav-mae") / OWN["cav-mae"], tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=said):
        ENCODERS.get("cav-mae").load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("layer_norm_first", True, "layer_norm_first = True; only False"),
        ("activation_fn", "glu", "activation_fn = 'glu'; only 'gelu'"),
        ("encoder_layers", 4, "do not divide"),
        ("input_patch_size", -1, "input_patch_size = -1"),
    ],
)
def test_other_forms_of_beats(
    field: str, value: object, said: str, ear_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    contents = torch.load(ear_folder("beats") / OWN["beats"], weights_only=True)
    contents["cfg"][field] = value
    torch.save(contents, tmp_path / OWN["beats"])
    with pytest.raises(InputError, match=said):
        ENCODERS.get("beats").load(tmp_path)
    torch.save(contents["model"], tmp_path / OWN["beats"])
    with pytest.raises(InputError, match="needs 'cfg' and 'model'"):
        ENCODERS.get("beats").load(tmp_path)


@pytest.mark.parametrize("name", ["ast", "clap"])
def test_library_folders_that_do_not_fit(name: str, ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(ear_folder(name), tmp_path / name)
    (folder / "preprocessor_config.json").rename(folder / "elsewhere.json")
    with pytest.raises(InputError, match=r"preprocessor_config.json is missing"):
        ENCODERS.get(name).load(folder)
    (folder / "elsewhere.json").rename(folder / "preprocessor_config.json")
    state = load_file(folder / "model.safetensors")
    key = next(key for key in sorted(state) if key.endswith(("dense.weight", "linear1.weight")))
    value = state.pop(key)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"its weight '.*' is missing"):
        ENCODERS.get(name).load(folder)
    save_file({**state, key: torch.zeros(3, 3)}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"is \[3, 3\], but must be \[{value.shape[0]}, {value.shape[1]}\]"):
        ENCODERS.get(name).load(folder)
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="or it is damaged"):
        ENCODERS.get(name).load(folder)
