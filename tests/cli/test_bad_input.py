"""Bad input, one table: exit code 2, one sentence on stderr, nothing on stdout, nothing written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.library.png import save_png
from studio.recipe import Recipe
from tests.cli.conftest import Done


def _tone(path: Path, seconds: float = 1.0, rate: int = 16_000, level: float = 0.5) -> None:
    soundfile.write(path, level * np.sin(np.arange(int(seconds * rate)) * 0.1), rate, subtype="FLOAT")


def _cut(path: Path) -> None:
    _tone(path)
    path.write_bytes(path.read_bytes()[:60])


def _nan(path: Path) -> None:
    soundfile.write(path, np.array([0.1, np.nan] * 8000), 16_000, subtype="FLOAT")


def _no_channels(path: Path) -> None:
    _tone(path)
    content = bytearray(path.read_bytes())
    content[22:24] = (0).to_bytes(2, "little")  # the channels of a WAV's format chunk
    path.write_bytes(content)


BAD_SOUNDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "is empty"),
    "cut off": (_cut, "bad sound.wav"),
    "text": (lambda path: path.write_text("I am a poem.\n" * 99), "could not be read"),
    "not a number": (_nan, "not a number|NaN|finite|invalid"),
    "silent": (lambda path: _tone(path, level=0.001), "silent|heard almost nothing|dB"),
    "an hour": (lambda path: soundfile.write(path, np.full(3_600_000, 0.5), 1000, subtype="PCM_U8"), "30 min"),
    "one sample": (lambda path: soundfile.write(path, np.array([0.5]), 16_000), "0.05 s"),
    "no channels": (_no_channels, "bad sound.wav"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "not there": (lambda path: None, "does not exist"),
}

BAD_OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "no A*": (("--prompt", "a photo of rain"), "has no A*"),
    "empty prompt": (("--prompt", " "), "prompt"),
    "long prompt": (("--prompt", "A* " + "night " * 300), "long"),
    "prompt and template": (("--prompt", "A*", "--template", "photo"), "not both"),
    "unknown template": (("--template", "opera"), "Use one of: photo"),
    "no steps": (("--steps", "0"), "--steps must be a whole number from 1 to 100, but '0' was given"),
    "many steps": (("--steps", "101"), "from 1 to 100"),
    "half a step": (("--steps", "2.5"), "a whole number"),
    "guidance not a number": (("--guidance", "nan"), "from 0 to 30"),
    "negative seed": (("--seed", "-1"), "--seed must be"),
    "large seed": (("--seed", "2147483648"), "2147483647"),
    "no pictures": (("--count", "0"), "from 1 to 8"),
    "odd size": (("--size", "100"), "multiples of 8"),
    "large size": (("--size", "2048x64"), "64 to 1024"),
    "words for a size": (("--size", "big"), "256 or 384x256"),
    "much gain": (("--gain", "41"), "-60 to 40 dB"),
    "start after the end": (("--start", "5"), "good.wav"),
    "part beyond the end": (("--start", "0.5", "--duration", "3"), "good.wav"),
    "short part": (("--duration", "0.001"), "0.05"),
    "unknown model": (("--model", "nomodel"), "no model called 'nomodel'"),
    "model not here": (("--model", "someone/something"), "HEARSIGHT_ALLOW_DOWNLOAD"),
    "unknown adapter": (("--adapter", "noadapter"), "noadapter"),
    "no such device": (("--device", "abacus"), "abacus"),
    "unknown option": (("--colour", "red"), "Unrecognized arguments: --colour red"),
    "shortened option": (("--see", "3"), "--see"),
    "no value": (("--seed",), "--seed"),
}


def _files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def _refused(done: Done, words: str) -> None:
    assert done.code == 2, done.error
    assert done.output == ""
    assert any(word in done.error for word in words.split("|")), done.error
    assert "\n" not in done.error
    assert "Traceback" not in done.error


@pytest.mark.parametrize("command", ["hear", "generate", "batch"])
@pytest.mark.parametrize("case", BAD_SOUNDS)
def test_bad_sound(case: str, command: str, hearsight: Callable[..., Done]) -> None:
    make, words = BAD_SOUNDS[case]
    path = Path("bad sound.wav")
    make(path)
    before = _files()
    if command == "hear":
        _refused(hearsight("hear", path, "--json"), words)
    elif command == "generate":
        _refused(hearsight("generate", path, "-o", "new folder/out.png"), words)
    elif case not in ("a folder", "not there"):
        done = hearsight("batch", ".", "-o", "new folder")
        assert done.output == "0 made, 0 already there, 1 failed, in new folder\n"
        _refused(done._replace(output=""), words)
    assert _files() == before
    assert not Path("new folder").exists()


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_option(case: str, hearsight: Callable[..., Done]) -> None:
    options, words = BAD_OPTIONS[case]
    _tone(Path("good.wav"))
    before = _files()
    _refused(hearsight("generate", "good.wav", "-o", "out.png", *options), words)
    assert _files() == before


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("folder.png", "is a folder"),
        ("out.jpg", "does not end in .png"),
        ("out", "does not end in .png"),
        ("good.wav/out.png", "is a file"),
        ("a" * 300 + ".png", "cannot be written"),
    ],
)
def test_bad_output(output: str, words: str, hearsight: Callable[..., Done]) -> None:
    _tone(Path("good.wav"))
    Path("folder.png").mkdir()
    before = _files()
    _refused(hearsight("generate", "good.wav", "-o", output), words)
    assert _files() == before


def test_second_picture_would_replace_a_folder(hearsight: Callable[..., Done]) -> None:
    _tone(Path("good.wav"))
    Path("out-2.png").mkdir()
    _refused(hearsight("generate", "good.wav", "-o", "out.png", "--count", 2), "out-2.png")
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "COMMAND"),
        (("paint",), "invalid choice: 'paint'"),
        (("hear",), "SOUND"),
        (("generate", "good.wav"), "-o/--output"),
        (("batch", "good.wav", "-o", "out"), "is a file"),
        (("batch", "nowhere", "-o", "out"), "does not exist"),
        (("batch", "empty", "-o", "out"), "no sounds in"),
        (("batch", ".", "-o", "good.wav"), "is a file"),
        (("batch", ".", "-o", "out", "--prompt", "rain"), "has no A*"),
        (("batch", ".", "-o", "out", "--model", "nomodel"), "nomodel"),
        (("remake", "nowhere.png", "-o", "out.png"), "no picture"),
        (("remake", "good.wav", "-o", "out.png"), "not a picture"),
        (("remake", "plain.png", "-o", "out.png"), "carries no recipe"),
        (("remake", "open.png", "-o", "out.png"), "sound"),
        (("app", "--port", "0"), "--port must be"),
        (("train", "everything", "--data", "."), "everything"),
    ],
)
def test_bad_command(arguments: tuple[str, ...], words: str, hearsight: Callable[..., Done]) -> None:
    from PIL import Image

    _tone(Path("good.wav"))
    Path("empty").mkdir()
    Image.new("RGB", (8, 8)).save("plain.png")
    save_png(Image.new("RGB", (8, 8)), Recipe(), "open.png")  # a recipe without its word: it cannot be replayed
    before = _files()
    _refused(hearsight(*arguments), words)
    assert _files() == before


def test_a_failure_leaves_the_old_picture(hearsight: Callable[..., Done]) -> None:
    Path("out.png").write_bytes(b"precious")
    _refused(hearsight("generate", "nothing.wav", "-o", "out.png"), "does not exist")
    assert Path("out.png").read_bytes() == b"precious"


def test_one_sentence_from_the_real_program() -> None:
    """In a process of its own, where the libraries' warnings would show."""
    root = Path(__file__).resolve().parents[2]
    program = f"import sys; sys.path.insert(0, {str(root)!r}); from studio.cli import main; sys.exit(main())"
    Path("poem ♪.mp3").write_text("Ich bin kein Lied.\n" * 99, encoding="utf-8")
    command = [sys.executable, "-c", program, "generate", "poem ♪.mp3", "-o", "out.png"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    _refused(Done(done.returncode, done.stdout, done.stderr.rstrip("\n")), "poem ♪.mp3")
