"""From a model's name to its folder, without any network."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from studio.backbones.hub import HUB_FILES, TEXT_FILES, embedded_models, model_folder
from studio.errors import HearsightError, InputError
from studio.hub import download_allowed


def _model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    return folder


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An assets folder with the embedded model "pocket"; the working directory is elsewhere."""
    _model(tmp_path / "assets" / "pocket")
    (tmp_path / "assets" / "ear").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HEARSIGHT_ASSETS", str(tmp_path / "assets"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "assets"


def test_embedded_and_local_models(assets: Path, tmp_path: Path) -> None:
    assert embedded_models() == ("pocket",)
    assert model_folder("pocket") == assets / "pocket"
    local = _model(tmp_path / "work" / "my models" / "größe")
    assert model_folder("my models/größe") == model_folder(str(local)) == local
    _model(tmp_path / "work" / "pocket")
    assert model_folder("pocket") == assets / "pocket"
    assert model_folder("./pocket") == tmp_path / "work" / "pocket"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pockte", "There is no model called 'pockte'. Embedded are: pocket."),
        ("/nowhere/model", "There is no model folder '/nowhere/model'"),
        ("../../etc/passwd", "There is no model folder"),
        ("a/b/c", "There is no model folder"),
        ("nothing.safetensors", "There is no model file 'nothing.safetensors'"),
        ("../../etc/x.safetensors", "There is no model file"),
        ("a/b/../c.safetensors", "There is no model file"),
        ("empty", "model_index.json is missing"),
    ],
)
def test_what_is_no_model(name: str, said: str, assets: Path, tmp_path: Path) -> None:
    (tmp_path / "work" / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        model_folder(name, allow_download=True)
    assert said in str(caught.value)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Records what is asked of the hub; nothing is in its cache."""
    asked: list[dict[str, Any]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if options.get("local_files_only"):
            raise LocalEntryNotFoundError("nothing here")
        raise ConnectionError("Name or service not known\nand a long trace")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_nothing_is_downloaded_without_leave(assets: Path, hub: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="HEARSIGHT_ALLOW_DOWNLOAD=1, or copy the model's Diffusers folder"):
        model_folder("owner/name")
    assert [ask["local_files_only"] for ask in hub] == [True]
    assert hub[0]["allow_patterns"] == [*HUB_FILES, *TEXT_FILES]


def test_a_failed_download_says_the_offline_way(assets: Path, hub: list[dict[str, Any]]) -> None:
    with pytest.raises(HearsightError) as caught:
        model_folder("owner/name", allow_download=True)
    assert "could not be downloaded (Name or service not known)" in str(caught.value)
    assert "copy the model's Diffusers folder" in str(caught.value)
    assert len(hub) == 2


def test_a_cached_model_needs_no_network(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = _model(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **options: str(cached))
    assert model_folder("owner/name") == cached


def test_what_is_fetched_of_a_repository(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a text encoder that is wanted, half precision where nothing else is; a broken download goes on."""
    folder = _model(tmp_path / "cache")
    index = {name: ["library", "Class"] for name in ("text_encoder", "transformer", "vae")}
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": [None, None]}))
    asked: list[list[str]] = []

    def snapshot_download(name: str, allow_patterns: list[str], local_files_only: bool = False, **_: str) -> str:
        repository = ("transformer/diffusion_pytorch_model.safetensors",
                      "vae/diffusion_pytorch_model.fp16.safetensors",
                      "text_encoder/model-00001-of-00002.safetensors", "vae/diffusion_pytorch_model.bin",
                      "text_encoder/model-00002-of-00002.safetensors", "text_encoder/model.safetensors.index.json",
                      "transformer/diffusion_pytorch_model.fp16.safetensors")  # fmt: skip
        if not local_files_only:
            asked.append(allow_patterns)
            for file in repository:
                if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns):
                    (folder / file).parent.mkdir(exist_ok=True)
                    shards = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": file.split("/")[1]}}
                    (folder / file).write_text(json.dumps(shards))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert model_folder("owner/name", allow_download=True, text=False) == folder
    assert asked[1] == ["vae/*.fp16*.safetensors"]
    assert not (folder / "text_encoder").exists()
    assert not (folder / "vae" / "diffusion_pytorch_model.bin").exists()
    assert model_folder("owner/name", text=False) == folder
    with pytest.raises(InputError, match="nor downloaded yet"):
        model_folder("owner/name")
    assert model_folder("owner/name", allow_download=True) == folder
    assert len(list((folder / "text_encoder").iterdir())) == 3
    (folder / "text_encoder" / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="nor downloaded yet"):
        model_folder("owner/name")


def test_a_single_file_of_a_repository(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def snapshot_download(name: str, allow_patterns: list[str], local_files_only: bool = False, **_: str) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("nothing here")
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match="HEARSIGHT_ALLOW_DOWNLOAD=1, or copy the file to this machine"):
        model_folder("owner/name/model.safetensors")
    assert model_folder("owner/name/model.safetensors", allow_download=True) == tmp_path / "model.safetensors"
    assert asked == [("owner/name", ["model.safetensors"])]


def test_the_real_hub_library_offline(assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a stand-in: the library itself, told that it is offline, with an empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="neither a folder here nor downloaded"):
        model_folder("owner/name")
    with pytest.raises(HearsightError, match="could not be downloaded"):
        model_folder("owner/name", allow_download=True)


@pytest.mark.parametrize(("value", "allowed"), [("1", True), ("true", True), ("", False), ("0", False), ("no", False)])
def test_leave_is_explicit(value: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_ALLOW_DOWNLOAD", value)
    assert download_allowed() is allowed
