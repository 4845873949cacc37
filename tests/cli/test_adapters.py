"""`hearsight adapters`, and adapters on the command line: phrases for what is heard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.adapters._importing import EMBEDDER, GATES, LORA, PROJECTOR, Kind
from studio.library.png import read_recipe
from tests.adapter_forms import write_adapters
from tests.cli.conftest import Done
from tests.ears import write_checkpoint

Run = Callable[..., Done]


def write(kind: Kind, file: str) -> Path:
    """A file of that kind whose every tensor is one number on the disk."""
    shapes = kind.expected({})
    torch.save({name: torch.full((1,), 0.01).expand(shape) for name, shape in shapes.items()}, file)
    return Path(file)


def test_list(hearsight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "weights"
    monkeypatch.setenv("HEARSIGHT_MODELS", str(home))
    (home / "adapters" / "mine").mkdir(parents=True)
    (home / "adapters" / "mine" / "config.json").write_text('{"adapter": "gated", "encoder": "clap-2022"}')
    found = {one["name"]: one for one in json.loads(hearsight("adapters", "list", "--json").output)}
    assert {"word", "gated", "concepts", "audiotoken", "context", "mine"} == set(found)
    assert found["word"]["ready"] and found["concepts"]["ready"]
    assert not found["audiotoken"]["ready"] and "embedder_learned_embeds.bin" in found["audiotoken"]["state"]
    assert not found["mine"]["ready"] and "its ear 'clap-2022' lacks" in found["mine"]["state"]
    said = hearsight("adapters", "list").output
    assert all(name in said for name in found) and "nobody has published weights" in said


def test_import_audiotoken(hearsight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write(EMBEDDER, "any name.bin"), write(LORA, "lora.bin")
    done = hearsight("adapters", "import", *files, "-o", "token")
    assert (done.code, done.error) == (0, "")
    assert done.output.splitlines()[-1] == "token" and "reads the ear beats" in done.output
    assert sorted(file.name for file in Path("token").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads(Path("token/config.json").read_text())["lora"] is True
    card = Path("token/README.md").read_text()
    assert "8,853,507" in card and "797,184" in card and "any name.bin" in card
    assert "is there already" in hearsight("adapters", "import", *files, "-o", "token").error


def test_import_sonic_diffusion(hearsight: Run) -> None:
    from studio.adapters.gated import GatedAdapter
    from studio.backbones.base import BackboneDims

    files = write(GATES, "landscape.pt"), write(PROJECTOR, "audio_projector_landscape.pth")
    assert hearsight("adapters", "import", *files, "-o", "landscape").code == 0
    assert "28,491,210" in Path("landscape/README.md").read_text()
    adapter = GatedAdapter.load(Path("landscape"), BackboneDims(768, 768, 77, 4, 8))
    assert adapter.encoder == "clap-2022"
    assert sum(value.numel() for value in adapter.network.layers.parameters()) == 28_491_210


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (
            [GATES],
            "gated layers, which is one half of an adapter: give SonicDiffusion's projector",
        ),
        ([LORA], "give AudioToken's embedder too"),
        ([EMBEDDER, PROJECTOR], "give SonicDiffusion's gated layers too"),
        ([EMBEDDER, EMBEDDER], "are both AudioToken's embedder"),
        ([EMBEDDER, GATES, PROJECTOR], "belong to two adapters"),
    ],
)
def test_files_that_are_no_whole_adapter(kinds: list[Kind], said: str, hearsight: Run) -> None:
    files = [write(kind, f"{number}.pt") for number, kind in enumerate(kinds)]
    done = hearsight("adapters", "import", *files, "-o", "out")
    assert done.code == 2 and said in done.error
    assert not Path("out").exists() and not list(Path().glob(".out*"))


def test_files_that_are_none(hearsight: Run) -> None:
    torch.save({"some.weight": torch.zeros(2)}, "other.pt")
    Path("text.bin").write_text("hello")
    for file, said in (("other.pt", "no known adapter"), ("text.bin", "text.bin"), ("none.bin", "There is no file")):
        done = hearsight("adapters", "import", file, "-o", "out")
        assert done.code == 2 and said in done.error
    state: dict[str, Any] = {name: torch.zeros(1).expand(shape) for name, shape in PROJECTOR.expected({}).items()}
    state["cross_attention.2.to_q_adapter.weight"] = torch.zeros(320, 5)
    torch.save(state, "projector.pth")
    said = hearsight("adapters", "import", "projector.pth", "-o", "out").error
    assert "'cross_attention.2.to_q_adapter.weight' has the shape [320, 5] and must have [320, 768]" in said
    assert not Path("out").exists()


def test_phrases_are_said_and_can_be_written(sound: Path, tiny_folder: Path, hearsight: Run) -> None:
    """A model folder and a sound, nothing trained; then the words by hand, also from the picture alone."""
    done = hearsight("generate", sound, "-o", "out.png", "--model", tiny_folder, "--seed", 3, "--temperature", 3)
    assert done.code == 0 and "A* is made of: " in done.error
    recipe = read_recipe("out.png")
    assert recipe.adapter == "concepts" and recipe.concepts is not None and recipe.temperature == 3
    by_hand = ("--concepts", "dog:1", "--model", tiny_folder)
    done = hearsight("generate", sound, "-o", "dog.png", "--seed", 3, "--json", *by_hand)
    said = json.loads(done.output)
    assert said["pictures"] == ["dog.png"] and said["concepts"] == [{"phrase": "dog", "weight": 1.0}]
    assert said["recipe"]["concepts"] == "dog:1" and len(said["heard"]) == 3
    done = hearsight("remake", "out.png", "-o", "again.png", *by_hand)
    assert done.code == 0, done.error
    assert read_recipe("again.png").word == read_recipe("dog.png").word
    assert "Write phrases with weights" in hearsight("generate", sound, "-o", "x.png", "--concepts", "dog:x").error
    assert "is made of what" not in hearsight("remake", "dog.png", "-o", "b.png", "--model", tiny_folder).error
    refused = hearsight("generate", sound, "-o", "x.png", "--adapter", "word", "--concepts", "dog")
    assert refused.code == 2 and "Use the adapter 'concepts'" in refused.error


def test_an_ear_without_names_has_heard_the_sound(
    sound: Path, tiny_folder: Path, hearsight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapters(write_checkpoint("beats", tmp_path / "encoders" / "beats").parent.parent)
    monkeypatch.setenv("HEARSIGHT_MODELS", str(tmp_path))
    done = hearsight("generate", sound, "-o", "a.png", "--model", tiny_folder, "--adapter", "audiotoken", "--seed", 1)
    assert done.code == 0 and "Heard: the sound; this ear has no names. Seed 1" in done.error
    (tmp_path / "encoders" / "beats" / "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt").unlink()
    found = {one["name"]: one for one in json.loads(hearsight("adapters", "list", "--json").output)}
    assert (found["audiotoken"]["ready"], found["audiotoken"]["download"]) == (False, 363_000_000)
    assert "or allow a download of about 363 MB with HEARSIGHT_ALLOW_DOWNLOAD=1" in found["audiotoken"]["state"]
    assert found["context"]["download"] == 346_000_000
