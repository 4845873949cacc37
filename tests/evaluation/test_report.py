"""The whole report on tiny models: every metric runs, says something finite, and draws nothing twice."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.cli import main
from studio.cli.evaluate import COUNTS, table
from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Counts
from studio.evaluation.paint import paint_text
from studio.sound.clip import Clip

SHEETS = {
    "reliability.png",
    "text.jpg",
    "sounds.jpg",
    "sounds-gated.jpg",
    "nearest.jpg",
    "volume.jpg",
    "control.jpg",
    "mix.jpg",
    "morph.jpg",
    "placement.jpg",
    "edit.jpg",
}
PARTS = {
    "ear",
    "robust",
    "calibration",
    "text",
    "sounds",
    "kid",
    "copies",
    "volume",
    "control",
    "mix",
    "morph",
    "placement",
    "variety",
    "edit",
}
FEW = ("--seeds", "2", "--per-class", "2", "--recordings", "4", "--nouns", "2", "--photos", "5", "--edits", "2")


@pytest.fixture(autouse=True)
def tiny_models(small_assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_ASSETS", str(small_assets))


def test_the_whole_report(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[tuple[str, int]] = []

    def counted(backbone: Any, prompt: str, seed: int) -> Image.Image:
        painted.append((prompt, seed))
        return paint_text(backbone, prompt, seed)

    monkeypatch.setattr("studio.evaluation.bench.paint_text", counted)
    out = tmp_path / "scores"
    command = ["evaluate", "pocket", "--data", str(small_data), "-o", str(out), "--cache", str(tmp_path / "cache")]
    assert main([*command, *FEW, "--adapter", "word", "gated"]) == 0

    report = json.loads((out / "scores.json").read_text())
    assert set(METRICS) == PARTS == set(report["seconds"])
    names = [score["name"] for score in report["scores"]]
    assert len(set(names)) == len(names)
    assert all(math.isfinite(score["value"]) and score["count"] > 0 for score in report["scores"])
    assert report["adapters"] == ["word", "gated"]
    assert {name.removeprefix("gated: ") for name in names if name.startswith("gated: ")} < set(names)
    assert "gated: sounds: a class of the pair" in names
    assert report["counts"]["seeds"] == 2 and report["model"]
    assert {path.name for path in out.iterdir()} == SHEETS | {"scores.json"}
    for sheet in SHEETS:
        with Image.open(out / sheet) as page:
            assert min(page.size) > 64
    assert len(painted) == len(set(painted)) > 10  # text, kid, copies and control share their pictures
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names) and all(line.startswith(name) for line, name in zip(lines, names, strict=True))
    assert any("goal 0.8" in line for line in lines)

    again = tmp_path / "again"
    assert main([*command[:5], str(again), *command[6:], *FEW, "--only", "robust", "kid"]) == 0
    few = json.loads((again / "scores.json").read_text())
    assert set(few["seconds"]) == {"robust", "kid"}
    assert [score for score in report["scores"] if score in few["scores"]] == sorted(
        few["scores"], key=lambda score: names.index(score["name"])
    )  # the same figures, whatever else is measured


def test_options_and_counts_are_the_same() -> None:
    assert set(COUNTS) == set(vars(Counts()))


def test_bad_counts_and_parts_are_refused(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "pocket", "--data", str(small_data), "-o", str(tmp_path / "out")]
    assert main([*command, "--per-class", "0"]) == 2
    assert "--per-class must be at least 1" in capsys.readouterr().err
    assert main([*command, "--only", "colour"]) == 2
    assert "calibration" in capsys.readouterr().err  # the known ones are named
    assert main([*command, "--adapter", "word", "nothing-here"]) == 2
    assert "There is no adapter 'nothing-here'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_table_shows_deviation_and_goal() -> None:
    score = {"name": "one", "value": 0.5, "count": 3, "deviation": None, "goal": 0.8}
    lines = table([score, {**score, "name": "longer", "deviation": 0.25, "goal": None}])
    assert lines[0].startswith("one      0.500") and lines[0].endswith("(of 3)  goal 0.8: missed")
    assert "+-0.250" in lines[1] and "goal" not in lines[1]


def test_only_held_out_sounds_are_on_the_bench(small_data: Path, tmp_path: Path) -> None:
    from studio.data.recordings import Sounds, held_out

    bench = Bench(small_data, tmp_path)
    assert 0 < len(bench.sounds.clips) < len(Sounds.load(small_data).clips)
    assert all(held_out(recording) for recording in bench.sounds.recordings)
    assert bench.sounds.classes == ["door", "fire", "sea_waves"]
    assert bench.hear(0) is not None and bench.hear(0) is bench.hear(0)  # remembered
    bench.sounds.clips[1] = Clip(np.zeros((1, 16_000), np.float32), 16_000)
    assert bench.hear(1) is None  # silent
