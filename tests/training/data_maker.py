"""A tiny data folder of the real form: three kinds of photos and sounds that a network can tell apart in seconds."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

NOUNS = {"sea": ["sea", "ocean"], "fire": ["fire", "flames"], "city_street": ["city street", "street"]}
COLOURS = {"sea": (30, 90, 200), "fire": (230, 120, 20), "city_street": (110, 110, 110)}
SIDES = (64, 160, 256)
SOUNDS = {"sea_waves": 300.0, "fire": 1500.0, "door": 4000.0}


def _photo(name: str, number: int, side: int) -> bytes:
    draw = np.random.default_rng(number)
    ramp = np.linspace(0.6, 1.2, side)[:, None, None]
    pixels = np.array(COLOURS[name]) * ramp * np.ones((1, side, 1)) + draw.normal(0, 12, (side, side, 1))
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "WEBP", quality=80)
    return out.getvalue()


def _sound(frequency: float, number: int) -> bytes:
    draw = np.random.default_rng(number)
    time = np.arange(16_000) / 16_000
    wave = 0.2 * np.sin(2 * np.pi * frequency * (1 + 0.05 * draw.random()) * time) + draw.normal(0, 0.01, len(time))
    out = io.BytesIO()
    soundfile.write(out, wave.astype(np.float32), 16_000, format="OGG", subtype="VORBIS")
    return out.getvalue()


def _shard(folder: Path, stem: str, files: list[tuple[dict[str, object], str, bytes]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shard = f"{stem}-00.tar"
    with tarfile.open(folder / shard, "w") as tar, (folder / f"{stem}.jsonl").open("w") as index:
        for row, suffix, content in files:
            member = tarfile.TarInfo(f"{row['key']}{suffix}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            index.write(json.dumps({**row, "shard": shard}) + "\n")


def make_data(folder: Path, photos: int = 12, recordings: int = 10) -> Path:
    """Write the folder; `photos` of each class for training, `recordings` of each sound class."""
    for split, count in (("train", photos), ("val", 3)):
        files = []
        for name in NOUNS:
            for number in range(count):
                side = SIDES[number % 3]
                row = {"key": f"{name}-{split}-{number}", "picture": name, "side": side, "source": "made"}
                files.append((row, ".webp", _photo(name, number + (0 if split == "train" else 1000), side)))
        _shard(folder / "photos", f"photos-{split}", files)
    sounds = []
    for name, frequency in SOUNDS.items():
        for number in range(recordings):
            row = {"key": f"{name}-{number}", "sound": name, "recording": f"made/{name}-{number}", "tier": "A"}
            sounds.append((row, ".ogg", _sound(frequency, number)))
    _shard(folder / "sounds", "sounds-train", sounds)
    (folder / "nouns.json").write_text(json.dumps(NOUNS))
    (folder / "pairs.json").write_text(json.dumps({"sea_waves": ["sea"], "fire": ["fire"]}))
    return folder
