"""What was read of photos is kept, found again bit for bit, limited, and never trusted."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from studio.backbones import load_backbone
from studio.backbones.base import Backbone
from studio.editing.sources import Source, Sources, source_key
from tests.models import build_tiny_stable_diffusion

KEYS = ("a" * 64, "b" * 64, "c" * 64)


def _source(value: float = 1.0) -> Source:
    return Source(torch.full((5, 4, 8, 8), value), {"layer": torch.rand(4, 6).bfloat16()}, torch.zeros(1, 4, 8, 8))


def test_the_key_is_the_photos_and_the_models(exact: Backbone, tiny_folder: Path, tmp_path: Path) -> None:
    """Whatever changes what reading gives has a key of its own; the same thing has the same, also another day."""
    pixels = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    other = load_backbone(str(build_tiny_stable_diffusion(tmp_path / "other", seed=1)), exact.choice)
    same = load_backbone(str(tiny_folder), exact.choice)
    key = source_key(exact, pixels, "a dog", 4, ("one",))
    assert source_key(same, pixels.clone(), "a dog", 4, ("one",)) == key
    keys = {
        key,
        source_key(other, pixels, "a dog", 4, ("one",)),
        source_key(exact, pixels.flip(-1), "a dog", 4, ("one",)),
        source_key(exact, pixels.transpose(2, 3), "a dog", 4, ("one",)),
        source_key(exact, pixels, "a cat", 4, ("one",)),
        source_key(exact, pixels, "a dog", 5, ("one",)),
        source_key(exact, pixels, "a dog", 4, ("one", "two")),
    }
    assert len(keys) == 7


def test_kept_on_disk(tmp_path: Path) -> None:
    source = _source()
    Sources(tmp_path / "photos").put(KEYS[0], source)
    found = Sources(tmp_path / "photos").get(KEYS[0])
    assert found is not None
    assert torch.equal(found.trajectory, source.trajectory)
    assert torch.equal(found.features["layer"], source.features["layer"])
    assert found.reconstruction is not None
    assert [path.name for path in (tmp_path / "photos").iterdir()] == [f"{KEYS[0]}.safetensors"]
    assert Sources(tmp_path / "photos").get(KEYS[1]) is None


def test_the_disk_has_a_limit_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    sources = Sources(tmp_path, disk=3 * _source().size)
    for age, key in enumerate(KEYS[:2]):
        sources.put(key, _source())
        os.utime(tmp_path / f"{key}.safetensors", (age, age))
    assert Sources(tmp_path).get(KEYS[0]) is not None  # used again, so the other one is older now
    sources.put(KEYS[2], _source())
    assert {path.stem for path in tmp_path.glob("*.safetensors")} == {KEYS[0], KEYS[2]}
    Sources(tmp_path / "none", disk=10).put(KEYS[0], _source())
    assert not (tmp_path / "none").exists()


def test_memory_has_a_limit() -> None:
    sources = Sources(None, memory=_source().size)
    for key in KEYS[:2]:
        sources.put(key, _source())
    assert sources.get(KEYS[0]) is None
    assert sources.get(KEYS[1]) is not None


def test_a_damaged_file_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / f"{KEYS[0]}.safetensors"
    path.write_bytes(b"not what it was")
    assert Sources(tmp_path).get(KEYS[0]) is None
    assert not path.exists()


def test_a_disk_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sources = Sources(tmp_path / "file" / "photos")
    sources.put(KEYS[0], _source())
    assert sources.get(KEYS[0]) is not None
