"""`hearsight models`: the list, and a download that is asked for."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest

from tests.cli.conftest import Done

Run = Callable[..., Done]
SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own models; the hub is out of reach and its cache empty."""
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path / "weights"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "weights" / "models").mkdir(parents=True)
    return tmp_path / "weights" / "models"


def test_list(hearsight: Run, home: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, home / "mine")
    found = {one["name"]: one for one in json.loads(hearsight("models", "list", "--json").output)}
    assert found["pocket"]["place"] == "embedded" and found["mine"]["ready"]
    assert found["mine"]["defaults"]["num_inference_steps"] == 4 and found["mine"]["fits"]
    assert not found[SD]["ready"] and found[SD]["download"] > 5e9
    said = hearsight("models", "list").output
    assert f"{SD}\n    Stable Diffusion 1.5, 512 px, 50 steps; not here: downloads about 5.5 GB" in said
    assert f"mine\n    64 px, 4 steps; in {home / 'mine'}\n    fits: 0.0 GiB of weights" in said


def test_a_model_is_called_by_its_name_also_by_its_picture(
    hearsight: Run, home: Path, tiny_folder: Path, sound: Path
) -> None:
    shutil.copytree(tiny_folder, home / "mine")
    assert hearsight("generate", sound, "-o", "a.png", "--model", "mine", "--seed", 1).code == 0
    assert hearsight("remake", "a.png", "-o", "b.png").code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_nothing_is_downloaded_without_a_yes(hearsight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = hearsight("models", "download", SD)
    assert (done.code, done.output) == (2, "")
    assert "would download about 5.5 GB. Add --yes" in done.error
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return ""

    monkeypatch.setattr("builtins.input", answer)
    assert hearsight("models", "download", SD).output == "Nothing was downloaded.\n"
    assert asked == [f"Download about 5.5 GB of {SD} from the hub? [y/N] "]


def test_without_a_network_the_other_way_is_said(hearsight: Run) -> None:
    done = hearsight("models", "download", SD, "--yes")
    assert done.code == 1
    assert "could not be downloaded" in done.error and "copy the model's Diffusers folder" in done.error


def test_what_is_here_is_not_fetched(hearsight: Run, home: Path, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, home / "mine")
    assert "is on this machine already" in hearsight("models", "download", "mine").error
    assert hearsight("models", "download", "pockte").code == 2
